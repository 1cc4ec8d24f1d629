"""The chunk that makes a WAV a Broadcast Wave: whose sound it is, and when it was heard.

Source: EBU Tech 3285, version 1 of the chunk; its identifier of films, UMID, is left empty.
"""

from __future__ import annotations

import struct
from datetime import UTC
from typing import TYPE_CHECKING

from phonobase.pcm import SampleFormat

if TYPE_CHECKING:
    from datetime import datetime

    from phonobase.pcm import AudioFormat

_VERSION = 1
_MODES = {1: "mono", 2: "stereo"}


def chunk(
    audio_format: AudioFormat, started_at: datetime, time_reference: int, description: str, reference: str
) -> bytes:
    """Return the chunk ``bext``.

    Args:
        audio_format: Of the file.
        started_at: At the first frame.
        time_reference: Frames before the first since midnight UTC.
        description: What it is; what is not ASCII becomes a question mark, what is too long is cut off.
        reference: What the originator calls it, 32 characters at most.
    """
    moment = started_at.astimezone(UTC)
    body = struct.pack(
        "<256s32s32s10s8sQH64s190s",
        _ascii(description),
        b"phonobase",
        _ascii(reference),
        moment.strftime("%Y-%m-%d").encode(),
        moment.strftime("%H:%M:%S").encode(),
        time_reference,
        _VERSION,
        bytes(64),
        bytes(190),
    )
    body += _history(audio_format)
    return b"bext" + struct.pack("<I", len(body)) + body


def _history(audio_format: AudioFormat) -> bytes:
    """Return how it was coded, of an even length."""
    mode = _MODES.get(audio_format.channels)
    words = [
        "A=PCM",
        f"F={audio_format.sample_rate}",
        f"W={audio_format.sample_format.bits}",
        *([f"M={mode}"] if mode else []),
        "T=phonobase" + (";float" if audio_format.sample_format is SampleFormat.FLOAT32 else ""),
    ]
    line = (",".join(words) + "\r\n").encode()
    return line + bytes(len(line) % 2)


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")
