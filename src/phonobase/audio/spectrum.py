"""How strong each frequency is in a few milliseconds of sound, and as what shade of grey that is drawn.

Levels are in dB relative to a sine at full scale. A sine at the middle of a row has its level there; one
between two rows has up to 1.4 dB less in each, as a Hann window has it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

FLOOR_DB = -120.0
"""What is as quiet as this, or quieter, is black."""

WHITE = 255

_SHORTEST = 256


def window_frames(rows: int) -> int:
    """Return how many frames are looked at together so that each row has frequencies of its own.

    A power of two: 2048 for 1024 rows, 256 at least.
    """
    return int(max(_SHORTEST, 1 << (2 * rows - 1).bit_length()))


def powers(windows: npt.NDArray[Any], rows: int) -> npt.NDArray[np.float32]:
    """Return the power of each row of frequencies in stretches of sound, that of a full-scale sine being 1.

    Args:
        windows: The stretches, full scale being 1.0, of shape (stretches, channels, ``window_frames(rows)``).
        rows: Into how many rows the frequencies from 0 to half the sample rate are put, each as wide.

    Returns:
        Of shape (stretches, rows), the lowest frequencies first: the mean over the channels of the strongest
        frequency of a row.
    """
    size = windows.shape[-1]
    spectrum = np.fft.rfft(windows * _hann(size))
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1, dtype=np.float32)
    # Half of a sine's amplitude is at its frequency, the other half at the negative one.
    power[:, 1:-1] *= np.float32((2 / _hann(size).sum()) ** 2)
    power[:, [0, -1]] *= np.float32((1 / _hann(size).sum()) ** 2)
    half = size // 2
    first = -(-np.arange(rows) * half // rows)
    strongest: npt.NDArray[np.float32] = np.maximum.reduceat(power, first, axis=1)
    return strongest


def shades(power: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return powers as grey: 0 for -120 dB or less, 255 for 0 dB or more, and evenly between."""
    decibels = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    grey = np.rint((decibels / -FLOOR_DB + 1) * WHITE)
    drawn: npt.NDArray[np.uint8] = grey.clip(0, WHITE).astype(np.uint8)
    return drawn


@cache
def _hann(size: int) -> npt.NDArray[np.float32]:
    # The periodic one, whose sum is exactly half its length.
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
