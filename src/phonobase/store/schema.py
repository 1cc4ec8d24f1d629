"""The schema's life: is it there, is it the right one, bring it up to date.

The revisions are Alembic's and stand in ``migrations/`` (``phonobase.migrations`` once installed). They
keep their own version table, so a host's Alembic in the same database is left alone, and run under a lock,
so any number of processes may start at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table, text
from sqlalchemy.engine import Connection, Engine

from phonobase.errors import SchemaError
from phonobase.store.engine import WRITES, plain_errors, shown
from phonobase.store.rebuilding import foreign_keys_unchecked

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "phonobase_0007"
"""The revision that this program needs."""

VERSION_TABLE = "phono_alembic_version"
PREFIX = "phono_"

_LOCK_KEY = int.from_bytes(hashlib.sha256(b"phonobase").digest()[:8], "big", signed=True)
_LOCK_WAIT = "5min"
_HOME = text("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(:name)")
_one_at_a_time = threading.Lock()  # Alembic keeps its context in a global


def upgrade(bind: Engine | Connection) -> None:
    """Bring the tables up to date; does nothing where they are.

    Args:
        bind: An engine, or a connection whose transaction is the caller's: it is neither committed nor
            rolled back here.

    Raises:
        SchemaError: The tables were made by a newer phonobase.
        StoreError: A revision makes a table of SQLite anew, which it cannot in a transaction that checks
            foreign keys: pass an engine, or begin with ``PRAGMA foreign_keys = OFF``.
    """
    with plain_errors(bind):
        if isinstance(bind, Engine):
            with (
                bind.connect().execution_options(**{WRITES: True}) as connection,
                foreign_keys_unchecked(connection),
                connection.begin(),
            ):
                _upgrade(connection)
        else:
            _upgrade(bind)


def check(bind: Engine | Connection) -> None:
    """Raise SchemaError, saying what to run, unless the tables are there and of this version."""
    found, expected = current(bind), head()
    if found == expected:
        return
    if found is None:
        raise SchemaError(
            f"{shown(bind)} has no phonobase tables; make them with: phonobase --db {shown(bind)} db upgrade",
            found=None,
            expected=expected,
        )
    _refuse_newer(bind, found)
    raise SchemaError(
        f"{shown(bind)} has the tables of an older phonobase ({found}, this one needs {expected}); "
        f"bring them up to date with: phonobase --db {shown(bind)} db upgrade",
        found=found,
        expected=expected,
    )


def current(bind: Engine | Connection) -> str | None:
    """Return the revision the database is at; None where it has no phonobase tables."""
    with plain_errors(bind):
        if isinstance(bind, Engine):
            with bind.connect() as connection:
                return _current(connection)
        return _current(bind)


def home(bind: Engine) -> str | None:
    """Return the PostgreSQL schema in which the tables were found; None on SQLite, which has none."""
    if bind.dialect.name != "postgresql":
        return None
    with plain_errors(bind), bind.connect() as connection:
        name: str | None = connection.scalar(_HOME, {"name": VERSION_TABLE})
        return name


def is_empty(bind: Engine) -> bool:
    """Whether the database has no table at all, of phonobase or of anybody else."""
    with plain_errors(bind):
        return not inspect(bind).get_table_names()


def head() -> str:
    """Return the revision that this program needs."""
    return HEAD


def sql(dialect: str) -> str:
    """Return the SQL that makes the tables in an empty database, for people who run it themselves.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """
    from alembic import command  # noqa: PLC0415 - as in _upgrade

    script = io.StringIO()
    config = _config()
    config.output_buffer = script
    config.attributes["dialect"] = dialect
    with _one_at_a_time:
        command.upgrade(config, "head", sql=True)
    return script.getvalue()


def include_name(
    name: str | None,
    kind: str,
    _parents: MutableMapping[str, str | None] | None = None,
) -> bool:
    """Keep a host's autogenerate from dropping phonobase's tables.

    Pass it to ``context.configure(include_name=...)`` in the host's ``env.py``.
    """
    return not (kind == "table" and name is not None and name.startswith(PREFIX))


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a fifth of a program's start, which few need

    if connection.dialect.name == "postgresql":
        before = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{before}'")
    elif (text := connection.exec_driver_sql("PRAGMA encoding").scalar_one()) != "UTF-8":
        raise SchemaError(
            f"{shown(connection)} holds text in {text}, in which SQL cannot join audio; use a UTF-8 database",
            found=None,
            expected=head(),
        )
    elif not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr] # sqlite3's
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    found = _current(connection)
    if found is not None:
        _refuse_newer(connection, found)
    config = _config()
    config.attributes["connection"] = connection
    with _one_at_a_time, _hosts_put_back():
        command.upgrade(config, "head")


@contextlib.contextmanager
def _hosts_put_back() -> Iterator[None]:
    """Let Alembic run within a host's env.py or revision, whose ``context`` and ``op`` it takes away."""
    from alembic import context, op  # noqa: PLC0415 - as in _upgrade

    outer = [proxy for module in (context, op) if (proxy := vars(module).get("_proxy")) is not None]
    try:
        yield
    finally:
        for proxy in outer:
            proxy._install_proxy()  # noqa: SLF001 - Alembic has no other way


def _refuse_newer(bind: Engine | Connection, found: str) -> None:
    if found not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaError(
            f"{shown(bind)} has the tables of a newer phonobase ({found}); "
            "use that one: pip install --upgrade phonobase",
            found=found,
            expected=head(),
        )


def _current(connection: Connection) -> str | None:
    # By hand: Alembic takes a fifth of a program's start, and every second of a recorder's is a gap.
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return revision


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as in _upgrade

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - as in _upgrade

    config = Config()
    config.set_main_option("script_location", str(resources.files("phonobase.migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
