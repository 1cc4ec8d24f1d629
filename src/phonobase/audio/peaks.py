"""The small min/max envelope that a waveform is drawn from.

One point covers FRAMES_PER_POINT frames (the last of a chunk may cover fewer) and holds, for each channel,
a minimum and a maximum as signed bytes, full scale being 128: the layout of the 8-bit points in
audiowaveform's data format, version 2. Minima are rounded down and maxima up, so that sound that is not
silent never looks silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from phonobase.pcm import Frames, SampleFormat

FRAMES_PER_POINT = 512


def envelope(frames: Frames, sample_format: SampleFormat) -> bytes:
    """Return the envelope of frames: for each point and channel a minimum and a maximum byte."""
    whole = len(frames) // FRAMES_PER_POINT * FRAMES_PER_POINT
    groups = frames[:whole].reshape(-1, FRAMES_PER_POINT, frames.shape[1])
    low, high = groups.min(axis=1), groups.max(axis=1)
    if whole < len(frames):
        low = np.concatenate([low, frames[whole:].min(axis=0, keepdims=True)])
        high = np.concatenate([high, frames[whole:].max(axis=0, keepdims=True)])
    scale = 128 / sample_format.full_scale
    # In float64: the largest float32 would become infinite.
    points = np.stack(
        [np.floor(low.astype(np.float64) * scale), np.ceil(high.astype(np.float64) * scale)], axis=-1
    )
    return points.clip(-128, 127).astype(np.int8).tobytes()


def points(envelope_bytes: bytes, channels: int) -> npt.NDArray[np.int8]:
    """Return an envelope as an array of shape (points, channels, 2); the last axis is (min, max)."""
    return np.frombuffer(envelope_bytes, dtype=np.int8).reshape(-1, channels, 2)
