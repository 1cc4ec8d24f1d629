"""The encodings a recording can have, behind one interface."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from phonobase.audio import flac, wav
from phonobase.errors import UnsupportedFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phonobase.audio.packet import Packet
    from phonobase.pcm import AudioFormat, Frames


class Encoding(StrEnum):
    """How the audio rows of a recording are encoded."""

    FLAC = "flac"
    PCM = "pcm"

    @property
    def media_type(self) -> str:
        """The media type of ``header || audio rows``."""
        return {Encoding.FLAC: "audio/flac", Encoding.PCM: "audio/wav"}[self]

    @property
    def suffix(self) -> str:
        """The file name suffix of ``header || audio rows``."""
        return {Encoding.FLAC: ".flac", Encoding.PCM: ".wav"}[self]


class Encoder(Protocol):
    """Frames in, packets out."""

    def write(self, frames: Frames) -> list[Packet]:
        """Encode frames and return the packets that they complete."""

    def finish(self) -> list[Packet]:
        """End the stream and return the packets that were still open."""

    @property
    def md5(self) -> bytes:
        """MD5 of all PCM, for the header, once finished; sixteen zero bytes where none is needed."""


def choose(audio_format: AudioFormat, name: str | None = None) -> Encoding:
    """Return the encoding called so; without a name FLAC where it can hold the format, else PCM.

    Raises:
        UnsupportedFormat: There is none of that name, or it cannot hold the format.
    """
    if name is None:
        try:
            flac.check(audio_format)
        except UnsupportedFormat:
            return Encoding.PCM
        return Encoding.FLAC
    try:
        encoding = Encoding(name)
    except ValueError:
        choices = ", ".join(Encoding)
        raise UnsupportedFormat(f"no encoding {name!r}; choose one of {choices}") from None
    if encoding is Encoding.FLAC:
        flac.check(audio_format)
    return encoding


def encoder(encoding: Encoding, audio_format: AudioFormat) -> Encoder:
    """Return a new encoder."""
    if encoding is Encoding.FLAC:
        return flac.FlacEncoder(audio_format)
    return wav.PcmEncoder(audio_format)


def header(
    encoding: Encoding,
    audio_format: AudioFormat,
    frame_count: int,
    md5: bytes = flac.UNKNOWN_MD5,
    comments: Mapping[str, str] | None = None,
) -> bytes:
    """Return what makes a playable file of so many encoded frames that follow it.

    Args:
        encoding: Of the frames.
        audio_format: Of the frames.
        frame_count: Frames that follow.
        md5: MD5 of their PCM; only FLAC has a place for it.
        comments: What the file says of itself; only FLAC has a place for it.
    """
    if encoding is Encoding.FLAC:
        return flac.header(audio_format, frame_count, md5, comments)
    return wav.header(audio_format, frame_count)


def is_whole(encoding: Encoding, head: bytes) -> bool:
    """Whether a header has all its parts and nothing behind them."""
    return encoding is not Encoding.FLAC or flac.header_bytes(head) == len(head)


def essence(encoding: Encoding, head: bytes) -> bytes:
    """Return the part of a header that follows from the sound; what a file says of itself comes behind."""
    return head[: flac.STREAMINFO_END] if encoding is Encoding.FLAC else head
