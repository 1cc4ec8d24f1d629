"""Gaps as rows, and what the rows say of a source's time."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from phonobase.errors import InvalidDetails
from phonobase.store.columns import from_us, to_us, with_zone
from phonobase.store.coverage import (
    UNRECORDED,
    Coverage,
    Gap,
    Heard,
    Missed,
    Stretch,
    account,
    merged,
    summed,
)
from phonobase.store.ids import uuid7
from phonobase.store.models import GapRow, RecordingRow, SourceRow
from phonobase.store.recording import LONGEST, source_name, storable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

_T = TypeVar("_T")

_SOURCE, _GAP = (cast("sa.Table", row.__table__) for row in (SourceRow, GapRow))
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_ROWS = 1000
"""Rows that are fetched at once where there may be any number."""


# As the index says that holds only these: it is used only where its condition can be seen.
_IS_LONG = {
    "postgresql": sa.text("phono_gap.ended_at - phono_gap.started_at > interval '24 hours'"),
    "sqlite": sa.text("julianday(phono_gap.ended_at) - julianday(phono_gap.started_at) > 0.999"),
}


class GapColumns:
    """Statements that fetch columns of the gaps that reach into a period.

    They are put together once: that takes as long as asking. A gap may be of any length, but few are longer
    than a day: those have an index of their own, the others began at most a day before.
    """

    def __init__(self, *columns: sa.ColumnElement[Any]) -> None:
        since: sa.BindParameter[datetime] = sa.bindparam("since")
        until: sa.BindParameter[datetime] = sa.bindparam("until")
        day_before: sa.BindParameter[datetime] = sa.bindparam("day_before")
        rows = select(*columns).where(_GAP.c.source == sa.bindparam("source"))
        long = rows.where(_GAP.c.started_at < day_before, _GAP.c.ended_at > since)
        short = rows.where(
            _GAP.c.started_at >= day_before, _GAP.c.started_at < since, _GAP.c.ended_at > since
        )
        self.reaching = {
            dialect: sa.union_all(long.where(is_long), short) for dialect, is_long in _IS_LONG.items()
        }
        self.beginning = (
            rows.where(_GAP.c.started_at >= since, _GAP.c.started_at < until)
            .order_by(_GAP.c.started_at, _GAP.c.id)
            .execution_options(yield_per=_ROWS)
        )


_WHOLE = GapColumns(*_GAP.columns)
_BOUNDS = GapColumns(_GAP.c.started_at, _GAP.c.ended_at, _GAP.c.recording_id, _GAP.c.cause, _GAP.c.id)


def add_source(session: Session, name: str, created_at: datetime) -> None:
    """Make a source's row where there is none."""
    insert = _INSERTS[session.get_bind().dialect.name]
    session.execute(insert(_SOURCE).on_conflict_do_nothing(), {"name": name, "created_at": created_at})


def check_cause(cause: str, detail: str | None) -> None:
    """Raise InvalidDetails unless a gap can be listed with these."""
    if not storable("cause", cause):
        raise InvalidDetails("a gap is not listed without a cause; say why in a word, as 'paused'")
    if cause == UNRECORDED:
        raise InvalidDetails(f"{cause!r} stands for what no row accounts for; say why in another word")
    storable("detail", detail)


def add_gap(session: Session, gap: Gap) -> None:
    """List a gap, under a new id unless it has one.

    Raises:
        InvalidDetails: It ends before it begins, has no cause, or holds what cannot be stored.
    """
    if with_zone(gap.ended_at) < with_zone(gap.started_at):
        raise InvalidDetails(f"a gap cannot end at {gap.ended_at}, before it begins at {gap.started_at}")
    check_cause(gap.cause, gap.detail)
    if gap.recording_id is None:  # a recording has made its source
        add_source(session, source_name(gap.source), gap.started_at)
    session.execute(
        sa.insert(_GAP),
        {
            "id": gap.id or uuid7(to_us(gap.started_at)),
            "source": gap.source,
            "run_id": gap.run_id,
            "recording_id": gap.recording_id,
            "first_frame": gap.first_frame,
            "frame_count": gap.frame_count,
            "started_at": gap.started_at,
            "ended_at": gap.ended_at,
            "cause": gap.cause,
            "detail": gap.detail,
        },
    )


