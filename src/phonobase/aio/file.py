"""A recording as a file whose bytes are awaited."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

_R = TypeVar("_R")

_PIECE_BYTES = 256 * 1024


class Run(Protocol):
    """Runs work that waits, and lets the event loop go on meanwhile."""

    async def __call__(self, work: Callable[[], _R], /) -> _R:
        """Return what ``work()`` returns."""
        ...


class AsyncFile:
    """``header || audio`` of a recording, as it was when it was opened; bytes are fetched as they are read.

    It holds nothing that needs closing. One task at a time may read.

    Args:
        file: What to read.
        run: Runs the reading.
    """

    def __init__(self, file: BinaryIO, run: Run) -> None:
        self._file = file
        self._run = run
        self.size = file.seek(0, os.SEEK_END)
        """In bytes."""
        file.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it; nothing is read for that."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    async def read(self, size: int = -1) -> bytes:
        """Return so many bytes from the position on, or fewer at the end; all, where not given.

        Raises:
            CorruptRecording: They are missing.
        """
        return await self._run(lambda: self._file.read(size))

    async def pieces(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from start to stop, in pieces, in memory that does not grow: a download's body.

        Args:
            start: First byte, counted from 0.
            stop: The byte behind the last one; the end, where not given.

        Raises:
            CorruptRecording: They are missing.
        """
        self.seek(start)
        left = (self.size if stop is None else stop) - start
        while left > 0 and (piece := await self.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
