from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonobase.errors import CorruptRecording, InvalidDetails
from phonobase.store import outline as outlines
from phonobase.store.outline import outline
from tests.store.judge import Raw, random_pcm
from tests.support.prs import noise

if TYPE_CHECKING:
    import numpy.typing as npt

    from phonobase import Archive, Recording

RATE, FRAMES = 8000, 90_001
_KEPT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def recording(archive: Archive, signal: npt.NDArray[Any]) -> Recording:
    """The signal, in chunks whose ends are no ends of points."""
    with archive.writer(RATE, 2, chunk_seconds=0.3, source="desk-3") as writer:
        writer.write(signal)
    return archive.get(writer.id)


@pytest.fixture
def signal() -> npt.NDArray[Any]:
    """A pseudo-random signal whose loudness changes, so that every column has another outline."""
    loud = 1 + np.arange(FRAMES)[:, None] % 7919
    return (noise(FRAMES, 2) // (1 + 7919 // loud)).astype(np.int16)


def _spans(start: int, stop: int, columns: int) -> list[tuple[int, int]]:
    length = stop - start
    return [
        (start + column * length // columns, start + (column + 1) * length // columns)
        for column in range(columns)
    ]


def _points(raw: Raw, recording: Recording) -> list[tuple[int, int, npt.NDArray[np.int8]]]:
    """Returns first frame, end and values of every stored point, by the plain driver."""
    key = recording.id.hex if raw.is_sqlite else recording.id
    found = []
    for first, count, peaks in raw.rows(
        "SELECT first_frame, frame_count, peaks FROM phono_chunk WHERE recording_id = ? ORDER BY seq", key
    ):
        values = np.frombuffer(peaks, np.int8).reshape(-1, 2, 2)
        for place, value in enumerate(values):
            begin = first + place * 512
            found.append((begin, min(begin + 512, first + count), value))
    return found


@_KEPT
@given(data=st.data())
def test_columns_of_points(archive: Archive, raw: Raw, recording: Recording, data: st.DataObject) -> None:
    """A wide column has the least and the largest of exactly the stored points that it has frames of."""
    start = data.draw(st.integers(0, FRAMES - 600))
    stop = data.draw(st.integers(start + 513, FRAMES))
    columns = data.draw(st.integers(1, (stop - start) // 512))
    stored = _points(raw, recording)

    drawn = outline(archive, recording, start, stop, columns)

    assert (drawn.start, drawn.stop, drawn.columns) == (start, stop, columns)
    for column, (first, end) in enumerate(_spans(start, stop, columns)):
        touched = np.array([value for begin, behind, value in stored if begin < end and behind > first])
        assert (drawn.low[column] * 128).tolist() == touched[..., 0].min(axis=0).tolist()
        assert (drawn.high[column] * 128).tolist() == touched[..., 1].max(axis=0).tolist()


@_KEPT
@given(data=st.data())
def test_columns_of_frames(
    archive: Archive, recording: Recording, signal: npt.NDArray[Any], data: st.DataObject
) -> None:
    """A narrow column has the least and the largest of exactly its frames."""
    columns = data.draw(st.integers(1, 300))
    start = data.draw(st.integers(0, FRAMES - 1))
    stop = min(FRAMES, start + data.draw(st.integers(1, columns * 512 - 1)))

    drawn = outline(archive, recording, start, stop, columns)

    columns = min(columns, stop - start)
    assert drawn.columns == columns
    for column, (first, end) in enumerate(_spans(start, stop, columns)):
        assert (drawn.low[column] * 32768).tolist() == signal[first:end].min(axis=0).tolist()
        assert (drawn.high[column] * 32768).tolist() == signal[first:end].max(axis=0).tolist()


def test_many_batches(archive: Archive, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not matter how many chunks are fetched at once."""
    at_once = outline(archive, recording, 7, None, 150)
    monkeypatch.setattr(outlines, "BATCH_BYTES", 1)
    one_by_one = outline(archive, recording, 7, None, 150)
    assert (at_once.low == one_by_one.low).all()
    assert (at_once.high == one_by_one.high).all()


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
def test_full_scale(archive: Archive, dtype: str) -> None:
    """Whatever the format, the ends of its scale are -1 and nearly 1, from frames and from points."""
    recording = archive.add(random_pcm(2000, 1, dtype), RATE, 1, dtype, source="a")
    for columns in (1, 1000):
        drawn = outline(archive, recording, 0, None, columns)
        assert drawn.low.min() == -1
        assert 127 / 128 <= drawn.high.max() <= 1


def test_no_frame(archive: Archive, recording: Recording) -> None:
    """A stretch without a frame is refused; one that reaches too far is as long as the recording."""
    for start, stop in ((FRAMES, None), (5, 5), (9, 3), (-1, 4)):
        with pytest.raises(InvalidDetails, match=f"the recording has {FRAMES}"):
            outline(archive, recording, start, stop)
    assert outline(archive, recording, 5, 10**12).stop == FRAMES


def test_missing_chunk(archive: Archive, raw: Raw, recording: Recording) -> None:
    """A chunk that is missing is no silence, but an error that names the recording."""
    key = recording.id.hex if raw.is_sqlite else recording.id
    raw.run("DELETE FROM phono_chunk WHERE recording_id = ? AND seq = 3", key)
    with pytest.raises(CorruptRecording, match=recording.id.hex):
        outline(archive, recording, 0, None, 10)
