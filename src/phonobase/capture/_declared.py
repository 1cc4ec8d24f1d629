"""How much sound the header of a file declares, against how much the file holds.

libsndfile reads what is there and says nothing, so a download that broke off would pass for the whole.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from phonobase.capture._riff import means_until_the_end

if TYPE_CHECKING:
    from collections.abc import Mapping

_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_SOX_AIFF_UNKNOWN = 0x7F000008
_ENDLESS = 1 << 62
_MAX_CHUNKS = 100_000
_CHUNK_HEAD_BYTES = 8


@dataclass(frozen=True, slots=True)
class SoundBytes:
    """Bytes of sound in a file.

    Attributes:
        declared: As the header has it; None where it leaves that open.
        present: From where the sound begins to the end of the file.
        stray: Whether behind the declared sound comes something that is no chunk, and so may be sound.
    """

    declared: int | None
    present: int
    stray: bool = False


@dataclass(frozen=True, slots=True)
class _Chunks:
    """How a container lays out its chunks: an id, a size, a body, and so on."""

    first: int
    head: str
    data_id: bytes
    align: int
    size_includes_head: bool = False


_RIFF = _Chunks(12, "<4sI", b"data", 2)
_CONTAINERS: Mapping[bytes, _Chunks] = {
    b"RIFF": _RIFF,
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"RIFX": _Chunks(12, ">4sI", b"data", 2),
    b"FORM": _Chunks(12, ">4sI", b"SSND", 2),
    b"caff": _Chunks(8, ">4sQ", b"data", 1),
    b"riff": _Chunks(40, "<16sQ", _W64_DATA, 8, size_includes_head=True),
}


def sound_bytes(file: BinaryIO) -> SoundBytes | None:
    """Return how much sound a file declares and holds; None where its container does not say."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] == b".snd" and len(start) == 12:  # noqa: PLR2004 - its first three numbers
        offset, size = struct.unpack(">4xII", start)
        return _compared(size, offset, end)
    layout = _CONTAINERS.get(start[:4])
    return None if layout is None else _walk(file, layout, end)


def _walk(file: BinaryIO, layout: _Chunks, end: int) -> SoundBytes | None:
    head_bytes = struct.calcsize(layout.head)
    position = layout.first
    long_size = 0
    for _ in range(_MAX_CHUNKS):
        if position > end:
            return None
        file.seek(position)
        head = file.read(head_bytes)
        if len(head) < head_bytes:
            return None
        kind, size = struct.unpack(layout.head, head)
        if layout.size_includes_head:
            size = max(0, size - head_bytes)
        position += head_bytes
        if kind == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")  # behind the size of it all
        if kind == layout.data_id:
            found = _compared(long_size or size, position, end)
            if layout is _RIFF and found.declared is not None:
                behind = position + found.declared + found.declared % 2
                return replace(found, stray=_is_stray(file, behind, end))
            return found
        position += -(-size // layout.align) * layout.align
    return None


def _is_stray(file: BinaryIO, position: int, end: int) -> bool:
    """Whether the rest of a RIFF file is no sequence of chunks."""
    while end - position >= _CHUNK_HEAD_BYTES:
        file.seek(position)
        kind, size = struct.unpack("<4sI", file.read(_CHUNK_HEAD_BYTES))
        position += _CHUNK_HEAD_BYTES + size + size % 2
        if not kind.isascii() or not kind.decode().isprintable() or position > end + 1:
            return True
    return False


def _compared(size: int, begin: int, end: int) -> SoundBytes:
    unknown = means_until_the_end(size) or size == _SOX_AIFF_UNKNOWN or size >= _ENDLESS
    return SoundBytes(None if unknown else size, max(0, end - begin))
