"""Ogg with Opus, for mail and for browsers: a tenth of the size, and not the same samples.

Opus knows five sample rates; sound of any other is resampled to 48 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from phonobase.errors import UnsupportedFormat
from phonobase.pcm import SampleFormat, convert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phonobase.pcm import AudioFormat, Frames

RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""In Hz: what Opus takes as it is."""

MAX_CHANNELS = 5
"""Of six and more Opus takes one for a subwoofer's, and most of its sound away."""

_BITS_PER_SECOND = 48_000
"""A channel's; speech is transparent at half of it."""

_STEP = 1 << 16
"""Frames that are encoded at once."""

_LEAST, _MOST = 6_000, 256_000
"""A channel's bits a second at the ends of libsndfile's scale of compression."""


def check(audio_format: AudioFormat) -> None:
    """Raise UnsupportedFormat, saying what to do, where Opus cannot hold the format."""
    if audio_format.channels > MAX_CHANNELS:
        raise UnsupportedFormat(f"Opus cannot hold {audio_format.channels} channels; choose FLAC or WAV")


def file_rate(audio_format: AudioFormat) -> int:
    """Return the sample rate of an Opus file of that sound, in Hz."""
    return audio_format.sample_rate if audio_format.sample_rate in RATES else RATES[-1]


class OpusEncoder:
    """Frames in, the bytes of an Ogg file out, from its first to its last.

    Args:
        audio_format: Of the frames.
        tags: What the file says of itself: ``title``, ``date``, ``comment``.

    Raises:
        UnsupportedFormat: Opus cannot hold the format.
    """

    def __init__(self, audio_format: AudioFormat, tags: Mapping[str, str] | None = None) -> None:
        check(audio_format)
        rate = file_rate(audio_format)
        self._format = audio_format
        self._resampler = (
            None
            if rate == audio_format.sample_rate
            else soxr.ResampleStream(audio_format.sample_rate, rate, audio_format.channels, dtype="float32")
        )
        self._sink = _Sink()
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            rate,
            audio_format.channels,
            format="OGG",
            subtype="OPUS",
            compression_level=(_MOST - _BITS_PER_SECOND) / (_MOST - _LEAST),
        )
        for name, value in (tags or {}).items():
            setattr(self._file, name, value)

    def write(self, frames: Frames) -> bytes:
        """Encode frames and return the bytes that they complete."""
        for start in range(0, len(frames), _STEP):  # as floats they take several times the room
            piece = frames[start : start + _STEP]
            floats = convert(piece, self._format.sample_format, SampleFormat.FLOAT32)
            if self._resampler is not None:
                floats = self._resampler.resample_chunk(floats)
            self._file.write(floats)
        return self._sink.take()

    def finish(self) -> bytes:
        """End the stream and return the rest."""
        if self._resampler is not None:
            nothing = np.empty((0, self._format.channels), np.float32)
            self._file.write(self._resampler.resample_chunk(nothing, last=True))
        self._file.close()
        return self._sink.take()


class _Sink:
    """The file libsndfile writes to, from its beginning to its end."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._position = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 - a cffi buffer
        self._bytes += data
        self._position += len(data)
        return len(data)

    def seek(self, _offset: int, _whence: int = 0) -> int:
        # It asks for the length of the file before it writes the first byte, and never goes back.
        return self._position

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
