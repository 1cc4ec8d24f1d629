from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase.audio.spectrum import powers, shades, window_frames

if TYPE_CHECKING:
    import numpy.typing as npt

ROWS = 128


def _sine(row: float, amplitude: float, size: int, rows: int = ROWS) -> npt.NDArray[np.float64]:
    """Returns a stretch of one channel in which a sine stands where so many rows end below it."""
    frames = np.arange(size)
    sine: npt.NDArray[np.float64] = amplitude * np.sin(np.pi * row / rows * frames + 0.3)
    return sine[None, None]


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01, 1e-5])
@pytest.mark.parametrize("row", [5, 64, 126])
def test_a_sine_has_its_level_in_its_row(row: int, amplitude: float) -> None:
    """A sine has its power, at full scale 1, in its row, and a quarter of it in the rows beside."""
    (found,) = powers(_sine(row, amplitude, window_frames(ROWS)), ROWS)
    assert found.argmax() == row
    assert 10 * np.log10(found[row]) == pytest.approx(20 * np.log10(amplitude), abs=0.01)
    assert found[[row - 1, row + 1]] == pytest.approx(amplitude**2 / 4, rel=0.01)
    assert found[: row - 1].max(initial=0) < amplitude**2 * 1e-6
    assert found[row + 2 :].max(initial=0) < amplitude**2 * 1e-6


@pytest.mark.parametrize("rows", [16, 100, 128, 300, 1024])
def test_every_frequency_is_in_its_row(rows: int) -> None:
    """Whatever the number of rows, they are equally wide, and none goes without a frequency."""
    size = window_frames(rows)
    seen = set()
    for number in range(2, size // 2 - 1):
        (found,) = powers(_sine(2 * number, 1, size, size), rows)
        assert found.argmax() == number * rows // (size // 2)
        seen.add(int(found.argmax()))
    assert {*range(2, rows - 1)} <= seen


def test_the_ends_of_the_scale() -> None:
    """What does not move is at the bottom, what changes with every frame at the top, each with its level."""
    size = window_frames(ROWS)
    for row, frames in ((0, np.full(size, 0.5)), (ROWS - 1, 0.5 * (-1.0) ** np.arange(size))):
        (found,) = powers(frames[None, None], ROWS)
        assert found.argmax() == row
        assert found[row] == pytest.approx(0.25, rel=1e-3)


def test_channels_are_averaged_by_power() -> None:
    """Of two channels the mean power is drawn, so that sound against its mirror image does not vanish."""
    one = _sine(20, 0.5, window_frames(ROWS))[0]
    (both,), (half,) = (powers(np.stack([one, other], axis=1), ROWS) for other in (-one, 0 * one))
    (alone,) = powers(one[None], ROWS)
    assert both == pytest.approx(alone)
    assert half == pytest.approx(alone / 2)


def test_shades() -> None:
    """Grey follows the level in dB: 0 for -120 and less, 255 for 0 and more."""
    levels = [-np.inf, -200, -120, -119.9, -60, -0.3, 0, 6]
    assert shades(10.0 ** (np.array(levels) / 10)).tolist() == [0, 0, 0, 0, 128, 254, 255, 255]
