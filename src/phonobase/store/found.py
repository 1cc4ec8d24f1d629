"""Recordings that were found, and where the search goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.store.cursor import Cursor
from phonobase.store.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from phonobase.store.query import Query


class Recordings(list[Recording]):
    """Recordings that were found, the newest first.

    Args:
        found: The recordings.
        next_page: What ``next`` will be.

    Attributes:
        next: The query that finds what comes behind them; None where nothing does.
    """

    def __init__(self, found: Iterable[Recording] = (), next_page: Query | None = None) -> None:
        super().__init__(found)
        self.next = next_page

    @classmethod
    def page(cls, query: Query, found: list[Recording]) -> Self:
        """Return what a query asked for, of what was found when one more was looked for."""
        if query.limit is None or len(found) <= query.limit:
            return cls(found)
        last = found[query.limit - 1]
        return cls(found[: query.limit], replace(query, after=str(Cursor(last.started_at, last.id))))
