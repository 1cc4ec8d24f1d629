"""Archives that are filled quickly: one real recording's rows, copied within the database to other times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from phonobase.store.columns import to_us
from phonobase.store.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.store.recording import Recording

_AT_ONCE = 10_000
_INSERT_MADE = sa.text("INSERT INTO made VALUES (:id, :gap_id, :source, :began, :ended, :again, :has_sound)")


@dataclass(frozen=True, slots=True)
class Copy:
    """A recording that is as long as the one that is copied, and the gap behind it.

    Attributes:
        source: Whose it is.
        began: Where it begins.
        ended: Where it ends, and the gap begins.
        again: Where the gap ends.
        has_sound: Whether it has chunks and audio, too.
    """

    source: str
    began: datetime
    ended: datetime
    again: datetime
    has_sound: bool = True


def copy_rows(
    connection: sa.Connection, model: Recording, names: list[str], since: datetime, copies: Iterator[Copy]
) -> None:
    """Copy a recording's rows. Levels, outlines and hashes stay its own, so the chains are not whole.

    Args:
        connection: To the archive.
        model: What is copied.
        names: The sources that the copies have; they are made.
        since: When they were.
        copies: What there is to be, in the order of time.
    """
    dialect = connection.dialect.name
    postgresql = dialect == "postgresql"
    moment, key = ("timestamptz", "uuid") if postgresql else ("text", "text")
    connection.exec_driver_sql(
        # Constraints would be checked row by row; what is copied has met them.
        "SET session_replication_role = replica" if postgresql else "PRAGMA foreign_keys = OFF"
    )
    connection.commit()
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE made (id {key}, gap_id {key}, source text, began {moment}, ended {moment}, "
        f"again {moment}, has_sound boolean)"
    )
    connection.execute(
        sa.text("INSERT INTO phono_source (name, created_at) VALUES (:name, :at)"),
        [{"name": name, "at": _stored(since, dialect)} for name in names],
    )
    while some := list(islice(copies, _AT_ONCE)):
        connection.execute(_INSERT_MADE, [_made(copy, dialect) for copy in some])
    for statement in _statements(connection, model):
        connection.exec_driver_sql(statement)
        connection.commit()
    connection.exec_driver_sql("DROP TABLE made")
    connection.commit()
    if not postgresql:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def settle(engine: sa.Engine) -> None:
    """Leave the database as it is after the work of a night."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        else:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _made(copy: Copy, dialect: str) -> dict[str, object]:
    row = {
        "id": uuid7(to_us(copy.began)),
        "gap_id": uuid7(to_us(copy.ended)),
        "source": copy.source,
        "began": copy.began,
        "ended": copy.ended,
        "again": copy.again,
        "has_sound": copy.has_sound,
    }
    return {name: _stored(value, dialect) for name, value in row.items()}


def _statements(connection: sa.Connection, model: Recording) -> Iterator[str]:
    """Yield the statements that copy the model's rows to what was made."""
    own = {
        "id": "m.id",
        "run_id": "m.id",
        "source": "m.source",
        "started_at": "m.began",
        "ended_at": "m.ended",
        "committed_at": "m.ended",
    }
    dialect = connection.dialect.name
    for table, by in (
        ("phono_recording", "id"),
        ("phono_chunk", "recording_id"),
        ("phono_audio", "recording_id"),
    ):
        columns = [column["name"] for column in sa.inspect(connection).get_columns(table)]
        replaced = own if table == "phono_recording" else {"recording_id": "m.id", "captured_at": "m.began"}
        taken = ", ".join(replaced.get(name, f"t.{name}") for name in columns)
        yield (
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {taken} FROM made AS m CROSS JOIN {table} AS t "
            f"WHERE t.{by} = '{_stored(model.id, dialect)}'"
            + ("" if table == "phono_recording" else " AND m.has_sound")
        )
    yield (
        "INSERT INTO phono_gap (id, source, started_at, ended_at, cause) "
        "SELECT gap_id, source, ended, again, 'paused' FROM made"
    )
    if dialect == "postgresql":  # whose triggers were off, as its checks were
        yield "INSERT INTO phono_commit (recording_id, place) SELECT id, 1 FROM made"


def _stored(value: object, dialect: str) -> object:
    """Return a value as the driver of a database takes it."""
    if dialect == "postgresql":
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return value.hex if isinstance(value, UUID) else value
