"""Which frames of which recordings a stretch of time consists of.

Arithmetic on values; phonobase.store.cut fetches them. A frame belongs to a stretch where its first instant
does, so that what is cut next to each other shares no frame and misses none. At every moment the recording is
taken that began first, of those that heard it; a loss inside one is filled by another that did not lose it.
All moments are microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from phonobase.store.columns import from_us, to_us
from phonobase.store.coverage import UNRECORDED, Gap
from phonobase.store.take import Sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from phonobase.store.recording import Recording

_SECOND_US = 1_000_000
ROUNDED_US = 2
"""By how much two moments differ at the most that were rounded down each, and are one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound without a loss; where no hole stands before it, it follows the piece before without a break."""

    sound: Sound

    @property
    def start_us(self) -> int:
        """The instant of its first frame."""
        return instant(self.sound.recording, self.sound.first_frame)


@dataclass(frozen=True, slots=True)
class Hole:
    """Time of which there is no sound; of no length, where nobody knows how much was lost."""

    start_us: int
    end_us: int


def instant(recording: Recording, frame: int) -> int:
    """Return when a frame of a recording begins."""
    return to_us(recording.started_at) + recording.format.microseconds(frame)


def cut_up(
    recordings: Sequence[Recording], gaps: Sequence[Gap], since_us: int, until_us: int
) -> list[Piece | Hole]:
    """Return what a stretch of a source's time consists of, in its order.

    A hole between two pieces that is no longer than half a frame is none: recordings that follow each other
    frame by frame begin and end at whole microseconds.

    Args:
        recordings: Those that reach into it, in the order of their beginning.
        gaps: Those that reach into it, in the order of their beginning.
        since_us: Its beginning.
        until_us: Its end.
    """
    found: list[Piece | Hole] = []
    for start_us, end_us, segment in _slices(_segments(recordings, gaps), since_us, until_us):
        if segment is None:
            found.append(Hole(start_us, end_us))
            continue
        first = segment.frame_at(start_us, early_us=0 if start_us == since_us else ROUNDED_US)
        first = max(first, _frame_from(segment.recording, since_us))
        end = segment.frame_at(end_us, early_us=0 if end_us == until_us else ROUNDED_US)
        if first < end:
            found.append(Piece(Sound(segment.recording, first, end - first)))
        elif since_us < start_us and end_us < until_us:  # too short for a frame of its own to begin in it
            found.append(Hole(start_us, end_us))
    lost_at = {(gap.recording_id, gap.first_frame) for gap in gaps if _is_unmeasured(gap)}
    return list(_with_breaks(_without_slits(found), lost_at))


def unheard(
    holes: Sequence[Hole], recordings: Sequence[Recording], gaps: Sequence[Gap], source: str
) -> Iterator[Gap]:
    """Yield the gaps that account for holes, clipped to them; what no row accounts for is ``unrecorded``.

    Where several gaps cover a moment, it is given to the one that began first.

    Args:
        holes: In their order.
        recordings: Those that the gaps lie in.
        gaps: In the order of their beginning.
        source: Whose time it is.
    """
    by_id = {recording.id: recording for recording in recordings}
    waiting = deque(_Listed.of(gap, by_id) for gap in gaps)
    begun: list[_Listed] = []
    for hole in holes:
        while waiting and waiting[0].start_us < hole.end_us:
            begun.append(waiting.popleft())
        begun = [listed for listed in begun if listed.end_us > hole.start_us]
        place_us = hole.start_us
        for listed in begun:
            if listed.end_us <= place_us:
                continue
            if place_us < listed.start_us:
                yield Gap(source, from_us(place_us), from_us(listed.start_us), UNRECORDED)
                place_us = listed.start_us
            end_us = min(listed.end_us, hole.end_us)
            yield listed.between(place_us, end_us)
            place_us = end_us
        if place_us < hole.end_us:
            yield Gap(source, from_us(place_us), from_us(hole.end_us), UNRECORDED)


def unmeasured(sounds: Sequence[Sound], gaps: Sequence[Gap]) -> list[Gap]:
    """Return the losses of unknown length within sounds."""
    heard: dict[UUID, list[Sound]] = defaultdict(list)
    for sound in sounds:
        heard[sound.recording.id].append(sound)
    return [
        gap
        for gap in gaps
        if _is_unmeasured(gap) and gap.recording_id and gap.first_frame is not None
        for sound in heard[gap.recording_id]
        if sound.first_frame <= gap.first_frame < sound.end_frame
    ]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Frames of a recording between two of its losses; ``order`` is that recording's place among all."""

    order: int
    recording: Recording
    first_frame: int
    end_frame: int

    @property
    def start_us(self) -> int:
        return instant(self.recording, self.first_frame)

    @property
    def end_us(self) -> int:
        return instant(self.recording, self.end_frame)

    def frame_at(self, time_us: int, early_us: int) -> int:
        """Return the first frame that begins at a time or later, or earlier by less than so much."""
        if time_us == self.start_us:
            return self.first_frame
        if time_us == self.end_us:
            return self.end_frame
        frame = _frame_from(self.recording, time_us - early_us)
        return min(max(frame, self.first_frame), self.end_frame)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A gap and its time; that of one in a recording follows from its frames."""

    gap: Gap
    start_us: int
    end_us: int
    recording: Recording | None

    @classmethod
    def of(cls, gap: Gap, recordings: Mapping[UUID, Recording]) -> _Listed:
        recording = recordings.get(gap.recording_id) if gap.recording_id else None
        if recording is None or gap.first_frame is None:
            return cls(gap, to_us(gap.started_at), to_us(gap.ended_at), None)
        end_frame = gap.first_frame + (gap.frame_count or 0)
        return cls(gap, instant(recording, gap.first_frame), instant(recording, end_frame), recording)

    def between(self, start_us: int, end_us: int) -> Gap:
        """Return the part of the gap between two moments."""
        if (start_us, end_us) == (self.start_us, self.end_us):
            return self.gap
        part = replace(self.gap, started_at=from_us(start_us), ended_at=from_us(end_us))
        if self.recording is None or self.gap.first_frame is None:
            return part
        last = self.gap.first_frame + (self.gap.frame_count or 0)
        first = max(self.gap.first_frame, _frame_from(self.recording, start_us))
        end = last if end_us == self.end_us else min(last, _frame_from(self.recording, end_us))
        return replace(part, first_frame=first, frame_count=max(0, end - first))


def _frame_from(recording: Recording, time_us: int) -> int:
    """Return the first frame of a recording that begins at a time or later."""
    return -((to_us(recording.started_at) - time_us) * recording.format.sample_rate // _SECOND_US)


def _segments(recordings: Sequence[Recording], gaps: Sequence[Gap]) -> list[_Segment]:
    """Return the recordings without what was lost in them, in the order of their beginning."""
    lost: dict[UUID | None, list[tuple[int, int]]] = defaultdict(list)
    for gap in gaps:
        lost[gap.recording_id].append((gap.first_frame or 0, gap.frame_count or 0))
    segments = []
    for order, recording in enumerate(recordings):
        place = 0
        for first, count in sorted(lost[recording.id]):
            if place < first:
                segments.append(_Segment(order, recording, place, min(first, recording.frame_count)))
            place = max(place, first + count)
        if place < recording.frame_count:
            segments.append(_Segment(order, recording, place, recording.frame_count))
    return sorted(segments, key=attrgetter("start_us"))


def _slices(
    segments: Sequence[_Segment], since_us: int, until_us: int
) -> Iterator[tuple[int, int, _Segment | None]]:
    """Yield a stretch of time slice by slice, each with the segment that is heard in it, if any."""
    begun: tuple[int, int, _Segment | None] | None = None
    for start_us, end_us, segment in _steps(segments, since_us, until_us):
        if begun is not None and begun[2] is segment:
            begun = (begun[0], end_us, segment)
            continue
        if begun is not None:
            yield begun
        begun = (start_us, end_us, segment)
    if begun is not None:
        yield begun


def _steps(
    segments: Sequence[_Segment], since_us: int, until_us: int
) -> Iterator[tuple[int, int, _Segment | None]]:
    """Yield slices that end wherever a segment begins or the one that is heard ends."""
    waiting = deque(segments)
    under_way: list[tuple[int, int, _Segment]] = []
    place_us = since_us
    while place_us < until_us:
        while waiting and waiting[0].start_us <= place_us:
            segment = waiting.popleft()
            heapq.heappush(under_way, (segment.order, segment.first_frame, segment))
        while under_way and under_way[0][2].end_us <= place_us:
            heapq.heappop(under_way)
        heard = under_way[0][2] if under_way else None
        end_us = min(
            until_us,
            waiting[0].start_us if waiting else until_us,
            heard.end_us if heard else until_us,
        )
        yield place_us, end_us, heard
        place_us = end_us


def _is_unmeasured(gap: Gap) -> bool:
    return gap.recording_id is not None and not gap.frame_count


def _with_breaks(
    found: Sequence[Piece | Hole], lost_at: set[tuple[UUID | None, int | None]]
) -> Iterator[Piece | Hole]:
    """Yield all, with a hole of no length where a loss of unknown length parts two pieces."""
    yield from found[:1]
    for item in found[1:]:
        if isinstance(item, Piece) and (item.sound.recording.id, item.sound.first_frame) in lost_at:
            yield Hole(item.start_us, item.start_us)
        yield item


def _without_slits(found: Sequence[Piece | Hole]) -> list[Piece | Hole]:
    """Return all but the holes between two pieces that are no longer than half a frame."""
    kept = list(found[:1])
    for item, behind in pairwise(found[1:]):
        if not (
            isinstance(item, Hole)
            and isinstance(kept[-1], Piece)
            and isinstance(behind, Piece)
            and 2 * (item.end_us - item.start_us) * behind.sound.recording.format.sample_rate <= _SECOND_US
        ):
            kept.append(item)
    return [*kept, *found[1:][-1:]]
