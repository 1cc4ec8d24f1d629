"""Waiting for a server, but not for ever.

A server that was stopped in its tracks (SIGSTOP, a frozen virtual machine) answers nothing and closes
nothing, and no setting of a Unix socket ends the wait. So a thread of its own shuts the sockets down.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

_CONNECT_S = 5.0
_LEAST_CONNECT_S = 2
"""libpq takes no less."""

_LOOK_S = 0.1
# Whoever pushes too, or a client that vanished, may hold what we wait for.
_SESSION = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"


class Patience:
    """Limits how long what is done with an engine may take.

    Only a server can keep somebody waiting without end, so for SQLite it does nothing.

    Args:
        engine: Not connected yet.
        limit_s: How long a thing may take, unless said otherwise.
    """

    def __init__(self, engine: Engine, limit_s: float = 30.0) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._connections: dict[int, psycopg.Connection[Any]] = {}
        self._due_s = math.inf
        self._last_s = math.inf
        self._since_s: float | None = None
        self._ended = threading.Event()
        if engine.dialect.name != "postgresql":
            return
        event.listen(engine, "do_connect", self._hurry_connecting)
        event.listen(engine, "connect", self._remember)
        for name in ("close", "close_detached"):
            event.listen(engine, name, self._forget)
        threading.Thread(target=self._watch, name="phonobase-patience", daemon=True).start()

    @property
    def waiting_s(self) -> float:
        """How long what is being done now has taken, in seconds; 0 where nothing is."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Let what is done in the block fail, as by a broken connection, where it takes too long."""
        self._since_s = time.monotonic()
        self._due_s = self._since_s + self._limit_s
        try:
            yield
        finally:
            with self._lock:
                self._due_s, self._since_s = math.inf, None

    def end_by(self, moment_s: float) -> None:
        """Let nothing take longer than until a moment of the monotonic clock, what is being done included."""
        self._last_s = moment_s

    def close(self) -> None:
        """End the thread."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            with self._lock:
                if time.monotonic() < min(self._due_s, self._last_s) or self._since_s is None:
                    continue
                for connection in self._connections.values():
                    _break(connection)

    def _hurry_connecting(
        self, _dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]
    ) -> None:
        left_s = min(self._last_s - time.monotonic(), _CONNECT_S)
        parameters["connect_timeout"] = max(_LEAST_CONNECT_S, math.floor(left_s))

    def _remember(self, connection: psycopg.Connection[Any], _record: object) -> None:
        with self._lock:
            self._connections[id(connection)] = connection
        connection.autocommit = True
        connection.execute(_SESSION)
        connection.autocommit = False

    def _forget(self, connection: object, _record: object = None) -> None:
        with self._lock:
            self._connections.pop(id(connection), None)


def _break(connection: psycopg.Connection[Any]) -> None:
    """Shut a connection's socket down, so that whoever waits for it is told that it is broken."""
    with contextlib.suppress(psycopg.Error, OSError):
        shared = socket.socket(fileno=os.dup(connection.pgconn.socket))
        with shared:
            shared.shutdown(socket.SHUT_RDWR)
