"""How late a block is at least, and how that changes over hours: the drift of a sample clock."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from phonobase.pcm import Frames

_NS = 1_000_000_000

LEVEL_NS = 15_000_000
"""Lags that differ by less are the same."""

NEVER_NS = 1 << 62
"""No moment and no lag is that far off."""

_STEP_NS = 50_000_000
_STAIR_NS = 300_000_000
_SPAN_NS = 5_000_000_000
_KNOWN_NS = 300_000_000_000
_LIKELY_NS = 50_000_000
_RARE_NS = 1_000_000_000

# Sound cards are within 200 ppm. The floor of ten seconds is steady within 12 ms on a busy machine, and may
# be ten seconds old: a loss that has come to 50 ms meanwhile must be told by then.
_MOST_PPM = 1000
_CREPT_NS = 30_000_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A block at its place.

    Attributes:
        frames: What it holds.
        place: The position of its first frame.
        arrived_ns: When its last frame was there.
        overflowed: Whether the device said that sound before it was lost.
        dropped: Frames before it that are known to be lost.
        step_us: By how much the wall clock was set before it.
        offset_us: The wall clock less the elapsed one.
        sure: Whether it arrived no earlier than those before; if not, ``arrived_ns`` is that of the latest.
    """

    frames: Frames
    place: int
    arrived_ns: int
    overflowed: bool
    dropped: int
    step_us: int
    offset_us: int
    sure: bool

    @property
    def end(self) -> int:
        """The position behind its last frame."""
        return self.place + len(self.frames)


class Floor:
    """The least lag of the last five to ten seconds.

    Where a loss was measured in a hurry, it shows afterwards by how much that was wrong; the next one is
    measured by that much less, so that errors do not add up.

    A floor that rises faster than a slow sample clock explains has crept up by small losses: where that
    began, is kept in mind.

    A lag is the moment at which a block's last frame arrived less that frame's place, in nanoseconds.
    """

    def __init__(self) -> None:
        self.at_ns = 0
        self._began_ns = 0
        self._before_ns = 0
        self._least_ns = 0
        self._from: tuple[int, int] | None = None
        self._to: tuple[int, int] | None = None
        self._passed_ns = 0
        self._fell_ns = 0
        self._due_ns: int | None = None
        self._excess_ns = 0
        self._early: tuple[int, int] | None = None
        self._watched = self._steady = (0, 0)
        self._steady_ppm = 0.0
        self._crept_ns: int | None = None
        self._crept: tuple[int, int] | None = None

    def begin(self, now_ns: int, lag_ns: int) -> None:
        """Take the first lag."""
        self._began_ns = now_ns
        self._steady = (now_ns, lag_ns)
        self.at_ns = self._before_ns = self._least_ns = lag_ns

    def see(self, now_ns: int, lag_ns: int) -> None:
        """Take the lag of a block that arrived now."""
        if self.at_ns - lag_ns > _LIKELY_NS and not self._stays_early(now_ns):
            return
        if now_ns - self._began_ns >= _SPAN_NS and self._least_ns != NEVER_NS:
            self._measure()
            self._watch(now_ns, min(self._before_ns, self._least_ns))
            self._began_ns, self._before_ns, self._least_ns = now_ns, self._least_ns, lag_ns
        self._least_ns = min(self._least_ns, lag_ns)
        self.at_ns = min(self._before_ns, self._least_ns)

    def missing_ns(self, lag_ns: int) -> int:
        """Return how much sound is missing where lags have risen to this one."""
        return lag_ns - self.at_ns - self._excess_ns

    def interrupt(self, now_ns: int) -> None:
        """Take the next lags to be those behind a loss, from which what was missing is taken off."""
        self._end_stretch()
        self._due_ns, self._excess_ns = self.at_ns if self._due_ns is None else self._due_ns, 0
        self._began_ns, self._before_ns, self._least_ns = now_ns, self.at_ns, NEVER_NS

    @property
    def crept(self) -> tuple[int, int] | None:
        """How much is missing that went little by little, and since which moment; None while nothing is."""
        return self._crept

    def lower(self, by_ns: int) -> None:
        """Take the next lags to be less by what had crept, now that it counts as a loss."""
        self.at_ns -= by_ns
        self._before_ns -= by_ns
        self._least_ns -= by_ns
        if self._to is not None:
            self._to = (self._to[0], self._to[1] - by_ns)
        # What a loss was measured too short by has crept as well.
        self._excess_ns = max(self._excess_ns, 0)
        self._crept = None
        self._crept_ns, watched_ns = self._watched
        self._steady = (self._crept_ns, watched_ns - by_ns)

    @property
    def drift_ppm(self) -> float | None:
        """By how much lags fall, in millionths of the time that passes; None in the first five minutes."""
        passed_ns, fell_ns = self._passed_ns, self._fell_ns
        if self._from is not None and self._to is not None:
            passed_ns += self._to[0] - self._from[0]
            fell_ns += self._from[1] - self._to[1]
        return None if passed_ns < _KNOWN_NS else fell_ns * 1e6 / passed_ns

    def _watch(self, now_ns: int, at_ns: int) -> None:
        """Look whether the floor is still where a sample clock could have brought it."""
        self._watched = (now_ns, at_ns)
        since_ns, steady_ns = self._steady
        passed_ns, risen_ns = now_ns - since_ns, at_ns - steady_ns
        beyond_ns = risen_ns - passed_ns * _MOST_PPM // 1_000_000
        if beyond_ns <= 0:
            self._steady, self._crept = (now_ns, at_ns), None
            # Drift and small losses look alike: only what is measured without those is believed.
            if self._crept_ns is None or now_ns - self._crept_ns > _KNOWN_NS:
                self._steady_ppm = self.drift_ppm or 0.0
        elif beyond_ns > _CREPT_NS:
            slow_ppm = max(-_MOST_PPM, min(-self._steady_ppm, _MOST_PPM))
            self._crept = (risen_ns - round(passed_ns * slow_ppm / 1_000_000), since_ns)

    def _stays_early(self, now_ns: int) -> bool:
        """Tell whether sound comes too early for so long that it was the floor that was wrong."""
        first_ns, latest_ns = self._early or (now_ns, now_ns)
        if now_ns - latest_ns > _RARE_NS:
            first_ns = now_ns
        self._early = (first_ns, now_ns)
        return now_ns - first_ns >= _SPAN_NS

    def _end_stretch(self) -> None:
        if self._from is not None and self._to is not None:
            self._passed_ns += self._to[0] - self._from[0]
            self._fell_ns += self._from[1] - self._to[1]
        self._from = self._to = None

    def _measure(self) -> None:
        if self._to is not None and self._to[1] - self._least_ns > _LIKELY_NS:
            self._end_stretch()  # No sample clock does that within seconds: the moments told were wrong.
        self._to = (self._began_ns, self._least_ns)
        self._from = self._from or self._to
        if self._due_ns is not None:
            error_ns, self._due_ns = self._due_ns - self._least_ns, None
            self._excess_ns = error_ns if abs(error_ns) < _LIKELY_NS else 0


