"""Recordings as they are now, and those that follow them in their run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy import select

from phonobase.store.models import RecordingRow
from phonobase.store.rows import to_recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from phonobase.store.recording import Recording

_ALL = select(*cast("sa.Table", RecordingRow.__table__).columns)


def current(session: Session, ids: Sequence[UUID]) -> dict[UUID, Recording]:
    """Return those recordings that there are."""
    rows = session.execute(_ALL.where(RecordingRow.id.in_(ids))).mappings()
    return {row["id"]: to_recording(row) for row in rows}


def continuing(session: Session, recording: Recording) -> Recording | None:
    """Return the recording that its run goes on with; None where there is none yet."""
    following = _ALL.where(
        RecordingRow.run_id == recording.run_id, RecordingRow.run_index == recording.run_index + 1
    )
    row = session.execute(following).mappings().first()
    return None if row is None else to_recording(row)
