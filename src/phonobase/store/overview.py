"""What became of a source's time, from years to less than a second, in as many columns as a screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import sqlalchemy as sa
from sqlalchemy import select

from phonobase.errors import InvalidDetails
from phonobase.store.columns import from_us, to_us
from phonobase.store.coverage import UNRECORDED
from phonobase.store.gaps import GapColumns, gap_rows
from phonobase.store.loudness import Recordings, loudest
from phonobase.store.models import GapRow, RecordingRow
from phonobase.store.recording import LONGEST, State
from phonobase.store.soonest import instant, instants_us, plain
from phonobase.store.spans import HEARD, Account, Spans, account

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import numpy.typing as npt
    from sqlalchemy.orm import Session

    from phonobase.store.archive import Archive
    from phonobase.store.spans import Times

FEW = 500
"""So many recordings are listed one by one, and no more."""

_DIALECTS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording in an overview; the fields are those of Recording."""

    id: UUID
    started_at: datetime
    ended_at: datetime
    state: State
    title: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Time that was not heard, as an overview shows it.

    Attributes:
        started_at: Where the first of its stretches begins.
        ended_at: Where the last one ends.
        cause: Why, in a word; ``unrecorded``, where no row accounts for it.
        count: How many stretches it is: less than a column lies between one and the next.
    """

    started_at: datetime
    ended_at: datetime
    cause: str
    count: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What became of a source's time in a period.

    Attributes:
        source: Whose time.
        edges_us: Where each column begins, in microseconds since 1970-01-01 UTC, and where the last one ends.
        heard_us: How many microseconds of each column were heard, exactly as Archive.coverage has it.
        peak_dbfs: The loudest peak in each column; -inf, where there is none, or digital silence.
        by_chunk: Whether peaks are those of chunks, of about two seconds. If not, a recording that lies in
            several columns has one and the same peak in all of them.
        gaps: What was not heard, in the order of time.
        recordings: The recordings of the period in the order of their start, where they are few; else none.
        recording_count: How many there are.
    """

    source: str
    edges_us: Times
    heard_us: Times
    peak_dbfs: npt.NDArray[np.float64]
    by_chunk: bool
    gaps: tuple[Missing, ...]
    recordings: tuple[Listed, ...]
    recording_count: int

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return len(self.heard_us)


