"""What is being recorded now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, Field

from phonobase.store.current import Current, list_current
from phonobase.web import shapes
from phonobase.web.problems import answers
from phonobase.web.visit import Reading

router = APIRouter(tags=["service"])

_LIVE = timedelta(minutes=1)
"""A recorder commits every few seconds; one that did not for so long is paused by its disk, or dead."""


class Recorded(BaseModel):
    """A recording that is open."""

    source: str = Field(description="where its sound comes from", examples=["desk-3"])
    recording_id: shapes.Id
    started_at: datetime = Field(description="its beginning")
    heard_until: datetime = Field(description="the end of what was committed")
    behind_seconds: float = Field(description="how long ago that is", ge=0, examples=[1.6])
    peak_dbfs: shapes.Level = Field(description="of the newest chunk; null for digital silence")
    rms_dbfs: shapes.Level = Field(description="of the newest chunk; null for digital silence")
    recording: bool = Field(
        description="whether anything was committed in the last minute; if not, its recorder is dead"
    )


class Status(BaseModel):
    """What is being recorded now."""

    sources: list[Recorded] = Field(description="one for each recording that is open, the newest first")


@router.get("/status", responses=answers())
def get_status(visit: Reading) -> Status:
    """Say what is being recorded now, how far behind it is, and how loud the newest chunk was."""
    with visit.archive.session() as session:
        found = [each for each in list_current(session) if visit.visitor.may_know(each.source)]
    now = datetime.now(UTC)
    return Status(
        sources=[
            Recorded(
                source=each.source,
                recording_id=each.recording_id.hex,
                started_at=each.started_at,
                heard_until=each.heard_until,
                behind_seconds=max(0.0, (now - each.heard_until).total_seconds()),
                peak_dbfs=shapes.level(each.peak_dbfs),
                rms_dbfs=shapes.level(each.rms_dbfs),
                recording=is_live(each),
            )
            for each in found
        ]
    )


def is_live(current: Current) -> bool:
    """Return whether an open recording still gets sound, as far as its recorder's clock can be trusted."""
    return datetime.now(UTC) - current.committed_at < _LIVE
