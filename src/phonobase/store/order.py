"""The order of a database's commits: what is new at one moment that was not there at another.

SQLite's writers take turns, so a number that rises says it all. PostgreSQL's do not: a transaction may commit
long after others that began later. There a moment is a snapshot, which names the transactions that were still
under way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy import func, select

from phonobase.errors import StoreError
from phonobase.store.models import CommitRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HIGHEST_PLACE = 2**63 - 1
"""What the column of places holds at most."""

_HIGHEST = select(func.coalesce(func.max(CommitRow.place), 0))


class Order(Protocol):
    """How a database tells what is new. Moments are texts; places are those of phono_commit."""

    nothing: str
    """The moment before everything."""

    def archive(self, session: Session) -> str:
        """Return which database it is, so that no moment of another one is taken for one of its own.

        Raises:
            StoreError: Its places are those of another server, or it does not know its moments.
        """

    def now(self, session: Session) -> str:
        """Return the moment that a session sees."""

    def is_new(self, seen: str, until: str) -> sa.ColumnElement[bool]:
        """Return the condition that a place above ``old`` was not there at one moment, but at a later one."""

    def old(self, moment: str) -> int:
        """Return a place up to which all were there at a moment."""

    def height(self, moment: str) -> int:
        """Return a number that a later moment has no smaller of."""

    def knows(self, moment: str) -> bool:
        """Whether a text, of numbers, colons and commas, is a moment of such a database."""


class _Numbers:
    """SQLite's: a moment is the highest place."""

    nothing = "0"

    def archive(self, session: Session) -> str:  # noqa: ARG002 - a file has no name of its own
        return "sqlite"

    def now(self, session: Session) -> str:
        return str(session.scalar(_HIGHEST))

    def is_new(self, seen: str, until: str) -> sa.ColumnElement[bool]:
        del seen  # all that is above it is new
        return CommitRow.place <= int(until)

    def old(self, moment: str) -> int:
        return int(moment)

    def height(self, moment: str) -> int:
        return int(moment)

    def knows(self, moment: str) -> bool:
        return moment.isdecimal() and int(moment) <= HIGHEST_PLACE


class _Snapshots:
    """PostgreSQL's: a moment is a snapshot, xmin:xmax:xip, and a place is a transaction."""

    nothing = "1:1:"

    def archive(self, session: Session) -> str:
        if session.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one():
            # Its snapshots name no transactions, and it passes no notices on.
            raise StoreError(
                "this database is a replica, and does not say which transactions are still under way; "
                "follow the server that it is a replica of"
            )
        statement = sa.text(
            "SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database"
            " WHERE datname = current_database()"
        )
        name: str = session.execute(statement).scalar_one()
        if (session.scalar(_HIGHEST) or 0) >= self.height(self.now(session)):
            raise StoreError(
                "this database was restored from another server's dump, and the order of its commits is that "
                "server's; make all of it new: "
                "UPDATE phono_commit SET place = pg_current_xact_id()::text::bigint"
            )
        return name

    def now(self, session: Session) -> str:
        moment: str = session.execute(sa.text("SELECT pg_current_snapshot()::text")).scalar_one()
        return moment

    def is_new(self, seen: str, until: str) -> sa.ColumnElement[bool]:
        # The bound is for the index; the rest is looked at row by row.
        return (CommitRow.place < self.height(until)) & ~_visible(seen) & _visible(until)

    def old(self, moment: str) -> int:
        return int(moment.partition(":")[0]) - 1

    def height(self, moment: str) -> int:
        return int(moment.split(":")[1])

    def knows(self, moment: str) -> bool:
        first, _, rest = moment.partition(":")
        end, colon, listed = rest.partition(":")
        if not colon or not all(
            map(str.isdecimal, (first, end, *(under_way := listed.split(",") if listed else [])))
        ):
            return False
        inside = [int(number) for number in under_way]
        in_order = all(before < after for before, after in pairwise([int(first) - 1, *inside, int(end)]))
        return 1 <= int(first) <= int(end) <= HIGHEST_PLACE and in_order


def order_of(session: Session) -> Order:
    """Return how the database of a session tells what is new."""
    return _Snapshots() if session.get_bind().dialect.name == "postgresql" else _Numbers()


class _Xid8(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


class _Snapshot(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_snapshot"


def _visible(moment: str) -> sa.ColumnElement[bool]:
    transaction = sa.cast(sa.cast(CommitRow.place, sa.Text), _Xid8)
    snapshot = sa.cast(sa.literal(moment, sa.Text), _Snapshot)
    return func.pg_visible_in_snapshot(transaction, snapshot, type_=sa.Boolean)
