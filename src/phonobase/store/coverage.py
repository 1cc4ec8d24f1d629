"""What became of every microsecond of a source's time: heard, or lost, and why.

Arithmetic on values; phonobase.store.gaps fetches them.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

UNRECORDED = "unrecorded"
"""The cause of what no recording and no gap accounts for; it is computed, and never stored."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source's time that was not heard.

    Attributes:
        source: What was not heard.
        started_at: Its beginning.
        ended_at: Its end.
        cause: Why, in a word: ``overflow``, ``paused``, ``deleted``.
        detail: More, for people.
        recording_id: The recording it lies in, if any; its frames are silence there.
        first_frame: Frames of that recording before the gap.
        frame_count: Frames of silence that stand for it; 0 where the loss could not be measured.
        run_id: The run it belongs to, if any.
        id: Its row's; None where it is several rows, or none.
    """

    source: str
    started_at: datetime
    ended_at: datetime
    cause: str
    detail: str | None = None
    recording_id: UUID | None = None
    first_frame: int | None = None
    frame_count: int | None = None
    run_id: UUID | None = None
    id: UUID | None = None

    @property
    def seconds(self) -> float:
        """The duration in seconds, for people; 0 where the loss could not be measured."""
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of a source's time in a period.

    ``heard_us`` and all of ``lost_us`` add up to the period, exactly.

    Attributes:
        source: Whose time.
        since: The beginning of the period.
        until: Its end.
        heard_us: Microseconds of it that are there as sound.
        lost_us: Microseconds of it that are not, for each cause.
    """

    source: str
    since: datetime
    until: datetime
    heard_us: int
    lost_us: Mapping[str, int]

    @property
    def asked_us(self) -> int:
        """The period in microseconds: what was heard and what was lost."""
        return self.heard_us + sum(self.lost_us.values())


class Heard(NamedTuple):
    """The time of a recording, in microseconds since 1970-01-01 UTC."""

    start_us: int
    end_us: int
    recording_id: UUID


class Missed(NamedTuple):
    """The time of a gap, in microseconds since 1970-01-01 UTC."""

    start_us: int
    end_us: int
    recording_id: UUID | None
    cause: str


class Stretch(NamedTuple):
    """Time of which one thing became, in microseconds since 1970-01-01 UTC; heard, where it has no cause."""

    start_us: int
    end_us: int
    cause: str | None


def account(
    recordings: Iterable[Heard], gaps: Iterable[Missed], since_us: int, until_us: int
) -> Iterator[Stretch]:
    """Say what became of a period; the stretches follow each other and fill it.

    Time is heard where a recording holds it, but for the gaps inside that recording. What is not heard is
    given to the gap that covers it, the first to begin where there are several, or is unrecorded. So every
    microsecond counts once, and a period as much as its parts.

    Args:
        recordings: In the order of their start.
        gaps: In the order of their start.
        since_us: Beginning of the period, in microseconds since 1970-01-01 UTC.
        until_us: Its end.
    """
    begun: Stretch | None = None
    for piece in _pieces(recordings, gaps, since_us, until_us):
        if begun is not None and begun.cause == piece.cause:
            begun = begun._replace(end_us=piece.end_us)
            continue
        if begun is not None:
            yield begun
        begun = piece
    if begun is not None:
        yield begun


def summed(stretches: Iterable[Stretch]) -> tuple[int, dict[str, int]]:
    """Return the microseconds that were heard, and those that were lost, for each cause."""
    heard_us, lost_us = 0, defaultdict[str, int](int)
    for start_us, end_us, cause in stretches:
        if cause is None:
            heard_us += end_us - start_us
        else:
            lost_us[cause] += end_us - start_us
    return heard_us, dict(lost_us)


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """Return gaps of one source with those as one that were listed in parts.

    A loss that crosses the end of a chunk is listed in parts, and so are some that go on for long.

    Args:
        gaps: In the order of their start.
    """
    found: list[Gap] = []
    newest: dict[tuple[str, str | None, UUID | None], int] = {}
    for gap in gaps:
        place = newest.get((gap.cause, gap.detail, gap.recording_id))
        if place is not None and _goes_on(found[place], gap):
            found[place] = _as_one(found[place], gap)
        else:
            newest[gap.cause, gap.detail, gap.recording_id] = len(found)
            found.append(gap)
    return found


