"""A live recorder in simulated time: what its input does is a script, and no time passes but by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phonobase import Archive, AudioFormat, Recording, SampleFormat
from phonobase.capture.block import Block
from phonobase.errors import DeviceLost, DeviceUnavailable
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.settings import SourceSettings
from phonobase.recorder.state import StateFolder
from tests.support.clock import SetClock
from tests.support.world import frame_at, sounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction
    from pathlib import Path

    from tests.support.prs import Frames

RATE = 1000
BLOCK_US = 50_000
START_US = 1_772_366_400_000_000
"""2026-03-01 12:00 UTC"""
NAME = "desk-3"


@dataclass(frozen=True)
class Hear:
    """The device hears the world for so many seconds; ``level`` scales it, 0 being digital silence."""

    seconds: float
    level: float = 1.0


@dataclass(frozen=True)
class Do:
    """Something happens between two blocks."""

    what: Callable[[], object]


@dataclass(frozen=True)
class Stall:
    """The device gives nothing for so many seconds, and goes on."""

    seconds: float


@dataclass(frozen=True)
class Lose:
    """The device is lost, and cannot be opened for so many seconds; the clock is set by so many meanwhile."""

    seconds: float
    step_s: float = 0


Step = Hear | Do | Stall | Lose


@dataclass
class Scene:
    """A recorder of one source, its clock and its archive.

    Attributes:
        folder: Where the archive is.
        clock: Moves as the script says.
        recordings: What ended.
        lost_us: Since when the device is away.
        late: Whether the recorder stands still: it gets what is heard meanwhile when that is over.
        slow_ppm: By how much the device's sample clock is slow.
    """

    folder: Path
    channels: int = 1
    clock: SetClock = field(default_factory=lambda: SetClock(START_US))
    recordings: list[Recording] = field(default_factory=list)
    lost_us: int | None = None
    late: bool = False
    slow_ppm: int = 0

    @property
    def file(self) -> Path:
        """The archive."""
        return self.folder / "phonobase.db"

    @property
    def state(self) -> StateFolder:
        """What the recorder says."""
        return StateFolder(self.file)

    def play(
        self, *script: Step, sources: list[SourceSettings] | None = None, duration_s: Fraction | None = None
    ) -> None:
        """Run a recorder from the script's beginning to its end."""
        steps = list(script)
        with Archive(f"sqlite:///{self.file}") as archive:
            LiveRecorder(
                archive,
                self.state,
                sources or [SourceSettings({"source": NAME}, chunk_seconds=1)],
                lambda: self.open(steps),
                clock=self.clock,
                floor_bytes=0,
                on_recording=self.recordings.append,
                duration_s=duration_s,
            ).run()

    def open(self, steps: list[Step]) -> Device:
        """Open the device, where the script has it there."""
        step = steps[0] if steps else None
        if isinstance(step, Lose):
            if self.lost_us is None:
                self.lost_us = self.clock.since_start_us
                raise DeviceUnavailable("the device is away")
            steps.pop(0)
            back_us = self.lost_us + round(step.seconds * 1_000_000)
            self.clock.pass_us(back_us - self.clock.since_start_us)
            self.clock.set_us(round(step.step_s * 1_000_000))
            self.lost_us = None
        return Device(self, steps)


class Device:
    """An input that does what is left of the script."""

    def __init__(self, scene: Scene, steps: list[Step]) -> None:
        self.format = AudioFormat(RATE, scene.channels, SampleFormat.INT16)
        self.frame_count = None
        self.description = {"input": "script"}
        self._scene, self._clock = scene, scene.clock
        self._steps = steps
        self._waiting: list[Frames] = []

    def blocks(self) -> Iterator[Block]:
        """Yield what is heard."""
        # Frames are those of the world by the clock that nobody sets.
        origin_us = self._clock.now_us - self._clock.since_start_us
        while self._steps:
            step = self._steps[0]
            if isinstance(step, Lose):
                self._scene.lost_us = self._clock.since_start_us
                raise DeviceLost("the device went away")
            self._steps.pop(0)
            if isinstance(step, Do):
                step.what()
            elif isinstance(step, Stall):
                self._clock.pass_us(round(step.seconds * 1_000_000))
            else:
                yield from self._heard(step, origin_us)

    def stop(self) -> None:
        """The script ends."""
        self._steps.clear()

    def close(self) -> None:
        """Nothing is held."""

    def _heard(self, step: Hear, origin_us: int) -> Iterator[Block]:
        for _ in range(round(step.seconds * 1_000_000) // BLOCK_US):
            began_us = origin_us + self._clock.since_start_us
            self._clock.pass_us(BLOCK_US + BLOCK_US * self._scene.slow_ppm // 1_000_000)
            frames = sounding(frame_at(began_us, RATE), BLOCK_US * RATE // 1_000_000, self.format.channels)
            self._waiting.append((frames * step.level).astype("<i2"))
            if not self._scene.late:
                came, self._waiting = np.concatenate(self._waiting), []
                at_us = self._clock.now_us - len(came) * 1_000_000 // RATE
                yield Block(came, at_us, arrived_ns=self._clock.elapsed_ns())
