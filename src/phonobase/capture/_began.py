"""When the sound of a file began, as the file says.

Sources: EBU Tech 3285 for the chunk of a Broadcast Wave; RFC 9639, section 8.6, for comments in FLAC.
"""

from __future__ import annotations

import contextlib
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from phonobase.capture._riff import is_wav

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEXT = struct.Struct("<256x32s32x10s8sQ")
_MAX_CHUNKS = 100
_VORBIS_COMMENT, _LAST_BLOCK = 4, 0x80
_SECOND_US = 1_000_000


def began_at(file: BinaryIO, sample_rate: int) -> datetime | None:
    """Return when a file says that its sound began; None where it does not.

    A Broadcast Wave names no time zone. Those that phonobase wrote are in UTC, and exact to the sample; of
    others the answer has no zone. FLAC is asked only where phonobase wrote it: elsewhere its date may be
    anything, as the year of an album.

    Args:
        file: Its position is where it was, afterwards.
        sample_rate: In Hz.
    """
    position = file.tell()
    try:
        file.seek(0)
        start = file.read(12)
        # What is no date, or none that there is, is as good as none.
        with contextlib.suppress(ValueError, OverflowError):
            if is_wav(start):
                return _of_wave(_bext(file), sample_rate)
            if start[:4] == b"fLaC":
                file.seek(4)
                return _of_flac(_comments(file))
        return None
    finally:
        file.seek(position)


def _bext(file: BinaryIO) -> bytes:
    """Return the beginning of the chunk ``bext``, or nothing where none comes before the sound."""
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[:4] == b"data":  # noqa: PLR2004 - an id and a size
            break
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"bext":
            return file.read(min(size, _BEXT.size))
        file.seek(size + size % 2, 1)
    return b""


def _of_wave(bext: bytes, sample_rate: int) -> datetime | None:
    if len(bext) < _BEXT.size:
        return None
    originator, day, time, frames = _BEXT.unpack(bext)
    midnight = datetime(int(day[:4]), int(day[5:7]), int(day[8:]))  # noqa: DTZ001 - what separates is free
    if originator.rstrip(b"\0") == b"phonobase":
        since_midnight = timedelta(microseconds=(frames * _SECOND_US + sample_rate // 2) // sample_rate)
        return midnight.replace(tzinfo=UTC) + since_midnight
    return midnight.replace(hour=int(time[:2]), minute=int(time[3:5]), second=int(time[6:]))


def _comments(file: BinaryIO) -> Mapping[str, str]:
    """Return what the comments of a FLAC say."""
    while len(head := file.read(4)) == 4:  # noqa: PLR2004 - a kind and a size
        size = int.from_bytes(head[1:], "big")
        if head[0] & ~_LAST_BLOCK == _VORBIS_COMMENT:
            return dict(_pairs(file.read(size)))
        if head[0] & _LAST_BLOCK:
            break
        file.seek(size, 1)
    return {}


def _pairs(body: bytes) -> list[tuple[str, str]]:
    position = 4 + int.from_bytes(body[:4], "little") + 4  # behind who wrote it, and how many follow
    pairs = []
    while position < len(body):
        size = int.from_bytes(body[position : position + 4], "little")
        key, _, value = body[position + 4 : position + 4 + size].decode().partition("=")
        pairs.append((key, value))
        position += 4 + size
    return pairs


def _of_flac(comments: Mapping[str, str]) -> datetime | None:
    if "PHONOBASE_RECORDING" not in comments:
        return None
    moment = datetime.fromisoformat(comments.get("DATE", ""))
    return moment.astimezone(UTC) if moment.tzinfo else None
