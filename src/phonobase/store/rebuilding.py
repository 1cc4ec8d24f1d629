"""Tables of SQLite that a revision makes anew: their rows, triggers and views outlive it.

SQLite alters little of a table, so Alembic makes another, copies the rows, drops the first and gives the
second its name. Dropped with foreign keys checked, the first would be emptied against those that lead to it;
its triggers go with it; and a view on it would forbid the new name.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from phonobase.errors import StoreError
from phonobase.store.engine import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

_BEGINS = re.compile(r'\s*CREATE TABLE "?_alembic_tmp_(\w+)')
_ENDS = re.compile(r'\s*ALTER TABLE "?_alembic_tmp_(\w+?)"? RENAME')


@contextlib.contextmanager
def foreign_keys_unchecked(connection: Connection) -> Iterator[None]:
    """Let SQLite check no foreign key in the block, which must hold the whole transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    (before,) = driver.execute("PRAGMA foreign_keys").fetchone()
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA foreign_keys = {before}")


@contextlib.contextmanager
def rebuilding(connection: Connection) -> Iterator[None]:
    """Let revisions make tables anew in the block, and see that nothing is lost.

    Raises:
        StoreError: The transaction checks foreign keys, or a revision leaves rows that lead to none.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    triggers: dict[str, list[str]] = {}
    orphans: list[int] = []

    def before(_1: object, _2: object, sql: str, *_rest: object) -> None:
        if begins := _BEGINS.match(sql):
            if connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one():
                raise _refusal(connection, "a table is made anew, and this transaction checks foreign keys")
            orphans[:] = orphans or [_orphans(connection)]
            triggers[begins[1]] = _triggers(connection, begins[1])

    def after(_1: object, _2: object, sql: str, *_rest: object) -> None:
        if ends := _ENDS.match(sql):
            for trigger in triggers[ends[1]]:
                connection.exec_driver_sql(trigger)

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    legacy = connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar_one()
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {legacy}")
        event.remove(connection, "before_cursor_execute", before)
        event.remove(connection, "after_cursor_execute", after)
    if orphans and _orphans(connection) > orphans[0]:
        raise _refusal(connection, "a row would lead to one that is gone")


def _orphans(connection: Connection) -> int:
    """Return how many rows lead to none."""
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


def _triggers(connection: Connection, table: str) -> list[str]:
    statement = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY name"
    return [sql for (sql,) in connection.exec_driver_sql(statement, (table,))]


def _refusal(connection: Connection, reason: str) -> StoreError:
    return StoreError(
        f"{shown(connection)}: {reason}; nothing was changed: "
        f"upgrade it on its own with: phonobase --db {shown(connection)} db upgrade"
    )
