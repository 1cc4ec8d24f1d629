"""What stands before the sound in a WAV or RF64 stream that cannot be wound back.

Sources: Microsoft's "Multiple Channel Audio Data and WAVE Files"; EBU Tech 3306 for RF64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from phonobase.errors import InvalidAudio, TruncatedAudio, UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat

_SOX_UNKNOWN, _ARECORD_UNKNOWN, _FFMPEG_UNKNOWN = 0x7FFFF000, 0x80000000, 0xFFFFFFFF
_LARGEST_FRAME_BYTES = 128

_PCM, _IEEE_FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_SAMPLE_FORMATS = {
    (_PCM, 16): SampleFormat.INT16,
    (_PCM, 24): SampleFormat.INT24,
    (_PCM, 32): SampleFormat.INT32,
    (_IEEE_FLOAT, 32): SampleFormat.FLOAT32,
}
_FMT_BYTES, _EXTENSIBLE_FMT_BYTES, _DS64_BYTES = 16, 40, 16


class Stream(Protocol):
    """Bytes that come once."""

    def read(self, count: int) -> bytes:
        """Return the next so many bytes, or fewer where the stream ends."""

    def skip(self, count: int) -> None:
        """Pass over so many bytes, or fewer where the stream ends."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a WAV header says.

    Attributes:
        format: Of the sound behind it.
        data_bytes: The size of that sound; None where it goes on until the end.
    """

    format: AudioFormat
    data_bytes: int | None


def means_until_the_end(size: int) -> bool:
    """Whether a size was written to a pipe by a program that could not know it.

    Some round their stand-in for infinity down to whole frames.
    """
    stand_ins = (0, _SOX_UNKNOWN, _ARECORD_UNKNOWN, _FFMPEG_UNKNOWN)
    return any(size <= stand_in < size + _LARGEST_FRAME_BYTES for stand_in in stand_ins)


def is_wav(start: bytes) -> bool:
    """Whether a stream that starts with these 12 bytes is WAV or RF64."""
    return start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:12] == b"WAVE"


def read_header(stream: Stream, name: str) -> Header:
    """Return what the header says and leave the stream at the first byte of the sound.

    Args:
        stream: Behind the 12 bytes that say that it is WAV.
        name: What to call the stream in an error.

    Raises:
        InvalidAudio: The header contradicts itself, or is not one.
        TruncatedAudio: The stream ends within it.
        UnsupportedFormat: It holds sound in a form that is not read here.
    """
    audio_format: AudioFormat | None = None
    long_size: int | None = None
    while True:
        kind, size = struct.unpack("<4sI", _exactly(stream, 8, name))
        if kind == b"data":
            if audio_format is None:
                raise InvalidAudio(
                    f"{name}: the sound comes before its format; {_remedy()} puts them in order"
                )
            return Header(audio_format, _data_bytes(size, long_size))
        wanted = {b"fmt ": _EXTENSIBLE_FMT_BYTES, b"ds64": _DS64_BYTES}.get(kind, 0)
        body = _exactly(stream, min(size, wanted), name)
        stream.skip(size + size % 2 - len(body))
        if kind == b"fmt ":
            audio_format = _format(body, name)
        elif kind == b"ds64" and len(body) == _DS64_BYTES:
            long_size = struct.unpack("<8xQ", body)[0]


def _data_bytes(size: int, long_size: int | None) -> int | None:
    # Where there is a ds64 chunk, its size counts wherever the short one does not reach.
    if means_until_the_end(size):
        return long_size or None
    return size


def _format(body: bytes, name: str) -> AudioFormat:
    if len(body) < _FMT_BYTES:
        raise InvalidAudio(f"{name}: its format takes {len(body)} bytes, not at least {_FMT_BYTES}")
    tag, channels, sample_rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", body[:_FMT_BYTES])
    if tag == _EXTENSIBLE and body[26:] == _SUBTYPE_TAIL:
        tag = int.from_bytes(body[24:26], "little")
    sample_format = _SAMPLE_FORMATS.get((tag, bits))
    if sample_format is None:
        raise UnsupportedFormat(
            f"{name} is WAV with format tag {tag} and {bits} bits a sample, which is not read from a "
            f"pipe; {_remedy()} converts it"
        )
    audio_format = AudioFormat(sample_rate, channels, sample_format)
    if frame_bytes != audio_format.frame_bytes:
        raise InvalidAudio(
            f"{name}: its header says {frame_bytes} bytes a frame, which {audio_format} is not; "
            f"{_remedy()} converts it"
        )
    return audio_format


def _exactly(stream: Stream, count: int, name: str) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise TruncatedAudio(f"{name} ends within its WAV header; send it again")
    return found


def _remedy() -> str:
    return "`ffmpeg -i FILE -c:a pcm_s24le -f wav - | phonobase record --input -`"
