"""An office whose desks were recorded: yesterday's 14:03 on desk 3 is in it, and every frame is known."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from tests.support.prs import noise

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase import Archive
    from phonobase.pcm import Frames

RATE = 8_000
ZONE = "Europe/Berlin"
"""Where the people sit who look."""

SECOND = timedelta(seconds=1)
LONG_RATE = 3_000
LONG_SECONDS = 86_400
_LEVEL_FRAMES = 600 * LONG_RATE


@dataclass(frozen=True)
class Meeting:
    """What desk 3 heard yesterday from 14:01 to 14:05; of that two seconds, from 14:01:30 on, were lost.

    Attributes:
        recording_id: Of the recording.
        began: When it began.
        signal: Its frames, shape (frames, 1); silence where sound was lost.
    """

    recording_id: UUID
    began: datetime
    signal: Frames

    def frame_at(self, moment: datetime) -> int:
        """Returns the frame that was heard at a moment."""
        return round((moment - self.began) / SECOND * RATE)


@functools.cache
def yesterday() -> date:
    """Returns the day before the tests began, as people in the office count days."""
    return datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)


def at(clock: str, day: date | None = None) -> datetime:
    """Returns a time of a day in the office, of yesterday where none is named."""
    moment = datetime.combine(day or yesterday(), time.fromisoformat(clock), ZoneInfo(ZONE))
    return moment.astimezone(UTC)


def fill(archive: Archive) -> Meeting:
    """Fills an archive with some days of four desks; returns the meeting at desk 3."""
    for desk in ("desk-1", "desk-2", "desk-4"):
        _call(archive, desk, at("14:03"), f"Call at {desk}", seed=int(desk[-1]))
    old = yesterday() - timedelta(days=300)
    _call(archive, "desk-3", at("14:03", old), "Last year", seed=11)
    _call(archive, "desk-3", at("09:00"), "Early call", seed=12)
    meeting = _meeting(archive)
    archive.add_gap("desk-3", at("14:05"), at("14:07"), "paused", detail="card number")
    _call(archive, "desk-3", at("14:07"), "After the pause", seed=13)
    archive.add_gap("desk-3", at("14:08"), at("14:20"), "device-lost", detail="unplugged")
    return meeting


def _call(archive: Archive, source: str, began: datetime, title: str, seed: int) -> None:
    pcm = noise(60 * RATE, seed=seed).tobytes()
    archive.add(pcm, RATE, source=source, started_at=began, title=title, tags={"kind": "call"})


def _meeting(archive: Archive) -> Meeting:
    signal = noise(240 * RATE, seed=3)
    lost = slice(30 * RATE, 32 * RATE)
    with archive.writer(
        RATE,
        source="desk-3",
        started_at=at("14:01"),
        title="Budget meeting",
        notes="about next year",
        tags={"kind": "meeting"},
    ) as writer:
        writer.write(signal[: lost.start])
        writer.lose(lost.stop - lost.start, "overflow", "the reader was late")
        writer.write(signal[lost.stop :])
    signal[lost] = 0
    return Meeting(writer.id, at("14:01"), signal)


def add_day(archive: Archive) -> UUID:
    """Adds a recording of 24 hours, louder and softer every ten minutes; returns its id."""
    began = at("00:00", yesterday() - timedelta(days=1))
    with archive.writer(LONG_RATE, source="studio", started_at=began, chunk_seconds=60) as writer:
        for part in range(LONG_SECONDS * LONG_RATE // _LEVEL_FRAMES):
            writer.write(_steady(part))
    return writer.id


def level(part: int) -> int:
    """Returns the largest sample of each ten minutes of the recording of 24 hours."""
    return 1_000 + part * 37 % 100 * 300


def _steady(part: int) -> Frames:
    frames = np.full((_LEVEL_FRAMES, 1), level(part), np.int16)
    frames[1::2] *= -1
    return frames
