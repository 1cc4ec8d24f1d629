"""What became of a source's time, for very many recordings and gaps at once.

The same account as phonobase.store.coverage gives, made of arrays instead of one row after the other. All
times are microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Times: TypeAlias = "npt.NDArray[np.int64]"

HEARD, UNACCOUNTED = -1, -2
"""What a stretch is where no gap is to be named for it."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of time, in the order of their start.

    Attributes:
        start_us: Their beginnings.
        end_us: Their ends.
    """

    start_us: Times
    end_us: Times


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a period: stretches that follow each other and fill it.

    Attributes:
        edges_us: Where they begin, and the end of the last one.
        what: For each the number of the gap it is lost by, or HEARD, or UNACCOUNTED.
    """

    edges_us: Times
    what: npt.NDArray[np.int64]

    def heard_us(self, edges_us: Times) -> Times:
        """Return how much was heard before each of some moments of the period."""
        lengths = np.where(self.what == HEARD, np.diff(self.edges_us), 0)
        behind = np.concatenate([[0], lengths.cumsum()])
        place = (self.edges_us.searchsorted(edges_us, "right") - 1).clip(0, len(self.what) - 1)
        within = np.where(self.what[place] == HEARD, edges_us - self.edges_us[place], 0)
        heard: Times = behind[place] + within
        return heard


def account(
    recordings: Spans, gaps: Spans, inside: npt.NDArray[np.int64], since_us: int, until_us: int
) -> Account:
    """Say what became of a period, as phonobase.store.coverage.account does.

    Args:
        recordings: All that reach into it.
        gaps: All that reach into it.
        inside: For each gap the number of the recording it lies in; -1, where it lies in none of these.
        since_us: Beginning of the period.
        until_us: Its end, behind it.
    """
    heard = _united(_without(recordings, gaps, inside))
    # Of several gaps the first to begin counts: each has what is behind all that began before it.
    reach = np.maximum.accumulate(np.concatenate([[since_us], gaps.end_us]))[:-1]
    claim_start = np.maximum(gaps.start_us, reach)
    claims = np.flatnonzero(claim_start < gaps.end_us)
    claim_start, claim_end = claim_start[claims], gaps.end_us[claims]
    edges = np.concatenate([heard.start_us, heard.end_us, claim_start, claim_end, [since_us, until_us]])
    edges = np.sort(edges.clip(since_us, until_us))
    edges = edges[np.diff(edges, prepend=since_us - 1) > 0]  # np.unique takes its time
    begins = edges[:-1]
    what = np.full(len(begins), UNACCOUNTED, np.int64)
    for number, spans in ((None, (claim_start, claim_end)), (HEARD, (heard.start_us, heard.end_us))):
        if not len(spans[0]):
            continue
        place = spans[0].searchsorted(begins, "right") - 1
        covered = (place >= 0) & (begins < spans[1][place])
        what[covered] = claims[place[covered]] if number is None else number
    return Account(edges, what)


def _without(recordings: Spans, gaps: Spans, inside: npt.NDArray[np.int64]) -> Spans:
    """Return the recordings without the gaps that lie in them, in any order."""
    silent: dict[int, list[tuple[int, int]]] = {}
    for gap in np.flatnonzero((inside >= 0) & (gaps.start_us < gaps.end_us)):
        span = int(gaps.start_us[gap]), int(gaps.end_us[gap])
        silent.setdefault(int(inside[gap]), []).append(span)
    starts, ends = [], []
    for number, spans in silent.items():
        place, end = int(recordings.start_us[number]), int(recordings.end_us[number])
        for gap_start, gap_end in spans:
            if place < min(gap_start, end):
                starts.append(place)
                ends.append(min(gap_start, end))
            place = max(place, gap_end)
        if place < end:
            starts.append(place)
            ends.append(end)
    whole = np.ones(len(recordings.start_us), np.bool_)
    whole[list(silent)] = False
    return Spans(
        np.concatenate([recordings.start_us[whole], np.array(starts, np.int64)]),
        np.concatenate([recordings.end_us[whole], np.array(ends, np.int64)]),
    )


def _united(spans: Spans) -> Spans:
    """Return spans without those of no length, and as one where they touch or overlap."""
    long = spans.start_us < spans.end_us
    order = spans.start_us[long].argsort(kind="stable")
    start, end = spans.start_us[long][order], np.maximum.accumulate(spans.end_us[long][order])
    apart = np.concatenate([[True], start[1:] > end[:-1]]) if len(start) else np.zeros(0, np.bool_)
    first = np.flatnonzero(apart)
    last = np.concatenate([first[1:], [len(start)]]) - 1 if len(first) else first
    return Spans(start[first], end[last])
