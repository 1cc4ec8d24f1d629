"""What may happen to a database server, and to those who are connected to it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.store.judge import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tests.support.postgres import PostgresServer

MAX_CONNECTIONS = 12
_CLIENTS = "FROM pg_stat_activity WHERE application_name = 'phonobase'"
_COMMITTING = "wait_event = 'SyncRep'"
_WORKING = "state <> 'idle'"
_LOOK_S = 0.001


class Victim:
    """A server of one's own that is harmed, for so many seconds at a time, and works again afterwards.

    Args:
        server: It runs.
        database: Of the archive; its clients call themselves phonobase.
    """

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server, self._database = server, database
        self._set("max_connections", str(MAX_CONNECTIONS))
        self._set("superuser_reserved_connections", "0")
        server.stop()
        server.start()

    def stopped(self, seconds: float) -> None:
        """It is shut down, as administrators do it."""
        self._server.stop()
        time.sleep(seconds)
        self._server.start()

    def killed(self, seconds: float) -> None:
        """It is killed, as by a crash of its machine."""
        self._server.kill()
        time.sleep(seconds)
        self._server.start()

    def paused(self, seconds: float) -> None:
        """It stands still, as a virtual machine may: connections stay, and nothing answers."""
        processes = [self._server.pid, *_children(self._server.pid)]
        _signal(processes, signal.SIGSTOP)
        time.sleep(seconds)
        _signal(processes, signal.SIGCONT)

    def restarted(self, seconds: float) -> None:
        """It is restarted again and again."""
        ends = time.monotonic() + seconds
        while True:
            self._server.stop()
            self._server.start()
            if time.monotonic() > ends:
                return
            time.sleep(seconds / 5)

    def closed(self, seconds: float) -> None:
        """The database takes no connections, and those that there were are cut."""
        self._do(f'ALTER DATABASE "{self._database}" ALLOW_CONNECTIONS false')
        self._do(f"SELECT pg_terminate_backend(pid) {_CLIENTS}")
        time.sleep(seconds)
        self._do(f'ALTER DATABASE "{self._database}" ALLOW_CONNECTIONS true')

    def forbidden(self, seconds: float) -> None:
        """Nobody may log in any more, by pg_hba.conf."""
        ((name,),) = self._do("SHOW hba_file")
        path = Path(name)
        rules = path.read_text()
        with self._connected() as connection:
            path.write_text("local all all reject\n")
            _signal([self._server.pid], signal.SIGHUP)
            wait_until(lambda: not self._lets_in())
            connection.execute(f"SELECT pg_terminate_backend(pid) {_CLIENTS}")
        time.sleep(seconds)
        path.write_text(rules)
        _signal([self._server.pid], signal.SIGHUP)
        wait_until(self._lets_in)

    def crowded(self, seconds: float) -> None:
        """Others have taken all the connections that it has."""
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(self._connected())

            def others_take_all() -> bool:
                first.execute(f"SELECT pg_terminate_backend(pid) {_CLIENTS}")
                with contextlib.suppress(psycopg.OperationalError):
                    while True:
                        stack.enter_context(self._connected())
                return first.execute(f"SELECT count(*) {_CLIENTS}").fetchone() == (0,)

            wait_until(others_take_all)
            time.sleep(seconds)

    def cut_at_work(self, seconds: float) -> None:
        """Whoever is in a transaction is cut off."""
        self._cut_clients(_WORKING, seconds, _terminate)

    def cut_when_committed(self, seconds: float) -> None:
        """Whoever commits is cut off when that is done, before they are told so."""
        with self._slow_to_say():
            self._cut_clients(_COMMITTING, seconds, _terminate)

    def killed_when_committed(self, seconds: float) -> None:
        """The process of whoever commits is killed then, and so the server crashes, and starts again."""
        with self._slow_to_say():
            self._cut_clients(_COMMITTING, seconds, _crash)

    @contextlib.contextmanager
    def _slow_to_say(self) -> Iterator[None]:
        """Let commits wait, when they are done, for a server that there is not."""
        self._set("synchronous_standby_names", "nobody")
        self._do("SELECT pg_reload_conf()")
        yield
        self._set("synchronous_standby_names", "")
        self._do("SELECT pg_reload_conf()")

    def _cut_clients(
        self, who: str, seconds: float, cut: Callable[[psycopg.Connection[Any], int], None]
    ) -> None:
        ends, cuts = time.monotonic() + seconds, 0
        while time.monotonic() < ends or not cuts:
            with contextlib.suppress(psycopg.OperationalError), self._connected() as connection:
                while time.monotonic() < ends or not cuts:
                    for (pid,) in connection.execute(f"SELECT pid {_CLIENTS} AND {who}").fetchall():
                        cuts += 1
                        cut(connection, pid)
                    time.sleep(_LOOK_S)
        wait_until(self._lets_in)
        print(f"{cuts} times", end=", ")

    def _set(self, name: str, value: str) -> None:
        self._do(f"ALTER SYSTEM SET {name} = '{value}'")

    def _do(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _connected(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.dsn(self._server.maintenance), autocommit=True)

    def _lets_in(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self._connected().close()
            return True
        return False


def _terminate(connection: psycopg.Connection[Any], pid: int) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", [pid])


def _crash(connection: psycopg.Connection[Any], pid: int) -> None:
    """Kill a process of the server, which then ends all others, so that this raises OperationalError."""
    _signal([pid], signal.SIGKILL)
    while True:
        connection.execute("SELECT 1")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
