"""What became of a source's time, from years to less than a second, in as many columns as a screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from sqlalchemy import bindparam, select

from phonobase.errors import InvalidDetails
from phonobase.store.columns import from_us, to_us
from phonobase.store.coverage import UNRECORDED
from phonobase.store.gaps import GapColumns, gap_rows
from phonobase.store.models import ChunkRow, GapRow, RecordingRow
from phonobase.store.recording import LONGEST, State
from phonobase.store.spans import HEARD, Account, Spans, account

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy.typing as npt
    from sqlalchemy.orm import Session

    from phonobase.store.archive import Archive
    from phonobase.store.spans import Times

FEW = 500
"""So many recordings are listed one by one, and no more."""

CHUNKS_AT_MOST = 50_000
"""Beyond so many chunks, a bit more than a day of them, the levels of whole recordings have to do."""

_SECOND_US = 1_000_000
_IDS_AT_ONCE = 500
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
        peaks, by_chunk = _peaks(session, recordings, edges_us)
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


_RECORDING, _CHUNKS, _GAP = (cast("sa.Table", row.__table__) for row in (RecordingRow, ChunkRow, GapRow))


@dataclass(frozen=True, slots=True)
class _Recordings:
    """The recordings of a period, column by column of their table, in the order of their start."""

    spans: Spans
    peak_dbfs: npt.NDArray[np.float64]
    chunk_count: npt.NDArray[np.int64]
    sample_rate: npt.NDArray[np.int64]
    ids: Sequence[str]


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


def _recordings(session: Session, source: str, since: datetime, until: datetime) -> _Recordings:
    dialect, recording = session.get_bind().dialect.name, _RECORDING.c
    rows = session.execute(
        select(
            _instant(recording.started_at, dialect),
            _instant(recording.ended_at, dialect),
            recording.peak_dbfs,
            recording.chunk_count,
            recording.sample_rate,
            _plain(recording.id, dialect),
        )
        .where(*_within(since, until, source))
        .order_by(recording.started_at)
    ).all()
    start, end, peak, chunks, rates, ids = zip(*rows, strict=True) if rows else ((),) * 6
    return _Recordings(
        Spans(_to_us(start, dialect), _to_us(end, dialect)),
        np.array(peak, np.float64),
        np.array(chunks, np.int64),
        np.array(rates, np.int64),
        ids,
    )


def _gaps(session: Session, source: str, since: datetime, until: datetime, recordings: _Recordings) -> _Gaps:
    dialect = session.get_bind().dialect.name
    rows = list(gap_rows(session, _GAP_COLUMNS[dialect], source, since, until))
    start, end, inside, causes, _ = zip(*rows, strict=True) if rows else ((),) * 5
    numbers: dict[str, int] = {}
    if any(recording_id is not None for recording_id in inside):
        numbers = {recording_id: number for number, recording_id in enumerate(recordings.ids)}
    return _Gaps(
        Spans(_to_us(start, dialect), _to_us(end, dialect)),
        np.array([numbers.get(recording_id, -1) for recording_id in inside], np.int64),
        causes,
    )


def _peaks(
    session: Session, recordings: _Recordings, edges_us: Times
) -> tuple[npt.NDArray[np.float64], bool]:
    """Return the loudest peak in each column, and whether it is that of its chunks."""
    peaks = np.full(len(edges_us) - 1, -np.inf)
    spans = recordings.spans
    first, last = _columns_of(spans, edges_us)
    in_one = (first == last) & (spans.start_us >= edges_us[0]) & (spans.end_us <= edges_us[-1])
    np.maximum.at(peaks, first[in_one], recordings.peak_dbfs[in_one])
    rest = np.flatnonzero(~in_one & (first <= last))
    lengths = np.maximum(1, spans.end_us[rest] - spans.start_us[rest])
    inside = np.minimum(spans.end_us[rest], edges_us[-1]) - np.maximum(spans.start_us[rest], edges_us[0])
    by_chunk = bool((recordings.chunk_count[rest] * (inside / lengths)).sum() <= CHUNKS_AT_MOST)
    found = (
        _chunks(session, recordings, rest, int(edges_us[0]), int(edges_us[-1]))
        if by_chunk
        else (Spans(spans.start_us[rest], spans.end_us[rest]), recordings.peak_dbfs[rest])
    )
    _raise_peaks(peaks, *found, edges_us)
    return peaks, by_chunk


def _raise_peaks(
    peaks: npt.NDArray[np.float64], spans: Spans, levels: npt.NDArray[np.float64], edges_us: Times
) -> None:
    """Raise the peak of each column to that of the loudest span that reaches into it."""
    first, last = _columns_of(spans, edges_us)
    count = np.maximum(0, last - first + 1)
    offset = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    np.maximum.at(peaks, np.repeat(first, count) + offset, np.repeat(levels, count))


def _columns_of(spans: Spans, edges_us: Times) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and the last column that each span reaches into; the last is less, where none."""
    first = edges_us.searchsorted(spans.start_us, "right") - 1
    last = edges_us.searchsorted(spans.end_us, "left") - 1
    columns = len(edges_us) - 1
    return first.clip(0), last.clip(max=columns - 1)


