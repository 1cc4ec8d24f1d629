"""Taking out of a spool what another archive has, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from phonobase.store.engine import WRITES, plain_errors
from phonobase.store.models import AnnotationRow, AudioRow, ChunkRow, GapRow, RecordingRow
from phonobase.store.recording import LONGEST
from phonobase.store.sending import annotation_ids, extents

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from phonobase.store.archive import Archive
    from phonobase.store.sending import Extent


def may_leave(spool: Archive, recording_id: UUID, sent: Extent) -> bool:
    """Whether nothing in a spool needs a recording any more.

    Left are the recordings that tell how far a source is accounted for: the one that began last, and the one
    that ended last. Left is also what is not closed, or is not what was sent.

    Args:
        spool: Where it is.
        recording_id: Which.
        sent: How far it went when it was sent.
    """
    with plain_errors(spool.engine), spool.engine.connect() as connection:
        return _may_leave(connection, recording_id, sent)


def shed_recording(
    spool: Archive, recording_id: UUID, sent: Extent, annotations: Collection[UUID] = frozenset()
) -> bool:
    """Take a recording out of a spool, in one transaction, where it may leave; whether that was done.

    Args:
        spool: Where it is.
        recording_id: Which.
        sent: How far it went when it was sent.
        annotations: What is said of it and need not be sent any more. Where more is said, it is left.
    """
    engine = spool.engine.execution_options(**{WRITES: True})
    with plain_errors(engine), engine.begin() as connection:
        said = annotation_ids(connection, [recording_id])
        if not _may_leave(connection, recording_id, sent) or not set(said) <= set(annotations):
            return False
        for table in (AudioRow, ChunkRow, GapRow, AnnotationRow):
            connection.execute(sa.delete(table).where(table.recording_id == recording_id))
        connection.execute(sa.delete(RecordingRow).where(RecordingRow.id == recording_id))
        return True


def shed_gaps(spool: Archive, ids: Sequence[UUID]) -> list[UUID]:
    """Take gaps outside recordings out of a spool, and return which.

    Left is, of every source, the gap that began last and the one that ended last.

    Args:
        spool: Where they are.
        ids: Which.
    """
    engine = spool.engine.execution_options(**{WRITES: True})
    with plain_errors(engine), engine.begin() as connection:
        rows = connection.execute(
            sa.select(GapRow.id, GapRow.source).where(GapRow.id.in_(ids), GapRow.recording_id.is_(None))
        ).all()
        kept = set()
        for source in {row.source for row in rows}:
            of_source = sa.select(GapRow.id).where(GapRow.source == source)
            for column in (GapRow.started_at, GapRow.ended_at):
                kept.add(connection.scalar(of_source.order_by(column.desc()).limit(1)))
        shed = [row.id for row in rows if row.id not in kept]
        connection.execute(sa.delete(GapRow).where(GapRow.id.in_(shed)))
        return shed


def _may_leave(connection: sa.Connection, recording_id: UUID, sent: Extent) -> bool:
    if not sent.closed or extents(connection, [recording_id]).get(recording_id) != sent:
        return False
    this = connection.execute(
        sa.select(RecordingRow.source, RecordingRow.started_at, RecordingRow.ended_at).where(
            RecordingRow.id == recording_id
        )
    ).one()
    others = sa.select(RecordingRow.id).where(
        RecordingRow.source == this.source, RecordingRow.id != recording_id
    )
    later = others.where(RecordingRow.started_at > this.started_at)
    longer = others.where(
        RecordingRow.started_at >= this.ended_at - LONGEST, RecordingRow.ended_at >= this.ended_at
    )
    return all(connection.scalar(other.limit(1)) for other in (later, longer))
