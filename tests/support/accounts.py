"""Whether an archive accounts for every frame of the world: stored as it was heard, or listed as a gap."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from tests.support.world import frame_at, sounding

if TYPE_CHECKING:
    from phonobase import Archive, Recording
    from tests.support.prs import Frames

_NEAR_S = 0.25
_WINDOW = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """What an archive holds of a source.

    Attributes:
        heard: Numbers of the world's frames that are stored, as stretches [first, end), in order.
        lost: Gaps of some length, within recordings or not, as stretches of frames, and their causes.
        shift_s: The most that a recording's time was off.
    """

    heard: tuple[tuple[int, int], ...]
    lost: tuple[tuple[int, int, str], ...]
    shift_s: float

    @property
    def heard_frames(self) -> int:
        """Frames that are stored."""
        return sum(end - first for first, end in self.heard)

    def holes(self, tolerance: int) -> list[tuple[int, int]]:
        """Returns the stretches between the first and the last frame that nothing accounts for.

        Args:
            tolerance: Frames by which the end of a gap may be off: it is a time, not a count.
        """
        taken = sorted([*self.heard, *((first - tolerance, end + tolerance) for first, end, _ in self.lost)])
        found, reached = [], self.heard[0][0]
        last = self.heard[-1][1]
        for first, end in taken:
            if first > reached and reached < last:
                found.append((reached, min(first, last)))
            reached = max(reached, end)
        return found


def account(archive: Archive, source: str) -> Account:
    """Returns what an archive holds of a source; fails where a frame is altered, moved or there twice."""
    heard: list[tuple[int, int]] = []
    shift_s = 0.0
    recordings = archive.find(source=source, limit=None)[::-1]
    assert recordings, f"nothing is stored of {source}"
    rate = recordings[0].format.sample_rate
    for recording in recordings:
        silent = [
            (gap.first_frame, gap.first_frame + gap.frame_count)
            for gap in archive.gaps(source, recording.started_at, recording.ended_at)
            if gap.recording_id == recording.id and gap.first_frame is not None and gap.frame_count
        ]
        stretches, off_s = _stretches(recording, archive.read(recording.id), silent)
        heard += stretches
        shift_s = max(shift_s, off_s)
    heard.sort()
    for (_, end), (first, _) in itertools.pairwise(heard):
        assert first >= end, f"{end - first} frames are stored twice"
    lost = [
        (_frame(gap.started_at, rate), _frame(gap.ended_at, rate), gap.cause)
        for gap in archive.gaps(source)
        if gap.ended_at > gap.started_at and gap.cause != "unrecorded"
    ]
    return Account(tuple(heard), tuple(lost), shift_s)


def _stretches(
    recording: Recording, frames: Frames, silent: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], float]:
    """Returns which frames of the world a recording holds, and by how much its time is off."""
    rate, channels = recording.format.sample_rate, recording.format.channels
    wanted = np.ones(len(frames), bool)
    for first, end in silent:
        assert not frames[first:end].any(), f"{recording.id}: a gap at frame {first} is not silent"
        wanted[first:end] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    stretches, off_s = [], 0.0
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        near = _frame(recording.started_at, rate) + int(first)
        place = _find(frames[first:end], near, rate, channels)
        assert place is not None, f"{recording.id}: frame {first} is not what was heard then"
        same = frames[first:end] == sounding(place, int(end - first), channels)
        assert same.all(), f"{recording.id}: frame {first + int(np.argmin(same.all(axis=1)))} is another"
        stretches.append((place, place + int(end - first)))
        off_s = max(off_s, abs(place - near) / rate)
    return stretches, off_s


def _find(frames: Frames, near: int, rate: int, channels: int) -> int | None:
    """Returns which frame of the world a stretch begins with."""
    around = round(_NEAR_S * rate)
    head = frames[:_WINDOW]
    candidates = sounding(near - around, 2 * around + len(head), channels)
    for offset in np.flatnonzero((candidates[: 2 * around] == head[0]).all(axis=1)):
        if np.array_equal(candidates[offset : offset + len(head)], head):
            return near - around + int(offset)
    return None


def _frame(moment: datetime, rate: int) -> int:
    return frame_at((moment - _EPOCH) // timedelta(microseconds=1), rate)
