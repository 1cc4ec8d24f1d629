"""Real time for an input that has none of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.capture.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phonobase.capture.block import Block, Input
    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat

_LONGEST_SLEEP_S = 0.05
_NS = 1_000_000_000


class PacedInput:
    """The blocks of another input, each when a device would have heard its last frame.

    The clock is the one that nobody sets, read against the number of frames since the beginning, so a late
    block makes none of those after it late. ``captured_at_us`` counts from the wall clock at the
    beginning.
    """

    def __init__(self, source: Input, clock: Clock = SYSTEM_CLOCK) -> None:
        self._source = source
        self._clock = clock
        self._stopped = False

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""
        return self._source.format

    @property
    def frame_count(self) -> int | None:
        """Frames that the sound has, where that is known beforehand."""
        return self._source.frame_count

    @property
    def description(self) -> Mapping[str, str | int | float]:
        """Where the sound comes from, and that it was paced."""
        return {**self._source.description, "paced": "real time"}

    def blocks(self) -> Iterator[Block]:
        """Yield the sound in real time."""
        began_us = self._clock.wall_us()
        began_ns = self._clock.elapsed_ns()
        frames = 0
        for block in self._source.blocks():
            captured_at_us = began_us + self.format.microseconds(frames)
            frames += len(block.frames)
            self._sleep_until(began_ns + frames * _NS // self.format.sample_rate)
            if self._stopped:
                return
            yield replace(block, captured_at_us=captured_at_us)

    def stop(self) -> None:
        """Make blocks() end soon, even while it sleeps."""
        self._stopped = True
        self._source.stop()

    def close(self) -> None:
        """Give back the file."""
        self._source.close()

    def _sleep_until(self, due_ns: int) -> None:
        # In slices: a sleep goes on after a signal handler has called stop().
        while not self._stopped and (left_ns := due_ns - self._clock.elapsed_ns()) > 0:
            self._clock.sleep(min(left_ns / _NS, _LONGEST_SLEEP_S))


def paced(source: Input, clock: Clock = SYSTEM_CLOCK) -> PacedInput:
    """Return an input that delivers the blocks of another in real time, or in the time of another clock."""
    return PacedInput(source, clock)
