"""Connections that are set up for what phonobase does with them, and their errors in plain words."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from phonobase.errors import DatabaseUnavailable, NotPermitted, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Pool
    from sqlalchemy.engine import ExecutionContext

WRITES = "phonobase_writes"
"""Execution option of a connection that will write, for SQLite to take the lock at once: a transaction
that begins by reading can be refused it later, and no waiting helps then."""

FETCHES_AUDIO = "phonobase_fetches_audio"
"""Execution option of a statement that selects audio."""

_SECRET_KEY = re.compile(r"password|passwd|secret|scram_|passphrase", re.IGNORECASE)
"""What the name of an option holds whose value is nobody's business, as ``sslpassword``."""
_SECRET_OPTION = re.compile(rf"(\w*(?:{_SECRET_KEY.pattern})\w*\s*=\s*)('[^']*'|[^&\s]*)", re.IGNORECASE)
_USER_AND_PASSWORD = re.compile(r"((?:[\w+.-]*:?//?)?[^:/]*:).*@", re.DOTALL)

_BUSY_TIMEOUT_MS = 60_000
_CONNECT_TIMEOUT_S = 10
_POOL = {"pool_size": 48, "max_overflow": -1}
"""Connections are opened when they are needed, and so many are kept: forty threads answer requests over HTTP,
and where fewer were kept, many a request of a busy service would open one and close it again."""
_SERVER: dict[str, Any] = {
    **_POOL,
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "application_name": "phonobase",
        # A server that vanished without a word is noticed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    },
}
_PAGE_BYTES = 16_384
_WAL_KEPT_BYTES = 64 * 1024 * 1024
_WAL_PAGES = 256
"""How long the write-ahead log becomes, about, before it goes into the file: what is in it takes room on the
disk twice then, and that must not be a large part of a small disk."""


_made: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Pool] = []
"""Connections of the process that this one was forked from: neither driver bears that they are used, or even
closed, by both."""


def _begin_anew() -> None:
    """Let the engines of a forked process open connections of their own."""
    for engine in _made:
        _inherited.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_begin_anew)


def create_engine(url: str | URL) -> Engine:
    """Return an engine for an archive; a process that is forked may go on using it.

    Args:
        url: An SQLAlchemy URL, as ``sqlite:///clips.db`` or ``postgresql://user@host/name``.

    Raises:
        DatabaseUnavailable: The URL is not one, or names a database that phonobase does not speak to.
    """
    address, options = arguments(url)
    engine = sqlalchemy.create_engine(address, **options)
    set_up(engine)
    _made.add(engine)
    return engine


def arguments(url: str | URL) -> tuple[URL, dict[str, Any]]:
    """Return what an engine for an archive is made of: the address with its driver, and options.

    Raises:
        DatabaseUnavailable: As create_engine.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed, dict(_POOL)
    return parsed.set(drivername="postgresql+psycopg"), _SERVER


def set_up(engine: Engine) -> None:
    """Make the connections of a new engine what phonobase needs them to be.

    Engines made by phonobase are. A host may call it on its own, once, before the first connection: on SQLite
    every transaction then begins where SQLAlchemy says it does, foreign keys are checked, and the file is
    switched to write-ahead logging; on PostgreSQL psycopg fetches audio in binary, as asyncpg always does.
    """
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine)
    elif engine.dialect.driver == "psycopg":
        fetch_audio_in_binary(engine)


def fetch_audio_in_binary(engine: Engine) -> None:
    """Make an engine of psycopg fetch audio in binary: by default bytea comes as text, and slowly.

    Engines made by phonobase do; a host calls it on its own, once, and on the ``sync_engine`` of one that
    is asynchronous.
    """

    @event.listens_for(engine, "before_cursor_execute")
    def choose_format(
        _connection: Connection,
        cursor: Any,  # noqa: ANN401 - psycopg's, or SQLAlchemy's around an asynchronous one of psycopg
        _statement: str,
        _parameters: object,
        context: ExecutionContext | None,
        _executemany: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> None:
        if context is not None and context.execution_options.get(FETCHES_AUDIO, False):
            getattr(cursor, "_cursor", cursor).format = psycopg.pq.Format.BINARY


def shown(bind: Engine | Connection) -> str:
    """Return a bind's URL for people to read and paste: without passwords, which are theirs to add."""
    url = bind.engine.url
    told = {name: value for name, value in url.query.items() if not _SECRET_KEY.search(name)}
    url = url.set(query=told)._replace(drivername=url.get_backend_name(), password=None)
    return url.render_as_string()