def accounted_until(session: Session, source: str) -> datetime | None:
    """Return where the last recording or gap of a source ends; None where it has neither."""
    newest = session.scalar(
        select(RecordingRow.started_at)
        .where(RecordingRow.source == source)
        .order_by(RecordingRow.started_at.desc())
        .limit(1)
    )
    heard = newest and session.scalar(
        # One that began earlier may end later, and no recording is longer than a day.
        select(func.max(RecordingRow.ended_at, type_=RecordingRow.ended_at.type)).where(
            RecordingRow.source == source, RecordingRow.started_at >= newest - LONGEST
        )
    )
    listed = session.scalar(
        select(GapRow.ended_at).where(GapRow.source == source).order_by(GapRow.ended_at.desc()).limit(1)
    )
    return max((moment for moment in (heard, listed) if moment is not None), default=None)


def find_gaps(
    session: Session,
    source: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    most: int | None = None,
) -> list[Gap]:
    """Return the gaps of a source that reach into a period, the first to begin first.

    What was listed in parts is one gap.

    Raises:
        InvalidDetails: There are more than the most that are wanted.
    """
    with contextlib.closing(gap_rows(session, _WHOLE, source, since, until)) as rows:
        return merged(map(_to_gap, _no_more(most, rows)))


def find_gaps_inside(session: Session, recording_id: UUID) -> list[Gap]:
    """Return the gaps inside a recording, the first to begin first; parts of one are one."""
    rows = select(*_GAP.columns).where(GapRow.recording_id == recording_id)
    return merged(map(_to_gap, session.execute(rows.order_by(GapRow.first_frame, GapRow.id))))


def find_unrecorded(
    session: Session, source: str, since: datetime, until: datetime, *, most: int | None = None
) -> list[Gap]:
    """Return the stretches of a period that no recording and no gap of a source accounts for.

    Raises:
        InvalidDetails: There are more than the most that are wanted, or the period ends before it begins.
    """
    with contextlib.closing(_account(session, source, since, until)) as stretches:
        missing = (each for each in stretches if each.cause == UNRECORDED)
        return [
            Gap(source, from_us(stretch.start_us), from_us(stretch.end_us), UNRECORDED)
            for stretch in _no_more(most, missing)
        ]


def _no_more(most: int | None, found: Iterable[_T]) -> Iterator[_T]:
    for number, each in enumerate(found):
        if number == most:
            raise InvalidDetails("there are more gaps than one answer holds; ask for a shorter period")
        yield each


def coverage(session: Session, source: str, since: datetime, until: datetime) -> Coverage:
    """Return what became of a source's time in a period.

    Raises:
        InvalidDetails: The period ends before it begins.
    """
    heard_us, lost_us = summed(_account(session, source, since, until))
    return Coverage(source, since, until, heard_us, lost_us)


def _to_gap(row: sa.Row[Any]) -> Gap:
    return Gap(
        source=row.source,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cause=row.cause,
        detail=row.detail,
        recording_id=row.recording_id,
        first_frame=row.first_frame,
        frame_count=row.frame_count,
        run_id=row.run_id,
        id=row.id,
    )


def _account(session: Session, source: str, since: datetime, until: datetime) -> Generator[Stretch]:
    since_us, until_us = to_us(since), to_us(until)
    if until_us < since_us:
        raise InvalidDetails(f"a period cannot end at {until}, before it begins at {since}; swap the two")
    statement = (
        select(RecordingRow.started_at, RecordingRow.ended_at, RecordingRow.id)
        .where(
            RecordingRow.source == source,
            RecordingRow.started_at >= since - LONGEST,
            RecordingRow.started_at < until,
            RecordingRow.ended_at > since,
        )
        .order_by(RecordingRow.started_at)
        .execution_options(yield_per=_ROWS)
    )
    with (
        session.execute(statement) as recordings,
        contextlib.closing(gap_rows(session, _BOUNDS, source, since, until)) as gaps,
    ):
        yield from account(
            (Heard(to_us(start), to_us(end), recording_id) for start, end, recording_id in recordings),
            (Missed(to_us(row.started_at), to_us(row.ended_at), row.recording_id, row.cause) for row in gaps),
            since_us,
            until_us,
        )


def gap_rows(
    session: Session,
    columns: GapColumns,
    source: str,
    since: datetime | None,
    until: datetime | None,
) -> Generator[sa.Row[Any]]:
    """Yield the rows of the gaps that reach into a period, the first to begin first; close it."""
    begin, end = with_zone(since or _FIRST), with_zone(until or _LAST)
    values = {"source": source, "since": begin, "until": end}
    if since is not None:
        values["day_before"] = max(begin, _FIRST + LONGEST) - LONGEST
        reaching = session.execute(columns.reaching[session.get_bind().dialect.name], values)
        yield from sorted(reaching, key=lambda row: (row.started_at, row.id))
    with session.execute(columns.beginning, values) as rows:
        yield from rows
