"""Which sources there are, and what each of them records now: looked up, however much was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import select

from phonobase.store.lookup import newest_first
from phonobase.store.models import ChunkRow, RecordingRow, SourceRow
from phonobase.store.recording import State

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import InstrumentedAttribute, Session


@dataclass(frozen=True, slots=True)
class Source:
    """A named place that sound comes from.

    Attributes:
        name: What it is called.
        description: For people.
        first_heard_at: Where its first recording begins; None where it has none.
        last_heard_at: Where the recording ends that began last; None where it has none.
    """

    name: str
    description: str | None
    first_heard_at: datetime | None
    last_heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class Current:
    """A recording that is open: its recorder goes on with it, or died.

    Attributes:
        source: Where its sound comes from.
        recording_id: Which it is.
        started_at: Its beginning.
        heard_until: The end of what was committed.
        committed_at: When that was, by the recorder's clock.
        peak_dbfs: Of the newest chunk; ``-inf`` for digital silence.
        rms_dbfs: Of the newest chunk.
    """

    source: str
    recording_id: UUID
    started_at: datetime
    heard_until: datetime
    committed_at: datetime
    peak_dbfs: float
    rms_dbfs: float


def _at_edge(
    value: InstrumentedAttribute[datetime],
    edge: sa.ColumnElement[bool],
    order: tuple[sa.UnaryExpression[Any], ...],
) -> sa.ScalarSelect[Any]:
    """Return a value of the recording that comes first from a source on, in the order of the index.

    Were the source asked for as such, PostgreSQL would think of looking for it in the order of time, through
    all that others heard.
    """
    of_source = sa.case((RecordingRow.source == SourceRow.name, value))
    return select(of_source).where(edge).order_by(*order).limit(1).scalar_subquery()


_FIRST = _at_edge(
    RecordingRow.started_at,
    RecordingRow.source >= SourceRow.name,
    (RecordingRow.source.asc(), RecordingRow.started_at.asc()),
)
_LAST = _at_edge(
    RecordingRow.ended_at,
    RecordingRow.source <= SourceRow.name,
    (RecordingRow.source.desc(), RecordingRow.started_at.desc(), RecordingRow.id.desc()),
)
_SOURCES = select(
    SourceRow.name,
    SourceRow.description,
    _FIRST.label("first_heard_at"),
    _LAST.label("last_heard_at"),
).order_by(SourceRow.name)

_CURRENT = (
    select(
        RecordingRow.source,
        RecordingRow.id,
        RecordingRow.started_at,
        RecordingRow.ended_at,
        RecordingRow.committed_at,
        ChunkRow.peak_dbfs,
        ChunkRow.rms_dbfs,
    )
    .join(
        ChunkRow, (ChunkRow.recording_id == RecordingRow.id) & (ChunkRow.seq == RecordingRow.chunk_count - 1)
    )
    # As a literal: a partial index is used only where its condition can be seen.
    .where(RecordingRow.state == sa.bindparam(None, str(State.RECORDING), literal_execute=True))
    .order_by(*newest_first())
)


def list_sources(session: Session, names: Collection[str] | None = None) -> list[Source]:
    """Return the sources, by name.

    Args:
        session: On the database they are in.
        names: Only these; all, where not given.
    """
    statement = _SOURCES if names is None else _SOURCES.where(SourceRow.name.in_(sorted(names)))
    return [Source(*row) for row in session.execute(statement)]


def list_current(session: Session) -> list[Current]:
    """Return the recordings that are open, the newest first."""
    return [Current(*row) for row in session.execute(_CURRENT)]
