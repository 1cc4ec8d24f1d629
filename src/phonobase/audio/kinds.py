"""The kinds of files that sound goes into."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from phonobase.audio import flac, opus
from phonobase.audio.encoding import Encoding
from phonobase.errors import InvalidAudio

if TYPE_CHECKING:
    from phonobase.pcm import AudioFormat

_READ_BYTES = 1 << 20
_RIFF_HEAD_BYTES = 12
_SUFFIXES = {
    "flac": (".flac",),
    "wav": (".wav",),
    "bwf": (".bwf",),
    "opus": (".opus", ".ogg"),
}


class Kind(StrEnum):
    """A kind of file."""

    FLAC = "flac"
    WAV = "wav"
    """Plain PCM; RF64 past 4 GiB."""
    BWF = "bwf"
    """A WAV that says, too, when its first frame was heard: Broadcast Wave, EBU Tech 3285."""
    OPUS = "opus"
    """Ogg with Opus: small, and for ears; the samples are not those of the recording."""

    @classmethod
    def of(cls, encoding: Encoding) -> Kind:
        """Return the kind that ``header || audio rows`` of a recording is."""
        return {Encoding.FLAC: cls.FLAC, Encoding.PCM: cls.WAV}[encoding]

    @classmethod
    def named(cls, suffix: str) -> Kind | None:
        """Return the kind of files whose names end so; None where there is none."""
        return next((kind for kind in cls if suffix.lower() in _SUFFIXES[kind]), None)

    @property
    def suffix(self) -> str:
        """How the names of such files end."""
        # Few programs know a name that ends in .bwf, and the file is a WAV.
        return ".wav" if self is Kind.BWF else _SUFFIXES[self][0]

    @property
    def is_lossy(self) -> bool:
        """Whether the samples in the file are others than those that went in."""
        return self is Kind.OPUS

    def check(self, audio_format: AudioFormat) -> None:
        """Raise UnsupportedFormat where such a file cannot hold the format."""
        if self is Kind.FLAC:
            flac.check(audio_format)
        elif self is Kind.OPUS:
            opus.check(audio_format)

    def header_bytes(self, file: BinaryIO) -> int:
        """Return how many bytes of a file stand before its sound; none in Ogg, where both are mixed.

        Raises:
            InvalidAudio: It is no file of the kind.
        """
        begin = file.read(_RIFF_HEAD_BYTES)
        found = None
        if self is Kind.OPUS:
            found = 0 if begin.startswith(b"OggS") else None
        elif self is Kind.FLAC:
            while begin.startswith(b"fLaC") and (found := flac.header_bytes(begin)) is None:
                more = file.read(_READ_BYTES)
                if not more:
                    break
                begin += more
        elif begin[:4] in (b"RIFF", b"RF64") and begin[8:] == b"WAVE":
            found = _data_place(file)
        if found is None:
            raise InvalidAudio(f"the file is no {self.upper()}, or it is cut off")
        return found


def _data_place(file: BinaryIO) -> int | None:
    """Return where the PCM of a WAV begins, of which so much was read that a chunk follows."""
    while len(head := file.read(8)) == 8:  # noqa: PLR2004 - a name and a size
        if head.startswith(b"data"):
            return file.tell()
        size = int.from_bytes(head[4:], "little")
        file.seek(size + size % 2, 1)
    return None


def suffixes() -> list[str]:
    """Return all ends of names that say what kind of file it is."""
    return [suffix for kind in Kind for suffix in _SUFFIXES[kind]]
