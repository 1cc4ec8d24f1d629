"""Records hours of simulated time as fast as it can, and says what it gave and how much memory that took.

    python -m tests.recorder.day SPOOL HOURS

prints the number of every hour as it begins, and at last, as JSON, the microseconds that were heard and that
were lost, and the most memory that the process had, in KiB.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonobase.capture.block import Block
from phonobase.errors import DeviceUnavailable
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.settings import SourceSettings
from phonobase.recorder.spool import open_spool
from phonobase.recorder.state import StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 4000
BEGAN_US = 1_772_366_400_000_000
HOUR_US = 3_600_000_000
FORMAT = AudioFormat(RATE, 1, SampleFormat.INT16)

_FRAME_US = 1_000_000 // RATE
_BLOCK = 2 * RATE
_LOST_FRAMES = RATE // 3
_LOST_EVERY_US = HOUR_US // 4
_DEVICE_AWAY_EVERY_US = 2 * HOUR_US - 1_234_567_000
"""Longer than an hour, so that it happens within the shortest run and never at the same minute."""


class Simulated:
    """Time that passes when sound is heard, and when somebody waits."""

    def __init__(self) -> None:
        self.now_us = BEGAN_US

    def wall_us(self) -> int:
        """Return what the wall clock shows."""
        return self.now_us

    def elapsed_ns(self) -> int:
        """Return how much has passed."""
        return (self.now_us - BEGAN_US) * 1000

    def sleep(self, seconds: float) -> None:
        """Let so much pass, and more."""
        self.now_us += 100_000_000 + round(seconds * 1_000_000)


class Device:
    """Gives sound as fast as it is fetched, loses some now and then, and is itself away at times.

    Args:
        clock: Goes on as the sound does.
    """

    def __init__(self, clock: Simulated) -> None:
        self.format = FORMAT
        self.frame_count = None
        self.description = {"input": "simulated"}
        self.us: Counter[str] = Counter()
        self._clock = clock
        # Two bits and a half of it are left in FLAC: a day of it is small.
        self._sound = np.random.default_rng(1).integers(-2, 3, (60 * RATE, 1), np.int16)
        self._away_at_us = BEGAN_US + _DEVICE_AWAY_EVERY_US
        self._lost_at_us = BEGAN_US + _LOST_EVERY_US
        self._hours = 0
        self._gone_us: int | None = None

    def open(self) -> Device:
        """Is there again."""
        if self._gone_us is not None:
            self.us["device-lost"] += self._clock.now_us - self._gone_us
            self._gone_us = None
        return self

    def blocks(self) -> Iterator[Block]:
        """Yield until it is away."""
        clock, place = self._clock, 0
        while clock.now_us < self._away_at_us:
            dropped = _LOST_FRAMES if clock.now_us >= self._lost_at_us else 0
            if dropped:
                self._lost_at_us += _LOST_EVERY_US
                self.us["overflow"] += dropped * _FRAME_US
            at_us = clock.now_us + dropped * _FRAME_US
            clock.now_us = at_us + _BLOCK * _FRAME_US
            frames = self._sound[place : place + _BLOCK]
            place = (place + _BLOCK) % len(self._sound)
            self.us["heard"] += _BLOCK * _FRAME_US
            if (hours := (clock.now_us - BEGAN_US) // HOUR_US) > self._hours:
                self._hours = hours
                print(hours, flush=True)
            yield Block(frames, at_us, dropped_frames=dropped, arrived_ns=clock.elapsed_ns())
        self._away_at_us += _DEVICE_AWAY_EVERY_US
        self._gone_us = clock.now_us
        raise DeviceUnavailable("it is away")

    def stop(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


def main() -> None:
    """Records."""
    spool, hours = Path(sys.argv[1]), int(sys.argv[2])
    clock = Simulated()
    device = Device(clock)
    source = SourceSettings({"source": "day"}, chunk_seconds=10, rollover_s=3600)
    with open_spool(spool) as archive:
        LiveRecorder(
            archive,
            StateFolder(spool),
            [source],
            device.open,
            duration_s=Fraction(hours * 3600),
            floor_bytes=0,
            clock=clock,
        ).run()
    beyond_us = clock.now_us - BEGAN_US - hours * HOUR_US
    device.us["heard"] -= beyond_us  # the last block was cut
    peak_kib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    print(json.dumps({"us": device.us, "peak_kib": peak_kib}))


if __name__ == "__main__":
    main()
