"""Drivers that fail at an operation of the test's choice."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psycopg
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

_ERRORS: dict[str, type[Exception]] = {
    "sqlite": sqlite3.OperationalError,
    "postgresql": psycopg.OperationalError,
}


class Faults:
    """Counts what is asked of drivers, and lets the operation of one number fail.

    A commit counts twice: it fails before it is asked for, or when it was done and only the answer is lost.
    """

    def __init__(self) -> None:
        self.at: int | None = None
        self.count = 0
        self.failed = False

    def fail(self, at: int) -> None:
        """Let the operation of this number, counted from now and from 0, fail."""
        self.at, self.count, self.failed = at, 0, False

    def rest(self) -> None:
        """Let nothing fail."""
        self.at = None

    @contextlib.contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        """Counts the operations on an engine within the block."""
        error = _ERRORS[engine.dialect.name]
        commit = engine.dialect.do_commit

        def execute(*_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's arguments
            self._step(error)

        def committing(connection: Any) -> None:  # noqa: ANN401 - a driver's
            self._step(error)
            commit(connection)
            self._step(error)

        names = ("do_execute", "do_executemany", "do_execute_no_params")
        for name in names:
            event.listen(engine, name, execute)
        with patch.object(engine.dialect, "do_commit", committing):
            yield
        for name in names:
            event.remove(engine, name, execute)

    def _step(self, error: type[Exception]) -> None:
        self.count += 1
        if self.at is not None and self.count == self.at + 1:
            self.failed = True
            raise error("a fault that was asked for")
