from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonobase import State
from phonobase.errors import DatabaseUnavailable, InvalidDetails, StoreError, UnsupportedFormat
from phonobase.store.writer import RecordingWriter
from tests.store.judge import Raw, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from phonobase import Archive
    from phonobase.store.repository import RecordingRepository
    from tests.store.judge import Program

RATE = 8000
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _sound(frames: int, channels: int = 1) -> npt.NDArray[np.int16]:
    """Noise in which no sample is zero, so that silence in it is what was lost."""
    return np.random.default_rng(3).integers(1, 2**15, (frames, channels), dtype=np.int16)


def _committed(url: str, writer: RecordingWriter) -> tuple[int, list[tuple[int, int]]]:
    """Returns how many frames of a recording are committed, and the frames that gaps stand for."""
    with Raw(url) as raw:
        frames = raw.rows("SELECT frame_count FROM phono_recording WHERE id = ?", writer.id.hex)
        gaps = raw.rows(
            "SELECT first_frame, frame_count FROM phono_gap WHERE recording_id = ?", writer.id.hex
        )
    return (int(frames[0][0]) if frames else 0), [(int(first), int(count)) for first, count in gaps]


class Watch:
    """The transactions of an archive, and what they left committed."""

    def __init__(self, archive: Archive) -> None:
        self.after: list[Callable[[], object]] = []
        self.failures = 0
        self._archive = archive

    @contextlib.contextmanager
    def __call__(self) -> Iterator[RecordingRepository]:
        """Gives a repository in a transaction, which may fail as it commits."""
        with self._archive.writing() as repository:
            yield repository
            if self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("gone")
        for look in self.after:
            look()


def _watched(archive: Archive, watch: Watch, channels: int = 1) -> RecordingWriter:
    """Returns a writer whose transactions are watched; its encoder holds nothing back."""
    as_usual = archive.writer(RATE, channels, encoding="pcm")
    as_usual.abandon()
    return RecordingWriter(as_usual.new, watch, 0.5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 30_000)), min_size=1, max_size=8),
    channels=st.sampled_from([1, 3]),
)
def test_silence_and_its_gap_come_together(
    archive: Archive, archive_url: str, steps: list[tuple[bool, int]], channels: int
) -> None:
    """At every commit the silent frames are those of the gaps, and no gap reaches behind the last frame."""
    watch = Watch(archive)
    silent: set[int] = set()
    writer = _watched(archive, watch, channels)

    seen: list[int] = []
    problems: list[AssertionError] = []

    def look() -> None:
        frame_count, gaps = _committed(archive_url, writer)
        listed = [frame for first, count in gaps for frame in range(first, first + count)]
        seen.append(frame_count)
        try:
            assert len(listed) == len(set(listed))
            assert set(listed) == {frame for frame in silent if frame < frame_count}
        except AssertionError as error:  # said in the test's own thread
            problems.append(error)

    watch.after.append(look)
    parts = []
    for lost, count in steps:
        if lost:
            silent.update(range(writer.frames_written, writer.frames_written + count))
            writer.lose(count, "overflow", "test")
            parts.append(np.zeros((count, channels), np.int16))
        else:
            parts.append(_sound(count, channels))
            writer.write(parts[-1])
    whole = np.concatenate(parts)
    if not len(whole):
        writer.abandon()
        return

    closed = writer.close()

    assert not problems
    assert seen[-1] == closed.frame_count == len(whole)
    assert np.array_equal(archive.read(writer.id), whole)
    assert set(np.flatnonzero(~archive.read(writer.id).any(axis=1))) == silent
    assert archive.verify(writer.id).ok
    with archive.writing() as repository:
        repository.discard(writer.id)


