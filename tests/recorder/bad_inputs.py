"""Inputs that go wrong, each in its own way; a service's file names them as plugins."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonobase.capture.block import Block
from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.errors import DeviceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phonobase.pcm import AudioFormat, Frames

VANISHED, NOT_A_NUMBER, RAISES, IS_NONE = (
    f"plugin:tests.recorder.bad_inputs:{name}" for name in ("vanished", "not_a_number", "raises", "is_none")
)

_BLOCK_S = 0.05
_GOOD_BLOCKS = 30


class Bad:
    """Gives blocks as a device does, and after a while something else."""

    def __init__(self, audio_format: AudioFormat, spoil: Callable[[int, Frames], Frames]) -> None:
        self.format = audio_format
        self.frame_count = None
        self.description = {"input": "bad"}
        self._spoil = spoil
        self._stopped = False

    def blocks(self) -> Iterator[Block]:
        """Yield them."""
        count, number = round(_BLOCK_S * self.format.sample_rate), 0
        dtype = self.format.sample_format.dtype
        began_s = time.monotonic()
        while not self._stopped:
            time.sleep(max(0.0, began_s + (number + 1) * _BLOCK_S - time.monotonic()))
            frames = np.full((count, self.format.channels), 0.25 if dtype.kind == "f" else 1000, dtype)
            yield Block(self._spoil(number, frames), arrived_ns=SYSTEM_CLOCK.elapsed_ns())
            number += 1

    def stop(self) -> None:
        """End it."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held."""


def vanished(audio_format: AudioFormat) -> Bad:
    """A device that is unplugged after a while, and never comes back."""
    mark = Path(os.environ["BAD_INPUT_MARK"])
    if mark.exists():
        raise DeviceUnavailable("there is no such device any more")

    def spoil(number: int, frames: Frames) -> Frames:
        if number == _GOOD_BLOCKS:
            mark.touch()
            raise DeviceUnavailable("it was unplugged")
        return frames

    return Bad(audio_format, spoil)


def not_a_number(audio_format: AudioFormat) -> Bad:
    """A device that gives a sample now and then that is none."""

    def spoil(number: int, frames: Frames) -> Frames:
        if number % _GOOD_BLOCKS == _GOOD_BLOCKS - 1:
            frames[7], frames[8] = np.nan, np.inf
        return frames

    return Bad(audio_format, spoil)


def raises(audio_format: AudioFormat) -> Bad:
    """A driver with a defect."""

    def spoil(number: int, frames: Frames) -> Frames:
        return frames if number < _GOOD_BLOCKS else frames[:, number // 0 :]

    return Bad(audio_format, spoil)


def is_none(_audio_format: AudioFormat) -> None:
    """What is no input."""
