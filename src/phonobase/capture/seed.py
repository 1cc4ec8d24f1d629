"""The function this project grew from: so many seconds of sound, as bytes."""

from __future__ import annotations

import math

from phonobase.capture.device import DeviceInput
from phonobase.capture.limit import limited
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, parse_sample_format, to_bytes


def record_audio_to_bytes(
    duration: float = 5,
    samplerate: int = 44100,
    channels: int = 1,
    *,
    device: str | int | None = None,
    dtype: str = "int16",
) -> tuple[bytes, int]:
    """Record from an input device and wait for the end.

    Args:
        duration: In seconds; exactly ``round(duration * samplerate)`` frames are recorded.
        samplerate: Frames a second, in Hz.
        channels: Samples in a frame.
        device: An index, a name, a part of a name in any case, or None for the default input.
        dtype: ``int16``, ``int24`` (three bytes a sample), ``int32`` or ``float32``.

    Returns:
        The raw interleaved little-endian PCM, and the sample rate, without which it is not sound.

    Raises:
        UnsupportedFormat: The duration, the rate, the channels or the dtype is outside the limits.
        CaptureError: No device, or it refuses, or it was lost.
    """
    audio_format = AudioFormat(samplerate, channels, parse_sample_format(dtype))
    if not (math.isfinite(duration) and round(duration * samplerate) > 0):
        raise UnsupportedFormat(f"a duration of {duration} s cannot be recorded; choose one above 0")
    source = DeviceInput(audio_format, device)
    recorded = bytearray()
    try:
        for block in limited(source.blocks(), round(duration * samplerate)):
            recorded += to_bytes(block.frames, audio_format.sample_format)
    finally:
        source.close()
    return bytes(recorded), samplerate