def overview(
    archive: Archive,
    source: str,
    since: datetime,
    until: datetime,
    columns: int,
    *,
    known_until: datetime | None = None,
) -> Overview:
    """Return what became of a source's time in a period, column by column.

    Every row of the period is counted, so that what was heard is exact from a year to a microsecond.

    Args:
        archive: Where to look.
        source: Whose time.
        since: Its beginning.
        until: Its end.
        columns: How many are wanted; there are never more than microseconds.
        known_until: Behind this nothing is missing only because no row accounts for it: it may still come.

    Raises:
        InvalidDetails: The period ends before it begins, or as it begins.
    """
    since_us, until_us = to_us(since), to_us(until)
    if until_us <= since_us:
        raise InvalidDetails(f"nothing lies between {since} and {until}; name an end behind the beginning")
    columns = min(columns, until_us - since_us)
    edges_us = since_us + np.array(
        [column * (until_us - since_us) // columns for column in range(columns + 1)]
    )
    with archive.one_moment() as session:
        recordings = _recordings(session, source, since, until)
        gaps = _gaps(session, source, since, until, recordings)
        peaks, by_chunk = loudest(session, recordings, edges_us)
        listed = _listed(session, source, since, until) if len(recordings.ids) <= FEW else ()
    became = account(recordings.spans, gaps.spans, gaps.inside, since_us, until_us)
    return Overview(
        source=source,
        edges_us=edges_us,
        heard_us=np.diff(became.heard_us(edges_us)),
        peak_dbfs=peaks,
        by_chunk=by_chunk,
        gaps=_missing(became, gaps, int(np.diff(edges_us).max()), to_us(known_until or until)),
        recordings=listed,
        recording_count=len(recordings.ids),
    )


_RECORDING, _GAP = (cast("sa.Table", row.__table__) for row in (RecordingRow, GapRow))


@dataclass(frozen=True, slots=True)
class _Gaps:
    """The gaps of a period, column by column of their table, in the order of their start."""

    spans: Spans
    inside: npt.NDArray[np.int64]
    causes: Sequence[str]


def _within(since: datetime, until: datetime, source: str) -> tuple[sa.ColumnElement[bool], ...]:
    recording = _RECORDING.c
    return (
        recording.source == source,
        recording.started_at >= since - LONGEST,
        recording.started_at < until,
        recording.ended_at > since,
    )


def _recordings(session: Session, source: str, since: datetime, until: datetime) -> Recordings:
    dialect, recording = session.get_bind().dialect.name, _RECORDING.c
    rows = session.execute(
        select(
            instant(recording.started_at, dialect),
            instant(recording.ended_at, dialect),
            recording.peak_dbfs,
            recording.chunk_count,
            recording.sample_rate,
            plain(recording.id, dialect),
        )
        .where(*_within(since, until, source))
        .order_by(recording.started_at)
    ).all()
    start, end, peak, chunks, rates, ids = zip(*rows, strict=True) if rows else ((),) * 6
    return Recordings(
        Spans(instants_us(start, dialect), instants_us(end, dialect)),
        np.array(peak, np.float64),
        np.array(chunks, np.int64),
        np.array(rates, np.int64),
        ids,
    )


def _gaps(session: Session, source: str, since: datetime, until: datetime, recordings: Recordings) -> _Gaps:
    dialect = session.get_bind().dialect.name
    rows = list(gap_rows(session, _GAP_COLUMNS[dialect], source, since, until))
    start, end, inside, causes, _ = zip(*rows, strict=True) if rows else ((),) * 5
    numbers: dict[str, int] = {}
    if any(recording_id is not None for recording_id in inside):
        numbers = {recording_id: number for number, recording_id in enumerate(recordings.ids)}
    return _Gaps(
        Spans(instants_us(start, dialect), instants_us(end, dialect)),
        np.array([numbers.get(recording_id, -1) for recording_id in inside], np.int64),
        causes,
    )


def _missing(became: Account, gaps: _Gaps, apart_us: int, known_until_us: int) -> tuple[Missing, ...]:
    """Return what was not heard: stretches of one cause as one, where less than a column is between them."""
    causes = [*dict.fromkeys(gaps.causes), UNRECORDED]
    numbers = {cause: number for number, cause in enumerate(causes)}
    of_gap = np.array([numbers[cause] for cause in gaps.causes] + [len(causes) - 1], np.int64)
    # The last one stands for what no gap accounts for.
    cause = np.where(became.what == HEARD, HEARD, of_gap[np.maximum(became.what, -1)])
    goes_on = np.flatnonzero(np.diff(cause, prepend=HEARD - 1))
    start, end, cause = (
        became.edges_us[goes_on],
        became.edges_us[np.append(goes_on[1:], len(became.what))],
        cause[goes_on],
    )
    unaccounted = cause == len(causes) - 1
    end = np.where(unaccounted, end.clip(max=known_until_us), end)
    cause = np.where(end > start, cause, HEARD)
    points = np.flatnonzero(
        (gaps.spans.start_us == gaps.spans.end_us)
        & (gaps.spans.start_us >= became.edges_us[0])
        & (gaps.spans.start_us < became.edges_us[-1])
    )
    start = np.concatenate([start, gaps.spans.start_us[points]])
    end = np.concatenate([end, gaps.spans.end_us[points]])
    cause = np.concatenate([cause, of_gap[points]])
    found = []
    for number, name in enumerate(causes):
        mine = np.flatnonzero(cause == number)
        mine = mine[start[mine].argsort(kind="stable")]
        begins, ends = start[mine], np.maximum.accumulate(end[mine])
        firsts = np.flatnonzero(np.append(True, begins[1:] - ends[:-1] >= apart_us)[: len(mine)])
        lasts = np.append(firsts[1:], len(mine))[: len(firsts)] - 1
        found += [
            Missing(from_us(int(begins[first])), from_us(int(ends[last])), name, int(last - first + 1))
            for first, last in zip(firsts, lasts, strict=True)
        ]
    return tuple(sorted(found, key=lambda missing: missing.started_at))


def _listed(session: Session, source: str, since: datetime, until: datetime) -> tuple[Listed, ...]:
    recording = _RECORDING.c
    rows = session.execute(
        select(recording.id, recording.started_at, recording.ended_at, recording.state, recording.title)
        .where(*_within(since, until, source))
        .order_by(recording.started_at, recording.id)
    )
    return tuple(
        Listed(recording_id, start, end, State(state), title)
        for recording_id, start, end, state, title in rows
    )


_GAP_COLUMNS = {
    dialect: GapColumns(
        instant(_GAP.c.started_at, dialect),
        instant(_GAP.c.ended_at, dialect),
        plain(_GAP.c.recording_id, dialect),
        _GAP.c.cause,
        plain(_GAP.c.id, dialect),
    )
    for dialect in _DIALECTS
}
