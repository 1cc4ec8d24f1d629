"""A world that always sounds: which samples are heard at a moment is known, whoever listens, and since when.

Frame number n of the world is heard at n / rate seconds after 1970, by the clock. Its samples are a hash of
n, so a recording of any stretch, by any process, tells exactly which frames it holds.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonobase.capture.block import Block
from phonobase.capture.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat
    from tests.support.prs import Frames

PLUGIN = "plugin:tests.support.world:listen"
"""The name of the input, for a command line or a service's file; tests must be on PYTHONPATH."""

_BLOCK_S = 0.05
_DEVICE_HOLDS_S = 5.0
_SECOND_US = 1_000_000


def sounding(first: int, count: int, channels: int = 1) -> Frames:
    """Returns frames of the world, int16 and never zero: shape (count, channels)."""
    # splitmix64: every number gives another that looks random.
    numbers = np.arange(first, first + count, dtype=np.uint64)[:, None]
    mixed = (numbers * np.uint64(64) + np.arange(channels, dtype=np.uint64)).astype(np.uint64)
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    samples = (mixed >> np.uint64(48)).astype(np.uint16).view(np.int16)
    return np.where(samples == 0, np.int16(1), samples)


def frame_at(time_us: int, rate: int) -> int:
    """Returns the number of the frame that is heard at a time."""
    return time_us * rate // _SECOND_US


class World:
    """An input that hears the world, as a device does: what is not fetched for five seconds is lost.

    Args:
        audio_format: Of the blocks: int16.
        clock: What time it is.
    """

    def __init__(self, audio_format: AudioFormat, clock: Clock = SYSTEM_CLOCK) -> None:
        self.format = audio_format
        self.frame_count = None
        self.description = {"input": "world"}
        self._clock = clock
        self._stopped = False

    def blocks(self) -> Iterator[Block]:
        """Yield what is heard from now on."""
        rate, channels = self.format.sample_rate, self.format.channels
        epoch_us = self._clock.wall_us() - self._clock.elapsed_ns() // 1000
        place = frame_at(self._now_us(epoch_us), rate)
        while not self._stopped:
            now = frame_at(self._now_us(epoch_us), rate)
            if now - place < _BLOCK_S * rate:
                time.sleep(_BLOCK_S / 5)
                continue
            lost = max(0, now - place - round(_DEVICE_HOLDS_S * rate))
            place += lost
            count = min(now - place, rate)
            frames = sounding(place, count, channels)
            place += count
            arrived_us = self._now_us(epoch_us)
            yield Block(
                frames, arrived_us - count * _SECOND_US // rate, arrived_ns=(arrived_us - epoch_us) * 1000
            )

    def stop(self) -> None:
        """End it."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held."""

    def _now_us(self, epoch_us: int) -> int:
        return epoch_us + self._clock.elapsed_ns() // 1000


def listen(audio_format: AudioFormat) -> World:
    """Return an input; this is what PLUGIN names."""
    return World(audio_format)


def environment() -> dict[str, str]:
    """Returns what a process needs to find PLUGIN."""
    return {"PYTHONPATH": str(Path(__file__).parents[2])}