def _chunks(
    session: Session, recordings: _Recordings, numbers: npt.NDArray[np.int64], since_us: int, until_us: int
) -> tuple[Spans, npt.NDArray[np.float64]]:
    """Return the times and the peaks of the chunks of some recordings that reach into a period."""
    spans, dialect = recordings.spans, session.get_bind().dialect.name
    whole = (spans.start_us[numbers] >= since_us) & (spans.end_us[numbers] <= until_us)
    rows: list[Any] = []
    for begin in range(0, np.count_nonzero(whole), _IDS_AT_ONCE):
        ids = [UUID(recordings.ids[number]) for number in numbers[whole][begin : begin + _IDS_AT_ONCE]]
        rows += session.execute(_CHUNKS_OF_MANY[dialect], {"ids": ids})
    for number in numbers[~whole].tolist():
        start_us, rate = int(spans.start_us[number]), int(recordings.sample_rate[number])
        values = {
            "id": UUID(recordings.ids[number]),
            "first": max(0, (since_us - start_us) * rate // _SECOND_US),
            "stop": -(-(until_us - start_us) * rate // _SECOND_US),
        }
        rows += session.execute(_CHUNKS_OF_ONE[dialect], values)
    holder_ids, firsts, counts, levels = zip(*rows, strict=True) if rows else ((),) * 4
    number_of = {recordings.ids[number]: number for number in numbers.tolist()}
    holders = np.array([number_of[holder_id] for holder_id in holder_ids], np.int64)
    first_frame, frame_count = (np.array(counted, np.int64) for counted in (firsts, counts))
    starts_us, rates = spans.start_us[holders], recordings.sample_rate[holders]
    begin_us, end_us = (
        starts_us + frame * _SECOND_US // rates for frame in (first_frame, first_frame + frame_count)
    )
    return Spans(begin_us, end_us), np.array(levels, np.float64)


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


def _instant(column: sa.ColumnElement[datetime], dialect: str) -> sa.ColumnElement[Any]:
    """Return a moment as the database gives it soonest; ``_to_us`` understands it."""
    if dialect == "sqlite":
        return sa.type_coerce(column, sa.Text).label(column.name)
    return sa.cast(sa.extract("epoch", column) * _SECOND_US, sa.BigInteger).label(column.name)


def _to_us(moments: Sequence[Any], dialect: str) -> Times:
    """Return what ``_instant`` selected as microseconds since 1970-01-01 UTC."""
    return np.array(moments, "M8[us]" if dialect == "sqlite" else np.int64).astype(np.int64)


def _plain(column: sa.ColumnElement[UUID], dialect: str) -> sa.ColumnElement[str]:
    """Return an id as text: to make an object of each takes long."""
    if dialect == "sqlite":
        return sa.type_coerce(column, sa.Text).label(column.name)
    return sa.cast(column, sa.Text).label(column.name)


_GAP_COLUMNS = {
    dialect: GapColumns(
        _instant(_GAP.c.started_at, dialect),
        _instant(_GAP.c.ended_at, dialect),
        _plain(_GAP.c.recording_id, dialect),
        _GAP.c.cause,
        _plain(_GAP.c.id, dialect),
    )
    for dialect in _DIALECTS
}
_CHUNK = _CHUNKS.c
_LEVELS = {
    dialect: select(
        _plain(_CHUNK.recording_id, dialect), _CHUNK.first_frame, _CHUNK.frame_count, _CHUNK.peak_dbfs
    )
    for dialect in _DIALECTS
}
_OF_MANY = _CHUNK.recording_id.in_(bindparam("ids", expanding=True))
_CHUNKS_OF_MANY = {dialect: levels.where(_OF_MANY) for dialect, levels in _LEVELS.items()}
_OF_ONE = (
    _CHUNK.recording_id == bindparam("id"),
    _CHUNK.first_frame
    >= select(_CHUNK.first_frame)
    .where(_CHUNK.recording_id == bindparam("id"), _CHUNK.first_frame <= bindparam("first"))
    .order_by(_CHUNK.first_frame.desc())
    .limit(1)
    .scalar_subquery(),
    _CHUNK.first_frame < bindparam("stop"),
)
_CHUNKS_OF_ONE = {dialect: levels.where(*_OF_ONE) for dialect, levels in _LEVELS.items()}
