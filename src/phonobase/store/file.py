"""A recording as a file to read from, though it lies in rows."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

from phonobase.errors import CorruptRecording

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from phonobase.store.chunks import StoredChunk, StoredChunks

_BUFFER_BYTES = 64 * 1024
_PIECE_BYTES = 1024 * 1024
_FIRST_PIECE_BYTES = 256 * 1024
"""Who begins to listen wants to hear something; who seeks may want no more."""


def pieces(stored: StoredChunks, first: int, end: int) -> Generator[bytes]:
    """Yield bytes of ``header || audio``, some at a time, the first few soon.

    Nothing of the database is held between two of them.

    Args:
        stored: What to read.
        first: The first byte.
        end: The byte behind the last one; no more than the file has.

    Raises:
        CorruptRecording: A chunk is missing.
    """
    header = stored.recording.header
    at_most, place = _FIRST_PIECE_BYTES, first
    while place < end:
        piece = header[place:end]
        if place + len(piece) < end:
            behind = place + len(piece) - len(header)
            piece += stored.bytes_at(behind, end - len(header), at_most)
        place += len(piece)
        at_most = _PIECE_BYTES
        yield piece


def open_file(stored: StoredChunks) -> BinaryIO:
    """Return a recording as a file, with a buffer for readers that take a few bytes at a time."""
    return cast("BinaryIO", io.BufferedReader(RecordingFile(stored), _BUFFER_BYTES))


class RecordingFile(io.RawIOBase):
    """``header || audio`` of a recording, as it was when it was opened.

    One chunk is fetched where a read begins, several where reading goes on behind it, so that jumping
    about is cheap and copying is fast.

    Args:
        stored: What to read.
    """

    def __init__(self, stored: StoredChunks) -> None:
        self._stored = stored
        self._recording = stored.recording
        self._position = 0
        self._at_hand: Sequence[StoredChunk] = ()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it."""
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._recording.file_bytes,
        }
        position = base[whence] + offset
        if position < 0:
            raise ValueError(f"cannot seek to {position}, before the beginning")
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # any writable buffer
        """Fill the buffer from the position on and return how many bytes that were."""
        header = self._recording.header
        if self._position >= self._recording.file_bytes:
            return 0
        if self._position < len(header):
            data = memoryview(header)[self._position :]
        else:
            offset = self._position - len(header)
            chunk = self._chunk_at(offset)
            data = memoryview(chunk.data)[offset - chunk.first_byte :]
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._position += count
        return count

    def readall(self) -> bytes:
        """Return everything from the position on."""
        return b"".join(iter(lambda: self.read(_PIECE_BYTES) or b"", b""))

    def _chunk_at(self, offset: int) -> StoredChunk:
        for chunk in self._at_hand:
            if chunk.first_byte <= offset < chunk.first_byte + len(chunk.data):
                return chunk
        last = self._at_hand[-1] if self._at_hand else None
        if last is not None and offset == last.first_byte + len(last.data):
            self._at_hand = self._stored.fetch(last.seq + 1, self._stored.rows_per_batch)
        else:
            self._at_hand = self._stored.fetch(self._stored.seq_at_byte(offset), 1)
        chunk = self._at_hand[0]
        if not chunk.first_byte <= offset < chunk.first_byte + len(chunk.data):
            raise CorruptRecording(
                f"recording {self._recording.id.hex}: byte {offset} is not in chunk {chunk.seq}, where it "
                f"should be; see what is wrong with: phonobase verify {self._recording.id.hex}"
            )
        return chunk
