"""A query as one statement, whose work does not grow with what it does not find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from phonobase.store.conditions import met_by
from phonobase.store.lookup import newest_first
from phonobase.store.models import RecordingRow

if TYPE_CHECKING:
    from phonobase.store.query import Query

_COLUMNS = cast("sa.Table", RecordingRow.__table__).columns
_SOURCES_APART = 100
"""Up to how many sources are looked through one by one; SQLite joins no more than 500 lists."""


def finding(query: Query, dialect: str) -> sa.Select[Any]:
    """Return the statement that gives what a query finds, and one more where it has a limit.

    Of some sources out of many, each one's newest are looked up in the index and merged: in the order of
    time alone, all that other sources heard in between would be looked at. Beyond a hundred sources there
    is less in between, and no list for each.
    """
    names = query.sources
    if names is not None and query.source is not None:
        names = set(names) & {query.source}
    if names is None or query.limit is None or not 1 <= len(names) <= _SOURCES_APART:
        return _page(query, dialect)
    pages = [_page(replace(query, source=name, sources=None), dialect) for name in sorted(names)]
    if len(pages) == 1:
        return pages[0]
    merged = sa.union_all(*(sa.select(page.subquery()) for page in pages)).subquery()
    columns = merged.c
    return sa.select(*columns).order_by(columns.started_at.desc(), columns.id.desc()).limit(query.limit + 1)


def _page(query: Query, dialect: str) -> sa.Select[Any]:
    statement = sa.select(*_COLUMNS).where(*met_by(query, dialect)).order_by(*newest_first())
    return statement if query.limit is None else statement.limit(query.limit + 1)
