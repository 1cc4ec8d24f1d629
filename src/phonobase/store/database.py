"""A database that holds an archive: opened, its tables checked, and asked in sessions of its own."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy.engine import URL, Engine
from sqlalchemy.orm import Session

from phonobase.errors import DatabaseUnavailable, StoreError
from phonobase.store import schema
from phonobase.store.engine import WRITES, create_engine, plain_errors, shown

if TYPE_CHECKING:
    from collections.abc import Iterator


class Database:
    """Connections to an archive's tables; what they hold is phonobase.store.archive's to say.

    Arguments and errors are those of Archive.
    """

    def __init__(self, bind: str | URL | Engine, *, create: bool = True) -> None:
        self._owns_engine = not isinstance(bind, Engine)
        self.engine = bind if isinstance(bind, Engine) else create_engine(bind)
        self._writing = self.engine.execution_options(**{WRITES: True})
        # A statement sees one moment anyway; beginning and ending would be two more round trips.
        in_one_trip = {"isolation_level": "AUTOCOMMIT"} if self.engine.dialect.name == "postgresql" else {}
        self._reading = self.engine.execution_options(**in_one_trip)
        one_moment = {"isolation_level": "REPEATABLE READ"} if in_one_trip else {}
        self._looking = self.engine.execution_options(**one_moment)
        try:
            self._prepare(create=create)
        except BaseException:
            self.close()
            raise

    def _prepare(self, *, create: bool) -> None:
        if self.engine.dialect.name == "sqlite":
            if not create and not _file(self.engine.url).is_file():
                raise DatabaseUnavailable(
                    f"there is no archive at {shown(self.engine)}; record something first, "
                    f"make an empty one with: phonobase --db {shown(self.engine)} db upgrade, "
                    "or name another with --db"
                )
            if schema.is_empty(self.engine):
                schema.upgrade(self.engine)
        schema.check(self.engine)

    @property
    def path(self) -> Path | None:
        """The SQLite file it is in; None where it is on a server."""
        return _file(self.engine.url) if self.engine.dialect.name == "sqlite" else None

    def room(self) -> int:
        """Return how many bytes more the disk under an SQLite archive takes.

        That is what the file system has left for users without privileges, and what is free inside the file.

        Raises:
            StoreError: It is on a server, of whose disk only the server knows; or the file is gone.
        """
        if self.path is None:
            raise StoreError(f"{shown(self.engine)} does not say how full its disk is; look at the server")
        with self.session() as session:
            free_pages, page_bytes = (
                session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("freelist_count", "page_size")
            )
        try:
            free_bytes = shutil.disk_usage(self.path).free
        except OSError as error:
            raise DatabaseUnavailable(f"{shown(self.engine)}: {error.strerror}; is it there?") from error
        return free_bytes + int(free_pages) * int(page_bytes)

    def close(self) -> None:
        """Close the connections, unless the engine was handed in."""
        if self._owns_engine:
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def session(self, *, writes: bool = False) -> Iterator[Session]:
        """Give a session of its own; nothing that is done in it stays, unless the caller commits.

        Args:
            writes: Whether it will write, so that SQLite takes the lock at once.
        """
        engine = self._writing if writes else self._reading
        with plain_errors(self.engine), Session(engine) as session:
            yield session

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[Session]:
        """Give a session whose statements all see the same moment."""
        with plain_errors(self.engine), Session(self._looking) as session:
            yield session


def _file(url: URL) -> Path:
    return Path(str(url.database).removeprefix("file:"))
