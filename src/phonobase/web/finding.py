"""Which recordings a request looks for: the fields of Query, by their names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query as Parameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from phonobase.store.query import FOUND_AT_MOST, Level, Query
from phonobase.store.recording import State
from phonobase.web.parameters import Moment, SourceName
from phonobase.web.visit import Visit

_LARGEST_PAGE = 1000


def _is_object(text: str) -> str:
    try:
        holds = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        holds = False
    if not holds:
        raise ValueError('write a JSON object, as {"queue": "billing"}')
    return text


JsonText = Annotated[
    str,
    AfterValidator(_is_object),
    Field(json_schema_extra={"contentMediaType": "application/json", "contentSchema": {"type": "object"}}),
]
"""The text of a JSON object."""


class Search(BaseModel):
    """Conditions, all of which are met by what is found; those that are not given do not matter."""

    model_config = ConfigDict(extra="forbid")

    source: SourceName | None = Field(None, description="of this source")
    sources: list[str] | None = Field(
        None, description="of one of these sources", examples=[["desk-3", "desk-4"]]
    )
    state: State | None = Field(None, description="in this state")
    since: Moment | None = Field(None, description="begun at this time or later")
    until: Moment | None = Field(None, description="begun before this time")
    heard_since: Moment | None = Field(None, description="with sound at this time or later")
    heard_until: Moment | None = Field(None, description="with sound before this time")
    heard_at: Moment | None = Field(None, description="with sound at this moment")
    min_seconds: float | None = Field(None, description="at least so long", examples=[10])
    max_seconds: float | None = Field(None, description="at most so long", examples=[600])
    level: Level | None = Field(
        None,
        description="loud: a peak at -6 dBFS or above; silent: at -60 dBFS or below; clipped: at full scale",
    )
    min_peak_dbfs: float | None = Field(
        None, description="with a peak at this level or above", examples=[-40]
    )
    max_peak_dbfs: float | None = Field(None, description="with a peak at this level or below", examples=[-3])
    tags: JsonText | None = Field(
        None,
        description="with these among its tags, at any depth: a JSON object as text",
        examples=['{"queue": "billing"}'],
    )
    text: str | None = Field(
        None,
        description="with this in its title or notes, whatever the case of its letters",
        min_length=1,
        max_length=200,
        examples=["complaint"],
    )
    external_id: str | None = Field(None, description="called so elsewhere", examples=["case-4711"])
    run_id: UUID | None = Field(None, description="made in this run")
    annotation_kind: str | None = Field(
        None, description="with an annotation of this kind", examples=["transcript"]
    )
    annotation_text: str | None = Field(
        None,
        description="with an annotation that says this",
        min_length=1,
        max_length=200,
        examples=["good morning"],
    )
    annotation_min_score: float | None = Field(
        None, description="with an annotation of this score or above", examples=[0.5]
    )
    after: str | None = Field(None, description="behind the page that said this in `next`")
    limit: int = Field(FOUND_AT_MOST, description="at most so many", ge=1, le=_LARGEST_PAGE)


Searching = Annotated[Search, Parameter()]


def asked(search: Search, visit: Visit) -> Query:
    """Return what a visitor looks for, among what they may know of.

    Raises:
        InvalidDetails: A condition is none that a recording could meet or miss.
        RecordingNotFound: There is no such source, or it is not theirs to know of.
    """
    conditions: dict[str, Any] = search.model_dump()
    if search.tags is not None:
        conditions["tags"] = json.loads(search.tags)
    query = Query(**conditions)
    named = set(query.sources or ()) | ({query.source} if query.source is not None else set())
    for name in sorted(named):
        visit.about(name)
    if query.sources is None and query.source is None:
        return replace(query, sources=visit.visitor.sources)
    return query
