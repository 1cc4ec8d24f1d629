"""An archive whose questions to its database are remembered, to be explained and weighed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from phonobase import Archive


class Watched:
    """Remembers every SELECT that is sent through an archive's engine.

    Args:
        archive: Whose.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.is_sqlite = archive.engine.dialect.name == "sqlite"
        self._sent: list[tuple[str, Any]] = []
        event.listen(archive.engine, "before_cursor_execute", self._remember)

    def _remember(self, _1: Any, _2: Any, sql: str, values: Any, _3: Any, _4: Any) -> None:  # noqa: ANN401
        if sql.startswith("SELECT"):
            self._sent.append((sql, values))

    def forget(self) -> None:
        """Forgets what was sent so far."""
        self._sent.clear()

    def ids(self, **conditions: Any) -> list[int]:  # noqa: ANN401
        """Returns the numbers of the recordings that are found by one statement."""
        self.forget()
        found = [recording.id.int for recording in self.archive.find(**conditions)]
        assert len(self._sent) == 1
        return found

    @property
    def plan(self) -> str:
        """How the database runs what was sent."""
        explain = "EXPLAIN QUERY PLAN " if self.is_sqlite else "EXPLAIN "
        with self.archive.engine.connect() as connection:
            rows = [
                row for sql, values in self._sent for row in connection.exec_driver_sql(explain + sql, values)
            ]
        return "\n".join(str(column) for row in rows for column in row) + "\n"

    @property
    def work(self) -> int:
        """What that takes: steps of SQLite's machine, or pages that PostgreSQL looks at."""
        weigh = _steps if self.is_sqlite else _pages
        with self.archive.engine.connect() as connection:
            return sum(weigh(connection, sql, values) for sql, values in self._sent)


def _pages(connection: Connection, sql: str, values: Any) -> int:  # noqa: ANN401
    text = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql
    explained = connection.exec_driver_sql(text, values).scalar_one()
    (root,) = explained if isinstance(explained, list) else json.loads(explained)
    return int(root["Plan"]["Shared Hit Blocks"] + root["Plan"]["Shared Read Blocks"])


def _steps(connection: Connection, sql: str, values: Any) -> int:  # noqa: ANN401
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(count, 1)
    driver.execute(sql, values).fetchall()
    driver.set_progress_handler(None, 0)
    return steps
