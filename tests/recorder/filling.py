"""Records on a disk that fills and is freed, and judges what was kept.

    unshare … python -m tests.recorder.filling SCENARIO FOLDER [ARCHIVE_URL]

mounts a file system of 20 MB on the folder, which nobody else sees and which goes with this process. Where
the folder is on a small file system already, which cannot be mounted over, all but 20 MB of that are taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from phonobase import Archive
from phonobase.recorder.state import StateFolder
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.accounts import account
from tests.support.world import PLUGIN, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.accounts import Account

MIB = 1024 * 1024
DISK = 20 * MIB
RATE, CHANNELS = 48_000, 8  # 750 KiB a second, and nothing can be compressed
TOLERANCE = RATE // 100
"""Frames by which a gap may end too early or too late: a hundredth of a second."""

_PATIENCE_S = 60
_PIECE = 64 * 1024


class Disk:
    """A small file system, and what somebody else keeps on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._foreign = folder / "foreign"

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return shutil.disk_usage(self.folder).free

    def take(self, leaving: int) -> None:
        """Lets somebody else fill it, but for so many bytes."""
        with contextlib.suppress(OSError), self._foreign.open("ab", buffering=0) as file:
            while (more := self.free - leaving) > 0:
                file.write(bytes(min(more, _PIECE)))

    def give_back(self) -> None:
        """Lets somebody else remove what they had."""
        self._foreign.unlink()


