"""The hash chain that binds a recording's chunks to each other and to what the recording is.

Every chunk carries the SHA-256 of its stored bytes and a link::

    link = SHA-256(previous link || seq || first_frame || frame_count || sha256)

with the three numbers as big-endian 64-bit integers, which is what PostgreSQL's ``int8send`` gives, so that
a chain can be checked by SQL alone. The first link stands on the genesis, a hash over what the recording is
and when it began: a chunk that was changed, removed, added, reordered or taken from another recording shows,
and so does a recording whose source, start or format was changed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase.audio.encoding import Encoding
    from phonobase.pcm import AudioFormat

_GENESIS = "phonobase-chain-1"


def genesis(
    recording_id: UUID,
    started_at_us: int,
    audio_format: AudioFormat,
    encoding: Encoding,
    source: str,
) -> bytes:
    """Return the link before the first chunk.

    Args:
        recording_id: The recording's id.
        started_at_us: Its start, in microseconds since 1970-01-01 UTC.
        audio_format: Its format.
        encoding: Its encoding.
        source: The name of its source.
    """
    fields = (
        _GENESIS,
        recording_id.hex,
        started_at_us,
        audio_format.sample_rate,
        audio_format.channels,
        audio_format.sample_format,
        encoding,
        source,
    )
    return hashlib.sha256("\n".join(map(str, fields)).encode()).digest()


def link(previous: bytes, seq: int, first_frame: int, frame_count: int, sha256: bytes) -> bytes:
    """Return the link of a chunk behind the previous link."""
    numbers = struct.pack(">qqq", seq, first_frame, frame_count)
    return hashlib.sha256(previous + numbers + sha256).digest()