@contextlib.contextmanager
def plain_errors(bind: Engine | Connection) -> Iterator[None]:
    """Turn what the driver says of a database that does not work into one line that says what to do."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise  # not the database's fault
    except exc.TimeoutError as error:
        raise DatabaseUnavailable(
            f"{shown(bind)}: all connections are in use; give the engine more"
        ) from error
    except (exc.DatabaseError, exc.InterfaceError) as error:
        raise _in_plain_words(error, shown(bind)) from error


def parse_url(url: str | URL) -> URL:
    """Return the URL of an archive, in parts.

    Raises:
        DatabaseUnavailable: It is not one, or names a database that phonobase does not speak to.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        text = _without_secrets(str(url))
        raise DatabaseUnavailable(
            f"{text!r} is not a database URL; write sqlite:///{text} for a file, "
            "or postgresql://user@host/name for a server"
        ) from None
    except ValueError:  # of its port
        raise DatabaseUnavailable(
            f"{_without_secrets(str(url))!r} has a port that is no number; "
            "write postgresql://user@host:5432/name"
        ) from None
    backend = parsed.get_backend_name() if parsed.drivername != "postgres" else "postgresql"
    if backend not in ("sqlite", "postgresql"):
        raise DatabaseUnavailable(
            f"phonobase does not speak to {backend!r}; use sqlite:///FILE or postgresql://user@host/name"
        )
    if backend == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise DatabaseUnavailable(
            "an archive in memory would be lost with the process; name a file: sqlite:///clips.db"
        )
    if "@" in (parsed.host or "") or (
        backend == "postgresql" and _USER_AND_PASSWORD.match(parsed.database or "")
    ):  # a password, or its end, passes for a name
        raise DatabaseUnavailable(
            f"{_without_secrets(str(url))!r} has an @ in a name; write postgresql://user:password@host/name, "
            "and an @ in the password as %40"
        )
    return parsed


def _without_secrets(text: str) -> str:
    """Return a text that is no URL, or only looks like one, without what may be a password in it."""
    return _SECRET_OPTION.sub(r"\1***", _USER_AND_PASSWORD.sub(r"\1***@", text))


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions late, or not at all
        # By a cursor, as any driver has it: it may be SQLAlchemy's around an asynchronous one.
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            cursor.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # only a new file heeds it
            cursor.execute("PRAGMA page_count")
            if not cursor.fetchone()[0]:
                # So that the file can give back its free pages bit by bit. Only a new file heeds this too,
                # but asked of one that has it already it would wait for the write lock.
                cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _switch_to_wal(cursor)
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch to write-ahead logging, waiting for others who do the same: SQLite does not wait here."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


_SQLITE_ADVICE = {
    sqlite3.SQLITE_CANTOPEN: "check that the folder exists and may be written to",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; end that or try again",
    sqlite3.SQLITE_NOTADB: "name another",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: copy it away, then try `sqlite3 FILE .recover`",
    sqlite3.SQLITE_IOERR: "the disk does not work as it should; look at the system log",
}


def _in_plain_words(error: exc.DBAPIError, url: str) -> DatabaseUnavailable | StorageFull:
    cause = error.orig
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return _full(url)
        advice = _SQLITE_ADVICE.get(code, "what was committed before is safe")
        return DatabaseUnavailable(f"{url}: {reason}; {advice}")
    if isinstance(cause, psycopg.errors.DiskFull):
        return _full(url)
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return NotPermitted(f"{url}: {reason}; grant it to this user, or connect as another")
    if "does not exist" in reason and "database" in reason:
        return DatabaseUnavailable(f"{url}: {reason}; make it with createdb, or name another")
    return DatabaseUnavailable(
        f"{url}: {reason}; check that the server runs and that URL, user and password are right"
    )


def _full(url: str) -> StorageFull:
    return StorageFull(
        f"{url}: the disk is full; what was committed is safe: make room, then run phonobase recover"
    )
