"""How loud frames are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phonobase.pcm import Frames, SampleFormat

SILENCE_DBFS = -math.inf
"""The level of digital silence: every sample is zero."""


@dataclass(frozen=True, slots=True)
class Level:
    """The level of a stretch of sound, over all its channels; stretches add up.

    Attributes:
        sample_count: Samples measured.
        peak: Largest magnitude, 1.0 being full scale.
        energy: Sum of the squared samples, full scale being 1.0.
        clipped_frames: Frames in which a sample stands at the end of the scale.
    """

    sample_count: int = 0
    peak: float = 0.0
    energy: float = 0.0
    clipped_frames: int = 0

    @property
    def peak_dbfs(self) -> float:
        """Peak in dB relative to full scale; -inf for digital silence."""
        return dbfs(self.peak)

    @property
    def rms_dbfs(self) -> float:
        """Root mean square in dB relative to full-scale amplitude: a full-scale sine has -3.01."""
        return dbfs(math.sqrt(self.energy / self.sample_count)) if self.sample_count else SILENCE_DBFS

    def __add__(self, other: Level) -> Level:
        return Level(
            self.sample_count + other.sample_count,
            max(self.peak, other.peak),
            self.energy + other.energy,
            self.clipped_frames + other.clipped_frames,
        )


def measure(frames: Frames, sample_format: SampleFormat) -> Level:
    """Return the level of frames."""
    if not frames.size:
        return Level()
    # Through float64, because the most negative integer has no positive counterpart.
    low, high = float(frames.min()), float(frames.max())
    samples = np.ascontiguousarray(frames).reshape(-1).astype(np.float64)
    clipped = 0
    if high >= sample_format.largest or low <= -sample_format.full_scale:
        at_end = (frames >= sample_format.largest) | (frames <= -sample_format.full_scale)
        clipped = int(np.count_nonzero(at_end.any(axis=1)))
    return Level(
        sample_count=int(frames.size),
        peak=max(-low, high, 0.0) / sample_format.full_scale,
        # Not np.dot: BLAS would start threads for it, and wait for them on a busy machine.
        energy=float(np.einsum("i,i->", samples, samples)) / sample_format.full_scale**2,
        clipped_frames=clipped,
    )


def dbfs(amplitude: float) -> float:
    """Return an amplitude, full scale being 1.0, in dB relative to full scale."""
    return 20 * math.log10(amplitude) if amplitude > 0 else SILENCE_DBFS


def from_dbfs(level: float) -> float:
    """Return the amplitude, full scale being 1.0, of a level in dB relative to full scale."""
    return float(10 ** (level / 20))
