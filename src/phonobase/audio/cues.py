"""Labels inside the file they are of, where players and editors show them.

In a WAV they are its chunks ``cue `` and ``LIST adtl`` (Multimedia Programming Interface and Data
Specifications 1.0); in FLAC they are chapters, as Ogg files have them, among the comments.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from phonobase.errors import UnsupportedFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phonobase.audio.labels import Label

_UNSIGNED_32_MAX = 0xFFFFFFFF
_MOST_CHAPTERS = 999
_MOST_CAPTION_BYTES = 16_000_000
"""The block of comments takes 2**24 bytes in all; the rest is for what else it says."""


def cue_chunks(labels: Sequence[Label]) -> bytes:
    """Return the chunks of a WAV that hold labels: places, texts, and lengths of those that have one.

    Raises:
        UnsupportedFormat: One lies too far behind for the 32 bits of a place.
    """
    if not labels:
        return b""
    if max(label.end_frame for label in labels) > _UNSIGNED_32_MAX:
        raise UnsupportedFormat(
            f"a WAV holds no label behind frame {_UNSIGNED_32_MAX}; write them to a file of their own"
        )
    cues, notes = struct.pack("<I", len(labels)), b"adtl"
    for number, label in enumerate(labels, 1):
        cues += struct.pack("<II4sIII", number, label.first_frame, b"data", 0, 0, label.first_frame)
        notes += _chunk(b"labl", struct.pack("<I", number) + label.caption.encode() + b"\0")
        if label.frame_count:
            region = struct.pack("<II4sHHHH", number, label.frame_count, b"rgn ", 0, 0, 0, 0)
            notes += _chunk(b"ltxt", region)
    return _chunk(b"cue ", cues) + _chunk(b"LIST", notes)


def chapters(labels: Sequence[Label], sample_rate: int) -> dict[str, str]:
    """Return the comments that make labels the chapters of a FLAC file; each begins where its label does.

    Raises:
        UnsupportedFormat: There are more than chapters have numbers, or more letters than comments take.
    """
    if len(labels) > _MOST_CHAPTERS:
        raise UnsupportedFormat(
            f"a FLAC file holds {_MOST_CHAPTERS} chapters, and there are {len(labels)} labels; "
            "write them to a file of their own"
        )
    if sum(len(label.caption.encode()) for label in labels) > _MOST_CAPTION_BYTES:
        raise UnsupportedFormat(
            f"a FLAC file holds {_MOST_CAPTION_BYTES} bytes of labels, and there are more; "
            "write them to a file of their own"
        )
    comments = {}
    for number, label in enumerate(labels, 1):
        seconds, rest = divmod(label.first_frame * 1000 // sample_rate, 1000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        comments[f"CHAPTER{number:03}"] = f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
        comments[f"CHAPTER{number:03}NAME"] = label.caption
    return comments


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
