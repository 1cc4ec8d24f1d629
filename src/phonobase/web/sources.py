"""Which sources there are."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from phonobase.store.current import list_current
from phonobase.store.current import list_sources as stored_sources
from phonobase.web import shapes
from phonobase.web.problems import answers
from phonobase.web.status import is_live
from phonobase.web.visit import Reading

router = APIRouter(tags=["sources"])


class Source(BaseModel):
    """A named place that sound comes from."""

    name: str = Field(description="what it is called", examples=["desk-3"])
    description: str | None = Field(description="for people", examples=["the desk at the window"])
    first_heard_at: datetime | None = Field(description="where its first recording begins")
    last_heard_at: datetime | None = Field(description="where the recording ends that began last")
    recording_id: shapes.Id | None = Field(description="its open recording, the newest of several")
    recording: bool = Field(description="whether sound was committed to that in the last minute")


class Sources(BaseModel):
    """All sources that who asks may know of."""

    sources: list[Source]


@router.get("/sources", responses=answers())
def list_sources(visit: Reading) -> Sources:
    """List the sources, by name, and what each heard first and last."""
    with visit.archive.session() as session:
        found = stored_sources(session, visit.visitor.sources)
        current = {each.source: each for each in reversed(list_current(session))}
    said = []
    for source in found:
        open_ = current.get(source.name)
        said.append(
            Source(
                name=source.name,
                description=source.description,
                first_heard_at=source.first_heard_at,
                last_heard_at=source.last_heard_at,
                recording_id=None if open_ is None else open_.recording_id.hex,
                recording=open_ is not None and is_live(open_),
            )
        )
    return Sources(sources=said)
