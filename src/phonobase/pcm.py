"""PCM, the language all layers share: sample formats, frames as arrays, frames as bytes.

Frames travel as numpy arrays of shape (frames, channels) in the dtype of their sample format, and rest
as interleaved little-endian bytes. 24-bit samples travel left-justified in int32 (the low byte is zero,
as soundfile has it) and rest packed in three bytes, so both conversions lose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from phonobase.errors import InvalidAudio, UnsupportedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

Frames: TypeAlias = npt.NDArray[Any]
"""Shape (frames, channels), dtype as SampleFormat.dtype says."""

MAX_CHANNELS = 32
MAX_SAMPLE_RATE = 1_048_575
"""In Hz: what the 20 bits of FLAC's STREAMINFO hold (RFC 9639, section 8.2)."""

_SILENT_SAMPLES = 65_536
_INT24_MASK = np.int32(-256)


class SampleFormat(StrEnum):
    """How one sample is represented."""

    INT16 = "int16"
    INT24 = "int24"
    INT32 = "int32"
    FLOAT32 = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype that frames of this format travel in."""
        return np.dtype(np.int32 if self is SampleFormat.INT24 else self.value)

    @property
    def byte_width(self) -> int:
        """Bytes of one sample at rest."""
        return self.bits // 8

    @property
    def bits(self) -> int:
        """Bits of one sample at rest."""
        return int(self.value.removeprefix("int").removeprefix("float"))

    @property
    def full_scale(self) -> float:
        """The amplitude, in units of the dtype, that is 0 dBFS."""
        if self is SampleFormat.FLOAT32:
            return 1.0
        return float(2 ** (8 * self.dtype.itemsize - 1))

    @property
    def largest(self) -> float:
        """The largest positive value of the dtype; at it, or at -full_scale, a sample is clipped."""
        step = {"int16": 1, "int24": 256, "int32": 1, "float32": 0}[self.value]
        return self.full_scale - step


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What must be known to read PCM bytes.

    Attributes:
        sample_rate: Frames a second, in Hz.
        channels: Samples in a frame.
        sample_format: Representation of a sample.

    Raises:
        UnsupportedFormat: A value is outside the limits.
    """

    sample_rate: int
    channels: int
    sample_format: SampleFormat = SampleFormat.INT16

    def __post_init__(self) -> None:
        if not 1 <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise UnsupportedFormat(
                f"a sample rate of {self.sample_rate} Hz cannot be stored; "
                f"choose one from 1 to {MAX_SAMPLE_RATE}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise UnsupportedFormat(
                f"{self.channels} channels cannot be stored; choose from 1 to {MAX_CHANNELS}"
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame at rest."""
        return self.channels * self.sample_format.byte_width

    def microseconds(self, frames: int) -> int:
        """The duration of so many frames, in whole microseconds, rounded down."""
        return frames * 1_000_000 // self.sample_rate

    def __str__(self) -> str:
        return f"{self.sample_rate} Hz, {self.channels} ch, {self.sample_format}"


def parse_sample_format(name: str) -> SampleFormat:
    """Return the sample format called so.

    Raises:
        UnsupportedFormat: There is none of that name.
    """
    try:
        return SampleFormat(name)
    except ValueError:
        choices = ", ".join(SampleFormat)
        raise UnsupportedFormat(f"no sample format {name!r}; choose one of {choices}") from None


def as_frames(array: npt.ArrayLike, audio_format: AudioFormat) -> Frames:
    """Return ``array`` as frames of the given format, without copying where it already is.

    Args:
        array: Shape (frames, channels), or (frames,) for one channel.
        audio_format: What the array must hold.

    Raises:
        UnsupportedFormat: The shape or dtype is another.
        InvalidAudio: A float sample is NaN or infinite.
    """
    frames = np.asarray(array)
    if frames.ndim == 1:
        frames = frames.reshape(-1, 1)
    wanted = audio_format.sample_format.dtype
    if frames.ndim != 2 or frames.shape[1] != audio_format.channels:  # noqa: PLR2004
        raise UnsupportedFormat(
            f"an array of shape {np.shape(array)} does not hold frames of "
            f"{audio_format.channels} channels; pass shape (frames, {audio_format.channels})"
        )
    if frames.dtype != wanted:
        raise UnsupportedFormat(
            f"an array of {frames.dtype} does not hold {audio_format.sample_format} samples; "
            f"pass {wanted}" + (", left-justified" if wanted.itemsize * 8 != _bits(audio_format) else "")
        )
    if wanted.kind == "f" and not np.isfinite(frames).all():
        bad = int(np.flatnonzero(~np.isfinite(frames).all(axis=1))[0])
        raise InvalidAudio(
            f"frame {bad} of a block holds NaN or infinity, which is not sound; "
            "mend what produces it, or record as int24"
        )
    if audio_format.sample_format is SampleFormat.INT24 and (frames & ~_INT24_MASK).any():
        raise UnsupportedFormat(
            "an int24 sample has bits in the low byte; left-justify 24-bit samples in int32 (x << 8)"
        )
    return frames


def to_bytes(frames: Frames, sample_format: SampleFormat) -> bytes:
    """Return frames as interleaved little-endian PCM."""
    little = np.ascontiguousarray(frames, dtype=frames.dtype.newbyteorder("<"))
    if sample_format is SampleFormat.INT24:
        return little.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    return little.tobytes()


def from_bytes(data: bytes | bytearray | memoryview, audio_format: AudioFormat) -> Frames:
    """Return interleaved little-endian PCM as frames, read-only where no conversion was needed.

    Raises:
        InvalidAudio: The bytes are not a whole number of frames.
    """
    if len(data) % audio_format.frame_bytes:
        raise InvalidAudio(
            f"{len(data)} bytes are not a whole number of {audio_format.frame_bytes}-byte frames "
            f"({audio_format}); check the channels and the sample format"
        )
    if audio_format.sample_format is SampleFormat.INT24:
        wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        samples: Frames = wide.view("<i4").reshape(-1)
    else:
        dtype = audio_format.sample_format.dtype.newbyteorder("<")
        samples = np.frombuffer(data, dtype=dtype)
    native = samples.astype(audio_format.sample_format.dtype, copy=False)
    return native.reshape(-1, audio_format.channels)


def convert(frames: Frames, source: SampleFormat, target: SampleFormat) -> Frames:
    """Return frames in another sample format.

    Widening an integer is exact. Narrowing drops the low bits. Floats are scaled by full scale, rounded
    to the nearest step and clipped.
    """
    if source is target:
        return frames
    if target is SampleFormat.FLOAT32:
        return (frames / np.float64(source.full_scale)).astype(np.float32)
    if source is SampleFormat.FLOAT32:
        step = 2.0 ** (8 * target.dtype.itemsize - target.bits)
        scaled = np.rint(frames * np.float64(target.full_scale / step)) * step
        return np.clip(scaled, -target.full_scale, target.largest).astype(target.dtype)
    wide = frames.astype(np.int32) << 16 if source is SampleFormat.INT16 else frames
    if target is SampleFormat.INT16:
        return (wide >> 16).astype(np.int16)
    return wide & _INT24_MASK if target is SampleFormat.INT24 else wide


def silence(frame_count: int, audio_format: AudioFormat) -> Iterator[Frames]:
    """Yield so many frames of digital silence, block by block; the blocks share their memory."""
    piece = max(1, _SILENT_SAMPLES // audio_format.channels)
    shape = (min(piece, frame_count), audio_format.channels)
    block: Frames = np.zeros(shape, dtype=audio_format.sample_format.dtype)
    for start in range(0, frame_count, piece):
        yield block[: frame_count - start]


def _bits(audio_format: AudioFormat) -> int:
    return audio_format.sample_format.bits
