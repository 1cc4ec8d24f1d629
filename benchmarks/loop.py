"""An input as a device is one, that costs next to nothing: a few seconds of sound, again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from phonobase.capture.block import Block
from phonobase.capture.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.pcm import AudioFormat

PLUGIN = "plugin:benchmarks.loop:listen"
BLOCK_S = 0.05

_LOOP_S = 5
_DEVICE_HOLDS_S = 5
_NS = 1_000_000_000


def sound(audio_format: AudioFormat) -> np.ndarray[Any, np.dtype[np.int16]]:
    """What is heard, again and again: tones that come and go, over noise, which FLAC halves."""
    seconds = np.arange(_LOOP_S * audio_format.sample_rate) / audio_format.sample_rate
    heard = 0.03 * np.random.default_rng(1).standard_normal(seconds.size)
    for frequency in (110, 331, 1301):
        heard += 0.2 * np.sin(2 * np.pi * frequency * seconds) * (1 + np.sin(seconds * frequency / 97))
    mono = (heard / np.abs(heard).max() * 29490).astype(np.int16)
    return np.repeat(mono[:, None], audio_format.channels, axis=1)


class Loop:
    """Gives blocks of 50 ms when their time has come; what is not fetched for five seconds is lost.

    Args:
        audio_format: Of the blocks: int16.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.frame_count = None
        self.description = {"input": "loop"}
        self._sound = sound(audio_format)
        self._stopped = False

    def blocks(self) -> Iterator[Block]:
        """Yield what is heard from now on."""
        rate, count = self.format.sample_rate, round(BLOCK_S * self.format.sample_rate)
        began_ns, place = SYSTEM_CLOCK.elapsed_ns(), 0
        while not self._stopped:
            due_ns = began_ns + (place + count) * _NS // rate
            now_ns = SYSTEM_CLOCK.elapsed_ns()
            if now_ns < due_ns:
                time.sleep((due_ns - now_ns) / _NS)
            elif now_ns - due_ns > _DEVICE_HOLDS_S * _NS:
                place += (now_ns - due_ns) * rate // _NS // count * count
            first = place % len(self._sound)
            place += count
            yield Block(self._sound[first : first + count], arrived_ns=SYSTEM_CLOCK.elapsed_ns())

    def stop(self) -> None:
        """End it."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held."""


def listen(audio_format: AudioFormat) -> Loop:
    """Return an input; this is what PLUGIN names."""
    return Loop(audio_format)
