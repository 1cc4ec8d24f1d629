"""Room on the disk for more sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.errors import DatabaseUnavailable
from phonobase.store.engine import shown

if TYPE_CHECKING:
    from phonobase.store.archive import Archive

_MARGIN = 1.1
"""How much more than the floor there must be again, so that it does not go to and fro."""

_LEAST_BYTES = 4 * 1024 * 1024
"""How much there must be again at least, whatever the floor: a few chunks, and what the database needs."""


class Room:
    """Knows whether there is more room than the floor; ``measure`` is called now and then.

    Args:
        archive: On whose disk.
        floor_bytes: Room below which nothing more is to be recorded.
    """

    def __init__(self, archive: Archive, floor_bytes: int) -> None:
        self.floor_bytes = floor_bytes
        self.free_bytes = 0
        self.suffices = True
        self._archive = archive
        self._file: tuple[int, int] | None = None

    def measure(self) -> None:
        """Look at the disk.

        Raises:
            StoreError: The archive does not say, or its file is gone.
        """
        self.check_file()
        self.free_bytes = self._archive.room()
        again = max(self.floor_bytes * _MARGIN, _LEAST_BYTES)
        self.suffices = self.free_bytes >= (self.floor_bytes if self.suffices else again)

    def check_file(self) -> None:
        """See that the archive's name still stands for the file that it stood for at first.

        What is written to a file that was removed is gone when the recorder ends, and no error tells.

        Raises:
            DatabaseUnavailable: The file was removed, moved or replaced.
        """
        path = self._archive.path
        if path is None:
            return
        try:
            found = path.stat()
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if self._file not in (None, (found.st_dev, found.st_ino)):
            raise self._gone("this is another file than before")
        self._file = found.st_dev, found.st_ino

    def _gone(self, reason: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"{shown(self._archive.engine)}: {reason}; it was removed or replaced while it was recorded "
            "into: put it back, or restart the recorder to go on in a new one"
        )

    def run_out(self) -> None:
        """Know that the disk took no more, until it was measured again."""
        self.suffices = False