def stairs(lags_ns: Sequence[int], from_ns: int, to_ns: int) -> list[int]:
    """Return the levels at which lags stayed for some blocks on their way up from one to another.

    What falls back later was lateness. The last blocks of a level may be late and nothing follows that makes
    up for it: the lower a step is, the more blocks must have come since.

    Args:
        lags_ns: Those of the blocks held, in order.
        from_ns: Where they were before.
        to_ns: Where they are now: the last of the levels.
    """
    least_ns = list(accumulate(reversed(lags_ns), min))[::-1]
    levels: list[int] = []
    first = 0
    while first < len(least_ns) and to_ns - least_ns[first] >= _STEP_NS:
        level_ns = least_ns[first]
        behind = bisect_left(least_ns, level_ns + LEVEL_NS, first)
        step_ns = level_ns - (levels[-1] if levels else from_ns)
        if step_ns >= _STEP_NS and behind - first > 1 and (behind - first) * step_ns >= _STAIR_NS:
            levels.append(level_ns)
        first = behind
    return [*levels, to_ns]


def settled(came_ns: Iterable[tuple[int, int]], span_ns: int) -> int | None:
    """Return the least lag of so long, if it is the same in both halves of that.

    Args:
        came_ns: When blocks arrived and their lags, the latest first.
        span_ns: For how long they must have come in step with the clock.
    """
    now_ns: int | None = None
    early_ns = late_ns = NEVER_NS
    for arrived_ns, lag_ns in came_ns:
        now_ns = arrived_ns if now_ns is None else now_ns
        if now_ns - arrived_ns > span_ns:
            break
        if now_ns - arrived_ns > span_ns // 2:
            early_ns = min(early_ns, lag_ns)
        else:
            late_ns = min(late_ns, lag_ns)
    return min(early_ns, late_ns) if abs(early_ns - late_ns) <= LEVEL_NS else None


def moved_by(arrivals: Sequence[Arrival], by: int) -> list[Arrival]:
    """Return these so many frames further back."""
    return [replace(arrival, place=arrival.place + by) for arrival in arrivals]


def split(held: Sequence[Arrival], place: int, rate: int) -> tuple[list[Arrival], list[Arrival]]:
    """Return what lies before a place, and what lies behind it."""
    before: list[Arrival] = []
    after: list[Arrival] = []
    for arrival in held:
        if arrival.end <= place:
            before.append(arrival)
        elif arrival.place >= place:
            after.append(arrival)
        else:
            cut = place - arrival.place
            behind_ns = (arrival.end - place) * _NS // rate
            head = replace(arrival, frames=arrival.frames[:cut], arrived_ns=arrival.arrived_ns - behind_ns)
            tail = replace(arrival, frames=arrival.frames[cut:], place=place, dropped=0, step_us=0)
            before.append(head)
            after.append(tail)
    return before, after
