import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from phonobase import Archive, Recording, State
from phonobase.store.recover import may_be_live, recorder_facts
from tests.store.judge import wait_until

SOUND = b"\1\0" * 16_000
HOUR = timedelta(hours=1)


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """An empty archive."""
    with Archive(archive_url) as opened:
        yield opened


def _open_recording(archive: Archive, **capture: object) -> Recording:
    """Leave a recording open as a recorder does that dies, and say who the recorder was."""
    writer = archive.writer(8000, chunk_seconds=0.5, capture={**recorder_facts(), **capture})
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
    left = _open_recording(archive, **_process_that_ended())
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
    left = _open_recording(archive, pid=os.getppid())
    assert not may_be_live(left)


@pytest.mark.parametrize(("age", "live"), [(timedelta(seconds=59), True), (timedelta(seconds=61), False)])
def test_a_recorder_elsewhere_is_alive_for_a_minute(archive: Archive, age: timedelta, live: bool) -> None:  # noqa: FBT001
    """Of another machine only the last commit is known."""
    left = _open_recording(archive, host=platform.node() + "-2")
    assert may_be_live(left, now=left.committed_at + age) is live


def test_facts_name_this_process() -> None:
    """What is kept tells this process from all others: its number and when it began."""
    facts = recorder_facts()
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert (facts["host"], facts["pid"]) == (platform.node(), os.getpid())
    assert str(facts["process"]).endswith(f"/{ticks}")
