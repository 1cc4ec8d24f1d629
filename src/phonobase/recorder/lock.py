"""The lock that makes a recorder the only one of its source."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from phonobase.recorder.private import make_folder, open_private

if TYPE_CHECKING:
    from pathlib import Path

_PID_BYTES = 32


class Lock:
    """Holds a file, until it is let go or the process ends.

    Args:
        path: The file; it is made, and its folder too.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _held(path)

    def is_held(self) -> bool:
        """Whether this is the only one to hold the file of that name.

        Where somebody removed the file, or its folder, it is made and held anew: nobody else comes in. Only
        where another one was faster the answer is no, and then it stays no until that one lets go.
        """
        try:
            if _is_at(self._descriptor, self._path):
                return True
            before, self._descriptor = self._descriptor, _held(self._path)
        except BlockingIOError:
            return False
        except OSError:
            return True  # where no file can be made now, nobody else has one
        os.close(before)
        return True

    def let_go(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def holder(path: Path) -> str:
    """Return the number of the process that holds a file, for people."""
    try:
        with path.open("rb") as file:
            return file.read(_PID_BYTES).decode(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"


def _held(path: Path) -> int:
    while True:
        make_folder(path.parent)
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                with contextlib.suppress(OSError):  # of a full disk; the number is only for people
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed between the two


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
