"""Files and folders that are nobody else's business: what a recorder says of a room is about people."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can look into; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    try:
        path.mkdir(_FOLDER)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(_FOLDER)  # whatever the umask took
    owner = _heir(path)
    if owner is not None:
        os.chown(path, *owner, follow_symlinks=False)


def open_private(path: Path, flags: int) -> int:
    """Open a file; where that makes it, only its owner can read and write it. Return the descriptor.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        return os.open(path, flags & ~os.O_CREAT)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags, _FILE)
    os.fchmod(descriptor, _FILE)
    owner = _heir(path)
    if owner is not None:
        os.fchown(descriptor, *owner)
    return descriptor


def _heir(path: Path) -> tuple[int, int] | None:
    """Return whose a new file is to be where root made it: a recorder must read what root asks of it."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError):
        folder = path.parent.stat()
        return folder.st_uid, folder.st_gid
    return None
