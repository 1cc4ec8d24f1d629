"""A session in the transaction of a program that has no SQLAlchemy: on its plain database connection.

So a host with another way to its database, as Django's, stores sound in one transaction with its own rows.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, cast

import psycopg
import sqlalchemy
from psycopg.rows import tuple_row
from psycopg.types.json import JsonbLoader
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGExecutionContext_psycopg
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.types import DateTime

from phonobase.errors import StoreError
from phonobase.store.engine import fetch_audio_in_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPICursor

_handed_over: ContextVar[Any] = ContextVar("phonobase_handed_over")


@contextlib.contextmanager
def session_on(connection: sqlite3.Connection | psycopg.Connection[Any]) -> Iterator[Session]:
    """Give a session on a connection whose transaction is the caller's.

    What is done in the session is part of that transaction: the caller commits it or rolls it back, and
    closes the connection; ``commit``, ``rollback`` and ``close`` of the session do none of that. Savepoints
    work. The connection's own settings stay as they are.

    Args:
        connection: Of sqlite3, or of psycopg 3; within Django that is ``connection.connection``.

    Raises:
        StoreError: The connection is of another kind, or in no transaction, so that each statement would
            stay on its own.
    """
    engine = _engine(_backend(connection))
    token = _handed_over.set(connection)
    try:
        bound = engine.connect()
    finally:
        _handed_over.reset(token)
    with bound, Session(bound) as session:
        yield session
        session.flush()


def _backend(connection: object) -> str:
    if isinstance(connection, sqlite3.Connection):
        autocommit = getattr(connection, "autocommit", -1)  # from Python 3.12 on
        commits_itself = connection.isolation_level is None if autocommit == -1 else autocommit
        between = not connection.in_transaction
    elif isinstance(connection, psycopg.Connection):
        commits_itself = connection.autocommit
        between = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    else:
        kind = type(connection)
        raise StoreError(
            f"a {kind.__module__}.{kind.__qualname__} is no connection of sqlite3 or psycopg 3; "
            "pass the driver's own, as connection.connection within Django"
        )
    if commits_itself and between:
        raise StoreError(
            "the connection is in no transaction, so each statement would stay on its own; "
            "begin one first, as with transaction.atomic() within Django"
        )
    return "sqlite" if isinstance(connection, sqlite3.Connection) else "postgresql"


@functools.cache
def _engine(backend: str) -> Engine:
    """Return what makes connections of those that are handed over; it is made once and holds none."""
    registry.register(f"{backend}.phonobase_joined", __name__, f"_{backend.capitalize()}")
    # Whether there is hstore would be asked of each server, and psycopg be told.
    options = {"use_native_hstore": False} if backend == "postgresql" else {}
    engine = sqlalchemy.create_engine(
        f"{backend}+phonobase_joined://", creator=_handed_over.get, poolclass=NullPool, **options
    )
    if backend == "postgresql":
        fetch_audio_in_binary(engine)
    return engine


class _Joined:
    """What a dialect does not do to a connection that is somebody else's."""

    def on_connect(self) -> None:
        """Set nothing up."""

    def get_default_isolation_level(self, dbapi_conn: object) -> NoReturn:
        """Ask for nothing that is never to be set back, as SQLAlchemy has it."""
        raise NotImplementedError

    def do_commit(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""

    def do_rollback(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""

    def do_close(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""

    def do_terminate(self, dbapi_connection: object) -> None:
        """Leave it to the caller."""


class _Moment(DATETIME):
    """A moment that the host may have had converted already, by what it registered with sqlite3."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Convert what is text still."""
        parse = cast("Callable[[Any], Any]", super().result_processor(dialect, coltype))
        return lambda value: parse(value) if isinstance(value, str) else value


class _SqliteContext(SQLiteExecutionContext):
    def create_default_cursor(self) -> DBAPICursor:
        """Make a cursor whose rows are what SQLAlchemy expects; the host's others stay as they are."""
        cursor: Any = super().create_default_cursor()
        cursor.row_factory = None
        return cast("DBAPICursor", cursor)


class _PostgresqlContext(PGExecutionContext_psycopg):
    def create_default_cursor(self) -> DBAPICursor:
        """Make a cursor whose rows and values are what SQLAlchemy expects, as above."""
        cursor: Any = super().create_default_cursor()
        cursor.row_factory = tuple_row
        cursor.adapters.register_loader("jsonb", JsonbLoader)
        return cast("DBAPICursor", cursor)


class _Sqlite(_Joined, SQLiteDialect_pysqlite):  # type: ignore[misc] # what is overridden returns nothing
    supports_statement_cache = True
    execution_ctx_cls = _SqliteContext
    colspecs = {**SQLiteDialect_pysqlite.colspecs, DateTime: _Moment}  # noqa: RUF012 - as SQLAlchemy has it


class _Postgresql(_Joined, PGDialect_psycopg):
    supports_statement_cache = True
    execution_ctx_cls = _PostgresqlContext
