"""Recordings that were found, and where the search goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.store import arrow
from phonobase.store.cursor import Cursor
from phonobase.store.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    import pandas as pd
    import pyarrow as pa

    from phonobase.store.query import Query


_PAGE = 500
"""How many recordings are held at once where there may be any number."""


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
        return cls(found[: query.limit], replace(query, after=str(cursor_of(last))))

    def to_arrow(self) -> pa.Table:
        """Return them as a ``pyarrow.Table``: the columns of ``phono_clips`` that hold no audio.

        Times are UTC to the microsecond, levels are float64 in dBFS, ``-inf`` being digital silence, ids and
        hashes are hexadecimal, tags and capture are JSON text.

        Raises:
            PhonobaseError: pyarrow is not installed.
        """
        return arrow.table(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return them as a ``pandas.DataFrame``, with the columns of ``to_arrow``.

        Raises:
            PhonobaseError: pyarrow or pandas is not installed.
        """
        arrow.pandas()
        return arrow.table(self).to_pandas()


def cursor_of(recording: Recording) -> Cursor:
    """Return the place behind a recording, where a list that ended with it goes on."""
    return Cursor(recording.started_at, recording.id)


def walk(query: Query, find: Callable[[Query], Recordings]) -> Iterator[Recording]:
    """Yield what a query asks for, page after page.

    Args:
        query: What is looked for, and how many at most.
        find: Returns a page.
    """
    left, rest = query.limit, query
    while left != 0:
        found = find(replace(rest, limit=_PAGE if left is None else min(left, _PAGE)))
        yield from found
        if found.next is None:
            return
        left, rest = None if left is None else left - len(found), found.next
