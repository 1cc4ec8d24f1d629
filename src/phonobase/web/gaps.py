"""What was not heard, and how much was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from phonobase.errors import InvalidDetails
from phonobase.store.coverage import Gap
from phonobase.store.gaps import coverage, find_gaps, find_unrecorded
from phonobase.web import shapes
from phonobase.web.parameters import From, Moment, SourceName, To
from phonobase.web.problems import answers
from phonobase.web.visit import Reading

router = APIRouter(tags=["gaps"])

_MOST = 10_000
"""How many gaps are listed at once."""


class Coverage(BaseModel):
    """What became of a source's time in a period; heard and lost add up to it exactly."""

    source: str = Field(description="whose time", examples=["desk-3"])
    since: datetime = Field(description="the beginning of the period")
    until: datetime = Field(description="its end: now, at the latest")
    asked_us: int = Field(description="its length in microseconds", examples=[3_600_000_000])
    heard_us: int = Field(description="microseconds that are there as sound", examples=[3_599_500_000])
    lost_us: dict[str, int] = Field(
        description="microseconds that are not, for each cause", examples=[{"overflow": 500_000}]
    )


@router.get("/gaps", responses=answers(404))
def list_gaps(
    visit: Reading,
    source: Annotated[SourceName | None, Query(description="of this source; of all, where not given")] = None,
    since: Annotated[
        Moment | None, Query(alias="from", description="those that reach behind this time, or begin at it")
    ] = None,
    until: Annotated[
        Moment | None, Query(alias="to", description="those that begin before this time")
    ] = None,
    *,
    unrecorded: Annotated[
        bool, Query(description="whether to compute, too, what nothing accounts for until now; needs `from`")
    ] = False,
) -> shapes.Gaps:
    """List what was not heard, and why, the first to begin first; parts of one gap are one.

    At most ten thousand are listed; where there are more, a shorter period must be asked for.
    """
    names = visit.sources() if source is None else [visit.about(source)]
    if since is not None and until is not None:
        _in_order(since, until)
    found: list[Gap] = []
    with visit.archive.one_moment() as session:
        for name in names:
            found += find_gaps(session, name, since, until, most=_MOST - len(found))
            if unrecorded:
                found += find_unrecorded(session, name, *_past(since, until), most=_MOST - len(found))
    found.sort(key=lambda gap: gap.started_at)
    return shapes.Gaps(gaps=[shapes.of_gap(gap) for gap in found])


@router.get("/coverage", responses=answers(404))
def get_coverage(
    source: Annotated[SourceName, Query(description="whose time")], since: From, until: To, visit: Reading
) -> Coverage:
    """Say how much of a period was heard, and how much was lost, and why.

    What no recording and no gap accounts for is lost by the cause `unrecorded`; so is sound that is not
    committed yet. The period ends now at the latest: what is still to come is not lost.
    """
    visit.about(source)
    begin, end = _past(since, until)
    with visit.archive.one_moment() as session:
        found = coverage(session, source, begin, end)
    return Coverage(
        source=source,
        since=begin,
        until=end,
        asked_us=found.asked_us,
        heard_us=found.heard_us,
        lost_us=dict(found.lost_us),
    )


def _past(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Return a period that ends now at the latest.

    Raises:
        InvalidDetails: It has no beginning, or ends before it begins.
    """
    if since is None:
        raise InvalidDetails("what is unrecorded depends on the period; say `from` when on")
    now = datetime.now(UTC)
    end = now if until is None else min(until, now)
    _in_order(since, end)
    return since, end


def _in_order(since: datetime, until: datetime) -> None:
    if until < since:
        raise InvalidDetails(
            f"a period that begins at {since.isoformat()} is over at {until.isoformat()}; "
            "`from` comes before `to`, and before now"
        )
