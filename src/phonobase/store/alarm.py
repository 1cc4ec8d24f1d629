"""Waking up when somebody commits to an archive, whoever it is and from whichever process."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from phonobase.errors import DatabaseUnavailable
from phonobase.store.engine import plain_errors, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

Wait: TypeAlias = Callable[[float], None]
"""Waits so many seconds, or until somebody has committed since the last wait ended."""

_LOOK_EVERY_S = 0.1
"""How often SQLite is asked whether somebody has written; it looks at a few bytes of shared memory."""


@contextlib.contextmanager
def alarm(engine: Engine) -> Iterator[Wait]:
    """Give a function that waits for commits; those from now on end its first wait.

    PostgreSQL tells of them over a connection of its own. A commit may go untold, as by a pooler that shares
    connections out, so look now and then all the same.

    Raises:
        DatabaseUnavailable: The connection was lost.
    """
    with plain_errors(engine), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            wait = _asking(driver)
        else:
            connection.detach()  # closed at the end, not handed to somebody who would be told, too
            wait = _listening(driver)

        def checked(seconds: float) -> None:
            try:
                wait(seconds)
            except (sqlite3.Error, psycopg.Error) as error:
                reason = str(error).strip().partition("\n")[0]
                raise DatabaseUnavailable(
                    f"{shown(engine)}: {reason}; go on from the last position once it works again"
                ) from error

        yield checked


def _asking(connection: sqlite3.Connection) -> Wait:
    def version() -> int:
        number: int = connection.execute("PRAGMA data_version").fetchall()[0][0]
        return number

    last = version()

    def wait(seconds: float) -> None:
        nonlocal last
        deadline = time.monotonic() + seconds
        while (found := version()) == last and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(_LOOK_EVERY_S, left))
        last = found

    return wait


def _listening(connection: psycopg.Connection[Any]) -> Wait:
    connection.autocommit = True
    connection.execute("LISTEN phono_commit")

    def wait(seconds: float) -> None:
        for _ in connection.notifies(timeout=seconds, stop_after=1):
            pass
        for _ in connection.notifies(timeout=0):  # those of the same moment
            pass

    return wait
