"""A disk that is full costs what is heard meanwhile, and nothing else.

Each test records on a file system of 20 MB, in a process of its own: tests/recorder/filling.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.recorder.filling import DISK
from tests.support.require import missing
from tests.support.world import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

_PATIENCE_S = 240
_AS_ROOT = ["unshare", "--mount"]
_AS_ANYBODY = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount"]
_SHARED_MEMORY = Path("/dev/shm")  # a small file system that every container has


class SmallDisk:
    """Plays scenarios on a small file system.

    Args:
        folder: Where it is to be.
        within: What begins the command, so that it may be mounted.
    """

    def __init__(self, folder: Path, within: list[str]) -> None:
        self._folder = folder
        self._within = within

    def play(self, scenario: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Plays one."""
        command = [sys.executable, "-m", "tests.recorder.filling", scenario, str(self._folder), *arguments]
        return subprocess.run(
            [*self._within, *command],
            env=os.environ | environment(),
            cwd=environment()["PYTHONPATH"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )

    def passes(self, scenario: str, *arguments: str) -> None:
        """Fails unless a scenario goes as it should."""
        done = self.play(scenario, *arguments)
        print(done.stderr)
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 20 MB: mounted, or what is left of the shared memory of a container."""
    for within in (_AS_ROOT, _AS_ANYBODY):
        disk = SmallDisk(tmp_path, within)
        if shutil.which(within[0]) and disk.play("mount").returncode == 0:
            yield disk
            return
    if _SHARED_MEMORY.is_dir() and DISK * 1.5 < shutil.disk_usage(_SHARED_MEMORY).total <= 4 * DISK:
        folder = Path(tempfile.mkdtemp(prefix="phonobase-disk-", dir=_SHARED_MEMORY))
        try:
            yield SmallDisk(folder, [])
        finally:
            shutil.rmtree(folder)
        return
    missing("the right to mount a small file system", "running the tests as root, or where unshare -Um works")


def test_the_floor(small_disk: SmallDisk) -> None:
    """Below the floor recording stops cleanly, and goes on by itself above it, whoever took the room.

    Everything that was stored before is kept; what was heard meanwhile is a gap with true bounds.
    """
    small_disk.passes("floor")


def test_the_last_byte(small_disk: SmallDisk) -> None:
    """A disk that takes no byte more, even of a status, costs no committed frame; the gap has true bounds."""
    small_disk.passes("last-byte")


def test_forwarding_makes_room(small_disk: SmallDisk, postgres: PostgresServer) -> None:
    """A spool that is full goes on as soon as the archive has taken what it holds; nobody needs to help."""
    name = f"phonobase_disk_{os.getpid()}"
    try:
        small_disk.passes("forwarding", postgres.url(name))
    finally:
        postgres.drop_database(name)