class Service:
    """A service on it, with one source that hears the world."""

    def __init__(self, disk: Disk, archive: str, floor: str) -> None:
        self.disk = disk
        self.local = disk.folder / "local.db"
        self._file = disk.folder / "service.toml"
        self._file.write_text(
            f'archive = "{archive}"\nspool = "local.db"\nfloor = "{floor}"\ngrace = "0s"\n'
            f'[[source]]\nname = "w"\ninput = "{PLUGIN}"\n'
            f'samplerate = {RATE}\nchannels = {CHANNELS}\nchunk = "0.25s"\nrollover = "1s"\n'
        )
        self.state = StateFolder(self.local)
        self._kept: dict[str, int] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs it for as long as the block lasts."""
        process = subprocess.Popen([*_PHONOBASE, "run", self._file], env=os.environ | environment())
        try:
            self.until("recording")
            yield
        finally:
            process.terminate()
            assert process.wait(_PATIENCE_S) == 0

    def until(self, state: str) -> str:
        """Waits until its recorder says that it is in a state, and returns the detail."""

        def said() -> str:
            status = self.state.said("w")
            return status.state if status else "nothing"

        _wait_until(lambda: said() == state, lambda: f"it says {said()} with {self.disk.free} bytes free")
        status = self.state.said("w")
        assert status is not None
        return status.detail

    def fill_up(self) -> str:
        """Waits until the disk is said to be full; then all that is stored must be there for ever."""
        detail = self.until("disk-full")
        with Archive(f"sqlite:///{self.local}") as archive:
            self._kept |= {one.id.hex: one.frame_count for one in archive.find(limit=None)}
        return detail

    def tells(self) -> None:
        """Fails unless whoever asks is told that the disk is full."""
        command = [*_PHONOBASE, "status", "--service", str(self._file)]
        told = subprocess.run(command, env=os.environ | environment(), capture_output=True, check=False)
        assert told.returncode == 1
        assert b"w: disk-full for" in told.stderr, told.stderr

    def frames_are_heard(self) -> None:
        """Waits until a second more was committed."""
        before = self.state.said("w")
        assert before is not None

        def more() -> bool:
            status = self.state.said("w")
            return (
                status is not None and status.committed_bytes > before.committed_bytes + 2 * RATE * CHANNELS
            )

        _wait_until(more, lambda: f"nothing more is committed: {self.state.said('w')}")

    def judge(self, url: str) -> Account:
        """Fails unless an archive holds all, unaltered, but for what it says was not stored."""
        with Archive(url) as archive:
            recordings = archive.find(limit=None)
            assert {str(one.state) for one in recordings} <= {"complete", "interrupted"}
            assert [archive.verify(one.id).faults for one in recordings] == [()] * len(recordings)
            frames = {one.id.hex: one.frame_count for one in recordings}
            assert {
                id_: frames.get(id_, 0) for id_ in self._kept if frames.get(id_, 0) < self._kept[id_]
            } == {}
            found = account(archive, "w")
        assert found.holes(TOLERANCE) == []
        assert {cause for _, _, cause in found.lost} == {"disk-full"}
        for (first, end, _), (heard, heard_end) in itertools.product(found.lost, found.heard):
            assert min(end, heard_end) - max(first, heard) <= TOLERANCE, "a gap covers what was stored"
        assert found.shift_s < 0.1
        return found


def floor(disk: Disk) -> None:
    """The floor is reached, by what is recorded and by what somebody else writes."""
    service = Service(disk, "sqlite:///local.db", "4MiB")
    disk.take(leaving=10 * MIB)
    with service.running():
        assert "less room on the disk than the floor" in service.fill_up()
        assert disk.free > 1 * MIB, "what it stopped at is no floor"
        disk.give_back()
        service.until("recording")
        service.frames_are_heard()
        disk.take(leaving=3 * MIB)
        assert "less room on the disk than the floor" in service.fill_up()
        disk.give_back()
        service.until("recording")
        service.frames_are_heard()
    _whole(service.local)
    assert len(service.judge(f"sqlite:///{service.local}").lost) == 2


def last_byte(disk: Disk) -> None:
    """Without a floor the last byte is taken, by what is recorded and by what somebody else writes."""
    service = Service(disk, "sqlite:///local.db", "0")
    disk.take(leaving=5 * MIB)
    with service.running():
        assert "the disk is full" in service.fill_up()
        disk.give_back()
        service.until("recording")
        service.frames_are_heard()
        disk.take(leaving=0)
        assert "the disk is full" in service.fill_up()
        disk.take(leaving=0)
        service.tells()
        disk.give_back()
        service.until("recording")
        service.frames_are_heard()
    _whole(service.local)
    # However often it was tried, there is a gap for each time; or two, where a trial stored some sound.
    assert len(service.judge(f"sqlite:///{service.local}").lost) <= 4


def forwarding(disk: Disk, archive: str) -> None:
    """A spool is full because the archive is not there; when that comes, it empties the spool."""
    service = Service(disk, archive, "6MiB")
    disk.take(leaving=14 * MIB)
    with service.running():
        service.fill_up()
        _create(archive)
        service.until("recording")
        service.frames_are_heard()
        service.frames_are_heard()
    _whole(service.local)
    service.judge(archive)


_PHONOBASE = [sys.executable, "-m", "phonobase"]


def _whole(file: Path) -> None:
    """Fails unless SQLite itself finds nothing wrong with a file."""
    check = subprocess.run(["sqlite3", file, "PRAGMA integrity_check"], capture_output=True, check=True)
    assert check.stdout == b"ok\n"


def _create(url: str) -> None:
    """Makes a database that was missing, with an empty archive in it."""
    parsed = make_url(url)
    maintenance = parsed.set(drivername="postgresql", database="postgres")
    with psycopg.connect(maintenance.render_as_string(hide_password=False), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(parsed.database or "")))
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()


def _wait_until(true: Callable[[], bool], why: Callable[[], str]) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < ends, why()
        time.sleep(0.05)


def _mount(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={DISK}".encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))


@contextlib.contextmanager
def _small(folder: Path) -> Iterator[Disk]:
    disk = Disk(folder)
    if shutil.disk_usage(folder).total > 4 * DISK:
        _mount(folder)
        yield disk
        return
    ballast = Disk(folder / "ballast")
    ballast.folder.mkdir()
    ballast.take(leaving=DISK)
    yield disk


def main() -> None:
    """Plays a scenario."""
    scenario, folder = sys.argv[1], Path(sys.argv[2])
    with _small(folder) as disk:
        if scenario == "mount":
            assert abs(disk.free - DISK) < MIB
        elif scenario == "forwarding":
            forwarding(disk, sys.argv[3])
        else:
            {"floor": floor, "last-byte": last_byte}[scenario](disk)


if __name__ == "__main__":
    main()
