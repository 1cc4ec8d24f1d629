"""A test tone: sound for machines that hear nothing, and for tests that must know every sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phonobase.capture.block import Block
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import SampleFormat, convert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.pcm import AudioFormat, Frames

_BLOCKS_PER_SECOND = 10
_STEPS_PER_HERTZ = 1000


class ToneInput:
    """An endless sine, as fast as it is asked for; the same frame is always the same samples.

    Channels are told apart by pitch: their frequencies are as 4 : 5 : 6 : 7 and so on.

    Args:
        audio_format: What to make.
        frequency_hz: Of the first channel.
        level_dbfs: The peak of every channel, at most 0.

    Raises:
        UnsupportedFormat: The frequency or the level is outside the limits.
    """

    def __init__(
        self, audio_format: AudioFormat, frequency_hz: float = 440.0, level_dbfs: float = -12.0
    ) -> None:
        if not 0 < frequency_hz <= audio_format.sample_rate / 2:
            raise UnsupportedFormat(
                f"a tone of {frequency_hz} Hz cannot be made at {audio_format.sample_rate} Hz; "
                "choose a frequency above 0 and up to half the sample rate"
            )
        if not level_dbfs <= 0:
            raise UnsupportedFormat(f"a tone of {level_dbfs} dBFS would clip; choose 0 or less")
        self._format = audio_format
        self._frequency_hz = frequency_hz
        self._level_dbfs = level_dbfs
        self._stopped = False

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""
        return self._format

    @property
    def frame_count(self) -> int | None:
        """None: a tone has no end."""
        return None

    @property
    def description(self) -> dict[str, str | int | float]:
        """That it is a tone, and which."""
        return {
            "input": "tone",
            "frequency_hz": self._frequency_hz,
            "level_dbfs": self._level_dbfs,
        }

    def blocks(self) -> Iterator[Block]:
        """Yield a tenth of a second at a time, until stopped."""
        size = max(1, self._format.sample_rate // _BLOCKS_PER_SECOND)
        first = 0
        while not self._stopped:
            yield Block(self.frames(first, size))
            first += size

    def frames(self, first: int, count: int) -> Frames:
        """Return so many frames of the tone from frame number ``first`` on."""
        # Whole numbers, so that the phase is exact however long the tone lasts.
        cycle = self._format.sample_rate * _STEPS_PER_HERTZ * 4
        steps = round(self._frequency_hz * _STEPS_PER_HERTZ) * (4 + np.arange(self._format.channels))
        position = np.arange(first, first + count, dtype=np.int64)[:, np.newaxis] % cycle
        phase = (position * steps % cycle) / cycle
        sine = np.sin(2 * np.pi * phase) * 10 ** (self._level_dbfs / 20)
        target = self._format.sample_format
        if target is SampleFormat.FLOAT32:
            return sine.astype(np.float32)
        return convert(sine, SampleFormat.FLOAT32, target)

    def stop(self) -> None:
        """End the tone."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held."""