def test_a_gap_has_the_times_of_its_frames(archive: Archive, program: Program) -> None:
    """Parts of a gap follow each other to the microsecond, and are one to who asks for gaps."""
    with archive.writer(44_100, source="desk", started_at=BEGAN, chunk_seconds=0.3) as writer:
        writer.write(_sound(4_411))
        writer.lose(400_000, "device-lost", "unplugged")
        writer.write(_sound(1))
    parts = program.lines(
        "SELECT first_frame, frame_count FROM phono_gap WHERE cause = 'device-lost' ORDER BY 1"
    )
    assert len(parts) > 2
    edges = {frame for line in parts for frame in (int(line.split("|")[0]), sum(map(int, line.split("|"))))}
    stored = program.lines("SELECT first_frame FROM phono_chunk")
    assert edges - {4_411, 404_411} <= set(map(int, stored))

    (gap,) = archive.gaps("desk")

    assert (gap.first_frame, gap.frame_count, gap.cause, gap.detail) == (
        *(4_411, 400_000),
        *("device-lost", "unplugged"),
    )
    assert gap.started_at - BEGAN == timedelta(microseconds=4_411 * 1_000_000 // 44_100)
    assert gap.ended_at - BEGAN == timedelta(microseconds=404_411 * 1_000_000 // 44_100)
    assert (gap.recording_id, gap.run_id) == (writer.id, writer.new.run_id)
    found = archive.coverage("desk", BEGAN, gap.ended_at)
    assert found.lost_us == {"device-lost": (gap.ended_at - gap.started_at) // timedelta(microseconds=1)}


def test_a_long_loss_takes_little_memory(archive: Archive) -> None:
    """Half a minute of 32 channels is lost in pieces: what is handed on at a time is small."""
    writer = archive.writer(RATE, 32, "float32", chunk_seconds=1)
    sizes: list[int] = []
    cut = writer._draft.cut

    def remember(frames: npt.NDArray[Any], captured_at_us: int | None = None) -> Any:  # noqa: ANN401
        sizes.append(frames.nbytes)
        return cut(frames, captured_at_us)

    writer._draft.cut = remember  # type: ignore[method-assign]
    writer.lose(30 * RATE, "overflow", "long")
    writer.close()
    assert max(sizes) <= 256 * 1024
    assert sum(sizes) == 30 * RATE * 32 * 4


def test_a_loss_knows_the_wall_clock(archive: Archive, program: Program) -> None:
    """Chunks of silence say when they would have been captured."""
    at_us = int(BEGAN.timestamp()) * 1_000_000
    with archive.writer(RATE, started_at=BEGAN, chunk_seconds=0.5, encoding="pcm") as writer:
        writer.lose(16 * RATE, "overflow", "test", at_us + 7_000_000)
    moments = archive_moments(program)
    assert moments[0] == BEGAN + timedelta(seconds=7)
    frames = [int(line) for line in program.lines("SELECT first_frame FROM phono_chunk ORDER BY seq")]
    assert len(frames) > 20
    assert moments == [BEGAN + timedelta(seconds=7 + frame / RATE) for frame in frames]


def archive_moments(program: Program) -> list[datetime]:
    """Returns when the chunks were captured."""
    at = "captured_at" if program.is_sqlite else "captured_at AT TIME ZONE 'UTC'"
    lines = program.lines(f"SELECT {at} FROM phono_chunk ORDER BY seq")
    return [datetime.fromisoformat(line).replace(tzinfo=UTC) for line in lines]


def test_losses_that_cannot_be_are_refused(archive: Archive) -> None:
    """A loss before nothing, of more than a day, or without a cause leaves the recording as it was."""
    with archive.writer(RATE, chunk_seconds=0.5) as writer:
        writer.write(_sound(100))
        with pytest.raises(UnsupportedFormat, match="-1 frames cannot be lost"):
            writer.lose(-1, "overflow", "test")
        with pytest.raises(UnsupportedFormat, match="24 hours at most"):
            writer.lose(86_400 * RATE, "overflow", "test")
        with pytest.raises(InvalidDetails, match="without a cause"):
            writer.lose(5, "", "test")
        with pytest.raises(InvalidDetails, match="the detail holds"):
            writer.lose(5, "overflow", "\ud800")
        writer.write(_sound(100))
    assert archive.get(writer.id).frame_count == 200
    assert archive.gaps() == []
    with pytest.raises(StoreError, match="is closed; start a new one"):
        writer.lose(1, "overflow", "test")


def test_closing_again_after_a_failure_lists_a_loss_once(archive: Archive, program: Program) -> None:
    """Where the last commit fails, closing may be tried again, and the loss at the end is there once."""
    watch = Watch(archive)
    writer = _watched(archive, watch)
    writer.write(_sound(16_384))
    wait_until(lambda: writer.frames_committed == 16_384)
    writer.lose(0, "overflow", "at the end")
    watch.failures = 1
    with pytest.raises(DatabaseUnavailable, match="gone"):
        writer.close()
    assert program.value("SELECT count(*) FROM phono_gap") == "0"

    closed = writer.close()

    assert (closed.state, closed.frame_count) == (State.COMPLETE, 16_384)
    assert program.lines("SELECT first_frame, frame_count FROM phono_gap") == ["16384|0"]
    assert archive.verify(writer.id).ok


def test_what_is_committed_is_counted(archive: Archive, program: Program) -> None:
    """A writer knows how many bytes are committed, and when that last was."""
    before_us = time.time_ns() // 1000
    with archive.writer(RATE, chunk_seconds=0.5) as writer:
        assert (writer.bytes_committed, writer.committed_at_us) == (0, None)
        writer.write(_sound(50_000))
        wait_until(lambda: writer.frames_committed >= 40_000)
        first_us = writer.committed_at_us
        writer.write(_sound(50_000))
    assert writer.bytes_committed == int(program.value("SELECT sum(length(data)) FROM phono_audio"))
    assert writer.bytes_committed == int(program.value("SELECT byte_count FROM phono_recording"))
    assert first_us is not None
    assert writer.committed_at_us is not None
    assert before_us <= first_us < writer.committed_at_us <= time.time_ns() // 1000


def test_an_abandoned_writer_leaves_the_database_alone(archive: Archive, program: Program) -> None:
    """After it was abandoned nothing more is committed, by nobody; recover closes what was there."""
    watch = Watch(archive)
    writer = _watched(archive, watch)
    writer.write(_sound(16_384))
    wait_until(lambda: writer.frames_committed == 16_384)
    transactions: list[None] = []
    watch.after.append(lambda: transactions.append(None))
    writer.write(_sound(100))
    writer.lose(100, "overflow", "never committed")

    writer.abandon()
    writer.abandon()

    assert not writer._committer.is_alive()
    for refused in (lambda: writer.write(_sound(1)), lambda: writer.lose(1, "x", "y"), writer.close):
        with pytest.raises(StoreError, match="was abandoned"):
            refused()
    assert transactions == []
    assert program.lines("SELECT state, frame_count FROM phono_recording") == ["recording|16384"]
    assert program.value("SELECT count(*) FROM phono_gap") == "0"
    (closed,) = archive.recover(certain=True)
    assert (closed.id, closed.frame_count) == (writer.id, 16_384)
    assert archive.verify(writer.id).ok


def test_what_waits_for_its_commit_is_abandoned(archive: Archive, program: Program) -> None:
    """A commit that is under way is waited for, and what waits behind it is not committed."""
    watch = Watch(archive)
    writer = _watched(archive, watch)
    begun, go_on = threading.Event(), threading.Event()
    watch.after += [begun.set, lambda: go_on.wait(60)]
    writer.write(_sound(4_096))
    assert begun.wait(60)
    writer.write(_sound(4 * 4_096))
    abandoning = threading.Thread(target=writer.abandon)
    abandoning.start()
    wait_until(lambda: writer._abandoned)
    go_on.set()
    abandoning.join(60)
    assert not abandoning.is_alive()
    assert writer.frames_committed == 4_096
    assert program.lines("SELECT frame_count, chunk_count FROM phono_recording") == ["4096|1"]


def test_abandoning_after_a_failure(archive: Archive, program: Program) -> None:
    """A writer whose commit failed is abandoned without another attempt, though it had more to commit."""
    watch = Watch(archive)
    watch.failures = 1
    writer = _watched(archive, watch)
    writer.write(_sound(20_000))
    wait_until(lambda: not writer._committer.is_alive())
    with pytest.raises(DatabaseUnavailable, match="gone"):
        writer.write(_sound(1))
    writer.abandon()
    assert not writer._committer.is_alive()
    assert program.value("SELECT count(*) FROM phono_recording") == "0"


@pytest.mark.parametrize("drift_ppm", [None, 0.0, -52.125])
def test_the_drift_is_kept(archive: Archive, program: Program, drift_ppm: float | None) -> None:
    """What was measured of the sample clock is stored when the recording is closed."""
    writer = archive.writer(RATE)
    writer.write(_sound(100))
    closed = writer.close(drift_ppm=drift_ppm)
    assert closed.drift_ppm == archive.get(writer.id).drift_ppm == drift_ppm
    shown = program.value("SELECT coalesce(drift_ppm, 99) FROM phono_recording")
    assert float(shown) == (99 if drift_ppm is None else drift_ppm)
