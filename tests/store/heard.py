"""An archive of which every frame is known: what was heard when, and what was lost and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from tests.support.prs import noise

if TYPE_CHECKING:
    from phonobase import Archive
    from phonobase.pcm import Frames

START = datetime(2026, 3, 1, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
SOURCE = "reef"
END_US = START_US + 62_000_000
"""Everything lies between the start and here, with time nobody accounts for at both ends."""


@dataclass(frozen=True)
class Heard:
    """Consecutive frames of a recording without a loss.

    Attributes:
        rate: Frames a second.
        start_us: When frame 0 of the recording began.
        first: The first of the frames.
        signal: What was heard.
    """

    rate: int
    start_us: int
    first: int
    signal: Frames

    def between(self, since_us: int, until_us: int) -> tuple[int, int]:
        """Returns the first frame that begins in a period, and the one behind the last."""
        # As integers, in millionths of a frame: nothing is rounded.
        instants = (self.first + np.arange(len(self.signal), dtype=np.int64)) * 1_000_000
        bounds = [(us - self.start_us) * self.rate for us in (since_us, until_us)]
        first, end = np.searchsorted(instants, bounds)
        return int(first), int(end)

    def place(self, frame: int, anchor_us: int) -> int:
        """Returns how many frames one of these lies behind a moment, to the nearest."""
        behind = (self.start_us - anchor_us) * self.rate + (self.first + frame) * 1_000_000
        return round(behind / 1_000_000)


def fill(archive: Archive) -> list[Heard]:
    """Fills an archive with rollovers, losses, gaps and two sample rates; returns what was heard."""
    heard: list[Heard] = []
    heard += _run(archive, 8_000, START_US + 1_000_000, [80_000, 58_400, 1], lost={24_000: 4_000, 81_000: 9})
    _gap(archive, 18_300_125, 20_000_000, "paused")
    heard += _run(archive, 8_000, START_US + 20_000_000, [48_000], lost={17: 0, 30_000: 0})
    _gap(archive, 26_200_000, 26_300_000, "device-lost")
    # Neither its beginning nor its rollovers are at whole microseconds of anything.
    rollovers = [55_138, 55_125, 4_111, 60_007]
    heard += _run(archive, 11_025, START_US + 26_400_007, rollovers, lost={55_000: 500, 70_001: 1})
    _gap(archive, 40_000_000, 43_000_000, "device-lost")
    _gap(archive, 41_000_000, 44_000_000, "process-down")
    heard += _run(archive, 8_000, START_US + 43_500_000, [100_000], lost={})
    return heard


def _run(archive: Archive, rate: int, start_us: int, lengths: list[int], lost: dict[int, int]) -> list[Heard]:
    """Stores recordings that follow each other frame by frame, with losses at frames of the run."""
    signal = noise(sum(lengths), seed=start_us % 1_000_003)
    heard, place = [], 0
    for length in lengths:
        began_us = start_us + place * 1_000_000 // rate
        moment = START + timedelta(microseconds=began_us - START_US)
        cuts = [(at - place, count) for at, count in lost.items() if place <= at < place + length]
        frames = signal[place : place + length]
        with archive.writer(rate, source=SOURCE, started_at=moment, chunk_seconds=0.7) as writer:
            done = 0
            for at, count in [*cuts, (length, None)]:
                if at > done:
                    writer.write(frames[done:at])
                    heard.append(Heard(rate, began_us, done, frames[done:at]))
                if count is not None:
                    writer.lose(count, "overflow", "test")
                done = at + (count or 0)
        place += length
    return heard


def _gap(archive: Archive, start_us: int, end_us: int, cause: str) -> None:
    began, ended = (START + timedelta(microseconds=us) for us in (start_us, end_us))
    archive.add_gap(SOURCE, began, ended, cause)
