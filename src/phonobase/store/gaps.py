"""Gaps as rows, and how far a source's time is accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from phonobase.errors import InvalidDetails
from phonobase.store.columns import to_us, with_zone
from phonobase.store.ids import uuid7
from phonobase.store.models import GapRow, RecordingRow, SourceRow
from phonobase.store.recording import MAX_SECONDS, source_name, storable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

_SOURCE, _GAP = (cast("sa.Table", row.__table__) for row in (SourceRow, GapRow))
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_LONGEST = timedelta(seconds=MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source's time that was not heard; the columns of ``phono_gap``.

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
        id: Its row's; None where it is not a row.
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


def add_source(session: Session, name: str, created_at: datetime) -> None:
    """Make a source's row where there is none."""
    insert = _INSERTS[session.get_bind().dialect.name]
    session.execute(insert(_SOURCE).on_conflict_do_nothing(), {"name": name, "created_at": created_at})


def check_cause(cause: str, detail: str | None) -> None:
    """Raise InvalidDetails unless a gap can be listed with these."""
    if not storable("cause", cause):
        raise InvalidDetails("a gap is not listed without a cause; say why in a word, as 'paused'")
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
            RecordingRow.source == source, RecordingRow.started_at >= newest - _LONGEST
        )
    )
    listed = session.scalar(
        select(GapRow.ended_at).where(GapRow.source == source).order_by(GapRow.ended_at.desc()).limit(1)
    )
    return max((moment for moment in (heard, listed) if moment is not None), default=None)
