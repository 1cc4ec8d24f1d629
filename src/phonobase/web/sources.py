"""Which sources there are."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from phonobase.web.problems import answers
from phonobase.web.visit import Reading

router = APIRouter()


class Source(BaseModel):
    """A named place that sound comes from."""

    name: str = Field(description="what it is called", examples=["desk-3"])


class Sources(BaseModel):
    """All sources that who asks may know of."""

    sources: list[Source]


@router.get("/sources", responses=answers())
def list_sources(visit: Reading) -> Sources:
    """List the sources."""
    return Sources(sources=[Source(name=name) for name in visit.sources()])
