import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from phonobase import Archive, Recording, State
from phonobase.errors import CorruptRecording, RecordingClosed, RecordingNotFound
from phonobase.store.recover import WHOLE_OR_NOTHING, may_be_live, recorder_facts
from tests.store.judge import Raw, wait_until

SOUND = b"\1\0" * 16_000
HOUR = timedelta(hours=1)


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """An empty archive."""
    with Archive(archive_url) as opened:
        yield opened


def _open_recording(
    archive: Archive, facts: Mapping[str, object] | None = None, source: str = "default"
) -> Recording:
    """Leave a recording open as a recorder does that dies, and say who the recorder was."""
    writer = archive.writer(
        8000, chunk_seconds=0.5, source=source, capture={**recorder_facts(), **(facts or {})}
    )
    writer.write(memoryview(SOUND).cast("h"))
    wait_until(lambda: writer.frames_committed > 0)
    writer._end()
    return archive.get(writer.id)


def _process_that_ended() -> dict[str, object]:
    """Return what a process that is gone said of itself."""
    program = "from phonobase.store.recover import recorder_facts; print(recorder_facts())"
    facts = subprocess.check_output([sys.executable, "-c", program], text=True)
    return dict(eval(facts))


def test_a_recorder_that_is_gone_is_closed_at_once(archive: Archive) -> None:
    """Nobody waits for a process of this machine that is not there any more."""
    left = _open_recording(archive, _process_that_ended())
    (closed,) = archive.recover()
    assert (closed.id, closed.state) == (left.id, State.INTERRUPTED)
    assert closed.frame_count == left.frame_count
    assert archive.verify(left.id).ok


def test_a_recorder_that_lives_is_left_alone_however_long_it_was_silent(archive: Archive) -> None:
    """A process of this machine that is there may go on, though it committed nothing for an hour."""
    left = _open_recording(archive)
    assert may_be_live(left, now=datetime.now(UTC) + HOUR)
    assert archive.recover() == []


def test_a_number_that_another_process_has_now_does_not_count(archive: Archive) -> None:
    """A process that only has the number of the recorder is not the recorder."""
    left = _open_recording(archive, {"pid": os.getppid()})
    assert not may_be_live(left)


@pytest.mark.parametrize(("age", "live"), [(timedelta(seconds=59), True), (timedelta(seconds=61), False)])
def test_a_recorder_elsewhere_is_alive_for_a_minute(archive: Archive, age: timedelta, live: bool) -> None:  # noqa: FBT001
    """Of another machine only the last commit is known."""
    left = _open_recording(archive, {"host": platform.node() + "-2"})
    assert may_be_live(left, now=left.committed_at + age) is live


def test_facts_name_this_process() -> None:
    """What is kept tells this process from all others: its number and when it began."""
    facts = recorder_facts()
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert (facts["host"], facts["pid"]) == (platform.node(), os.getpid())
    assert str(facts["process"]).endswith(f"/{ticks}")


def test_only_one_source_is_recovered(archive: Archive) -> None:
    """A recorder that starts closes what the last one of its source left, and nothing of others."""
    gone = _process_that_ended()
    desk, door = _open_recording(archive, gone, "desk"), _open_recording(archive, gone, "door")
    assert [recording.id for recording in archive.recover("desk")] == [desk.id]
    assert archive.get(door.id).state is State.RECORDING
    assert [recording.id for recording in archive.recover()] == [door.id]


def test_who_knows_better_recovers_what_looks_alive(archive: Archive) -> None:
    """Whoever is sure that no recorder lives need not wait; an import that may be alive is left alone."""
    ours, elsewhere = _open_recording(archive), _open_recording(archive, {"host": platform.node() + "-2"})
    half = _open_recording(archive, {WHOLE_OR_NOTHING: True})
    seen: dict[object, bool] = {}

    closed = archive.recover(
        "default", certain=True, on_open=lambda recording, live: seen.update({recording.id: live})
    )

    assert {recording.id for recording in closed} == {ours.id, elsewhere.id}
    assert seen == {ours.id: False, elsewhere.id: False, half.id: True}
    assert archive.get(half.id).state is State.RECORDING
    for recording in closed:
        assert archive.verify(recording.id).ok


def test_closing_what_is_stored_measures_it_anew(archive: Archive, archive_url: str) -> None:
    """A row that speaks of more sound than is there is put right when it is closed as it stands."""
    left = _open_recording(archive)
    with Raw(archive_url) as raw:
        raw.run("UPDATE phono_recording SET peak_dbfs = -1, rms_dbfs = -2, clipped_frames = 3")

    closed = archive.close_as_stored(left.id.hex)

    assert (closed.state, closed.frame_count) == (State.INTERRUPTED, left.frame_count)
    assert closed.peak_dbfs == pytest.approx(left.peak_dbfs)
    assert closed.rms_dbfs == pytest.approx(left.rms_dbfs)
    assert closed.clipped_frames == 0
    assert archive.verify(left.id).ok
    with pytest.raises(RecordingClosed, match=f"{left.id.hex} is closed already: interrupted"):
        archive.close_as_stored(left.id)
    assert archive.get(left.id) == closed
    with pytest.raises(RecordingNotFound):
        archive.close_as_stored("0" * 32)


def test_what_was_continued_meanwhile_is_not_closed(
    archive: Archive, archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that somebody goes on with while it is decoded stays open."""
    left = _open_recording(archive, _process_that_ended())
    stored = archive.stored

    def continued(recording: Recording) -> object:
        with Raw(archive_url) as raw:
            raw.run("UPDATE phono_recording SET chain_head = ?", os.urandom(32))
        return stored(recording)

    monkeypatch.setattr(archive, "stored", continued)
    with pytest.raises(RecordingClosed, match="closed, deleted or continued by another"):
        archive.close_as_stored(left.id)
    assert archive.recover() == []
    assert archive.get(left.id).state is State.RECORDING


def test_what_does_not_decode_stays_open(archive: Archive, archive_url: str) -> None:
    """Nothing is closed over a missing chunk: the others are, and it is named."""
    gone = _process_that_ended()
    bad, good = _open_recording(archive, gone), _open_recording(archive, gone)
    with Raw(archive_url) as raw:
        assert raw.run("DELETE FROM phono_audio WHERE recording_id = ? AND seq = 0", bad.id.hex) == 1
    with pytest.raises(CorruptRecording, match=f"{bad.id.hex}: chunk 0 is missing"):
        archive.recover()
    assert archive.get(good.id).state is State.INTERRUPTED
    assert archive.get(bad.id).state is State.RECORDING
