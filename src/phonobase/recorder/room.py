"""Room on the disk for more sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def measure(self) -> None:
        """Look at the disk.

        Raises:
            StoreError: The archive does not say.
        """
        self.free_bytes = self._archive.room()
        again = max(self.floor_bytes * _MARGIN, _LEAST_BYTES)
        self.suffices = self.free_bytes >= (self.floor_bytes if self.suffices else again)

    def run_out(self) -> None:
        """Know that the disk took no more, until it was measured again."""
        self.suffices = False