def _goes_on(first: Gap, second: Gap) -> bool:
    """Whether the second begins where the first ends; losses of unknown length stay apart."""
    if first.recording_id is None:
        return first.started_at < first.ended_at == second.started_at < second.ended_at
    if not (first.frame_count and second.frame_count):
        return False
    return (first.first_frame or 0) + first.frame_count == second.first_frame


def _as_one(first: Gap, second: Gap) -> Gap:
    counted = first.frame_count is not None and second.frame_count is not None
    return replace(
        first,
        ended_at=second.ended_at,
        frame_count=(first.frame_count or 0) + (second.frame_count or 0) if counted else None,
        run_id=first.run_id if first.run_id == second.run_id else None,
        id=None,
    )


def _pieces(
    recordings: Iterable[Heard], gaps: Iterable[Missed], since_us: int, until_us: int
) -> Iterator[Stretch]:
    """Yield the period, cut wherever a recording or a gap begins or ends."""
    under_way = _UnderWay()
    place_us = since_us
    both: tuple[Iterable[Heard | Missed], ...] = (recordings, gaps)
    for item in heapq.merge(*both, key=lambda item: item.start_us):
        if item.start_us >= until_us:
            break
        if item.end_us <= max(item.start_us, since_us):
            continue
        while (end_us := under_way.next_end_us(until_us)) <= item.start_us:
            if place_us < end_us:
                yield Stretch(place_us, end_us, under_way.cause())
                place_us = end_us
            under_way.end_next()
        if place_us < item.start_us:
            yield Stretch(place_us, item.start_us, under_way.cause())
            place_us = item.start_us
        under_way.begin(item)
    while place_us < until_us:
        end_us = min(under_way.next_end_us(until_us), until_us)
        if place_us < end_us:
            yield Stretch(place_us, end_us, under_way.cause())
            place_us = end_us
        if place_us < until_us:
            under_way.end_next()


@dataclass(slots=True)
class _UnderWay:
    """The recordings and gaps that one moment lies in."""

    _ends: list[tuple[int, int, Heard | Missed]] = field(default_factory=list)
    _gaps: list[tuple[int, int, Missed]] = field(default_factory=list)
    _recordings: set[UUID] = field(default_factory=set)
    _inside: Counter[UUID] = field(default_factory=Counter)
    _heard: int = 0
    _begun: int = 0

    def begin(self, item: Heard | Missed) -> None:
        self._begun += 1  # tells apart what begins or ends at one moment
        heapq.heappush(self._ends, (item.end_us, self._begun, item))
        if isinstance(item, Heard):
            self._recordings.add(item.recording_id)
            self._heard += not self._inside[item.recording_id]
            return
        heapq.heappush(self._gaps, (item.start_us, self._begun, item))
        if item.recording_id is not None:
            self._inside[item.recording_id] += 1
            if self._inside[item.recording_id] == 1:
                self._heard -= item.recording_id in self._recordings

    def next_end_us(self, otherwise_us: int) -> int:
        return self._ends[0][0] if self._ends else otherwise_us

    def end_next(self) -> None:
        _, _, item = heapq.heappop(self._ends)
        if isinstance(item, Heard):
            self._recordings.remove(item.recording_id)
            self._heard -= not self._inside[item.recording_id]
            return
        while self._gaps and self._gaps[0][2].end_us <= item.end_us:
            heapq.heappop(self._gaps)
        if item.recording_id is not None:
            self._inside[item.recording_id] -= 1
            if not self._inside[item.recording_id]:
                del self._inside[item.recording_id]
                self._heard += item.recording_id in self._recordings

    def cause(self) -> str | None:
        """Return why this moment was lost; None, where it was heard."""
        if self._heard:
            return None
        return self._gaps[0][2].cause if self._gaps else UNRECORDED
