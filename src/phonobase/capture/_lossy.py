"""Lossy files whose sound libsndfile would give only in part, without a word.

It believes an estimate where an MP3 does not say how long it is, and stops at the end of the first of
several streams that stand one after the other in a file.

Sources: RFC 3533 for Ogg pages; the Xing and VBRI headers as every MP3 decoder knows them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from phonobase.errors import InvalidAudio, TruncatedAudio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAGE_HEAD_BYTES = 27
_FIRST_PAGE, _LAST_PAGE = 2, 4
_ID3_HEAD_BYTES = 10
_FIRST_MPEG_FRAMES_BYTES = 8192
_MPEG_SYNC = 0xE0


def check_ogg(file: BinaryIO, path: Path) -> None:
    """Check that an Ogg file is one stream with an end.

    Raises:
        InvalidAudio: Several streams stand one after the other.
        TruncatedAudio: The end is missing.
    """
    size = file.seek(0, os.SEEK_END)
    behind_first = ended = False
    for flags, end in _ogg_pages(file):
        if behind_first and flags & _FIRST_PAGE:
            raise InvalidAudio(f"{path} is several Ogg streams in a row; {remedy(path)} reads all")
        behind_first = behind_first or not flags & _FIRST_PAGE
        ended = bool(flags & _LAST_PAGE) and end <= size
    if not ended:
        raise TruncatedAudio(f"{path} has no end; {remedy(path)} keeps what is there")


def check_mpeg(file: BinaryIO, path: Path) -> None:
    """Check that an MP3 file says how long it is.

    Raises:
        InvalidAudio: It does not.
    """
    file.seek(0)
    tag = file.read(_ID3_HEAD_BYTES)
    file.seek(_ID3_HEAD_BYTES + _id3_bytes(tag) if tag[:3] == b"ID3" else 0)
    start = file.read(_FIRST_MPEG_FRAMES_BYTES)
    if not any(mark in start for mark in (b"Xing", b"Info", b"VBRI")):
        raise InvalidAudio(f"{path} is MP3 that does not say how long it is; {remedy(path)} reads all")


def check_mpeg_rest(file: BinaryIO, path: Path) -> None:
    """Check that no sound follows where the decoder of an MP3 file has stopped.

    Raises:
        InvalidAudio: Some does.
    """
    rest = file.read(3)
    if rest == b"ID3" or (rest[:1] == b"\xff" and rest[1:2] and rest[1] & _MPEG_SYNC == _MPEG_SYNC):
        raise InvalidAudio(f"{path} holds more sound than it says; {remedy(path)} reads all")


def remedy(path: Path) -> str:
    """Return the command that reads what is not read here."""
    return f"`ffmpeg -i {path} -f wav - | phonobase record --input -`"


def _ogg_pages(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the flags of each page and where it ends."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(_PAGE_HEAD_BYTES)
        if len(head) < _PAGE_HEAD_BYTES or head[:4] != b"OggS":
            return
        position += _PAGE_HEAD_BYTES + head[26] + sum(file.read(head[26]))
        yield head[5], position


def _id3_bytes(tag: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
