"""What became of a source's time, for a screen: from years to less than a second."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from phonobase.store import overview
from phonobase.store.recording import State
from phonobase.web import shapes
from phonobase.web.parameters import From, SourceName, To
from phonobase.web.problems import answers
from phonobase.web.visit import Reading

router = APIRouter(tags=["pictures"])


class Missing(BaseModel):
    """Stretches that were not heard, all for one reason, with less than a column between them."""

    started_at: datetime = Field(description="where the first begins")
    ended_at: datetime = Field(description="where the last one ends")
    cause: str = Field(description="why; `unrecorded` is what nothing accounts for", examples=["paused"])
    count: int = Field(description="how many they are", examples=[1])


class Listed(BaseModel):
    """A recording on a timeline."""

    id: shapes.Id
    started_at: datetime = Field(description="at its first frame")
    ended_at: datetime = Field(description="behind its last frame")
    state: State = Field(description="whether it goes on, ended well, or broke off")
    title: str | None = Field(description="for people", examples=["Complaint about order 4711"])


class Timeline(BaseModel):
    """What became of a source's time, column by column, each as long as the others to a microsecond."""

    source: str = Field(description="whose time", examples=["desk-3"])
    since: datetime = Field(serialization_alias="from", description="the beginning of the first column")
    until: datetime = Field(serialization_alias="to", description="the end of the last one")
    columns: int = Field(description="how many: as asked for, or one a microsecond", examples=[2])
    heard: list[float] = Field(
        description="the share of each column that was heard: 1 only if all of it was", examples=[[1.0, 0.25]]
    )
    peak_dbfs: list[float | None] = Field(
        description="the loudest peak in each column; null where nothing, or digital silence, was heard",
        examples=[[-12.04, None]],
    )
    peaks_by_chunk: bool = Field(
        description="whether these are peaks of two seconds each; if not, a recording that lies in several "
        "columns has the same peak in all of them"
    )
    gaps: list[Missing] = Field(
        description="what was not heard, the first to begin first; what is to come is not missing"
    )
    recordings: list[Listed] = Field(
        description=f"the recordings in the order of their start, if there are {overview.FEW} at most"
    )
    recording_count: int = Field(description="how many recordings there are", examples=[1])


@router.get("/timeline", responses=answers(404))
def get_timeline(
    source: Annotated[SourceName, Query(description="whose time")],
    since: From,
    until: To,
    visit: Reading,
    width: Annotated[int, Query(ge=1, le=8192, description="how many columns")] = 1000,
) -> Timeline:
    """Say what became of a stretch of a source's time, from years to less than a second.

    What was heard is exact, however long the stretch is: every recording and every gap of it counts.
    """
    visit.about(source)
    found = overview.overview(visit.archive, source, since, until, width, known_until=datetime.now(UTC))
    shares = found.heard_us / (found.edges_us[1:] - found.edges_us[:-1])
    return Timeline(
        source=source,
        since=since,
        until=until,
        columns=found.columns,
        heard=shares.tolist(),
        peak_dbfs=[None if math.isinf(peak) else peak for peak in found.peak_dbfs.tolist()],
        peaks_by_chunk=found.by_chunk,
        gaps=[
            Missing(started_at=each.started_at, ended_at=each.ended_at, cause=each.cause, count=each.count)
            for each in found.gaps
        ],
        recordings=[
            Listed(
                id=each.id.hex,
                started_at=each.started_at,
                ended_at=each.ended_at,
                state=each.state,
                title=each.title,
            )
            for each in found.recordings
        ],
        recording_count=found.recording_count,
    )
