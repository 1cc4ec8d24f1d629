"""The spool: the archive on the recorder's own disk, which is written first.

Sound is kept before anything else: where the spool cannot be used as it is, another one beside it is.
"""

from __future__ import annotations

import glob
import logging
import os
import sqlite3
import stat
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from phonobase.errors import DatabaseUnavailable, SchemaError, StoreError
from phonobase.store import schema
from phonobase.store.archive import Archive
from phonobase.store.engine import create_engine, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("phonobase.spool")

_SIBLINGS_TRIED = 9
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def needs_spool(archive_url: str) -> bool:
    """Whether recorders of an archive write to a spool: where it is not a file on this machine.

    Raises:
        DatabaseUnavailable: The URL is not one, or names a database that phonobase does not speak to.
    """
    return _named(archive_url)[1]


def spool_path(archive_url: str) -> Path:
    """Return the usual spool of an archive, the same one for every user name's password.

    It is in the folder ``phonobase`` of ``$STATE_DIRECTORY``, which systemd sets, of ``$XDG_STATE_HOME``, or
    of ``~/.local/state``.
    """
    # systemd may name several folders, the first being the main one.
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_STATE_HOME")
    folder = Path(state) if state else Path.home() / ".local" / "state"
    digest = sha256(_named(archive_url)[0].encode()).hexdigest()
    return folder / "phonobase" / f"spool-{digest[:8]}.db"


def open_spool(path: Path) -> Archive:
    """Open a spool: made where it is missing, brought up to date where it is of an older phonobase.

    One of a newer phonobase, of somebody else or that is damaged is left as it is, and one beside it, called
    after the revision of this program's tables, is used in its place; a warning says so.

    Raises:
        StoreError: None can be opened or made.
    """
    refused: list[StoreError] = []
    for candidate in _candidates(path):
        try:
            spool = _opened(candidate)
        except StoreError as error:
            refused.append(error)
            if not _is_the_file(error):
                break
        else:
            if refused:
                _log.warning(
                    "%s cannot be the spool, so it is left alone and %s is used: %s",
                    path,
                    candidate,
                    refused[0],
                )
            return spool
    raise refused[0]


class Spools:
    """The spool of a path and those that were used in its place, as they come.

    Args:
        path: The spool's path.

    Attributes:
        unreadable: Those that are there and cannot be opened: why, a line each.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: dict[tuple[int, int], Archive] = {}
        self.unreadable: list[str] = []

    def look(self) -> list[Archive]:
        """Open those that are new, or that could not be opened until now, and return them."""
        beside = f"{glob.escape(self._path.stem)}-phonobase_*{glob.escape(self._path.suffix)}"
        new, unreadable = [], []
        for candidate in [self._path, *sorted(self._path.parent.glob(beside))]:
            file = _file(candidate)
            if file is None or file in self._opened:
                continue
            try:
                spool = _opened(candidate)
            except StoreError as error:
                line = f"what is in {candidate} is not forwarded: {error}"
                if line not in self.unreadable:
                    _log.warning("%s", line)
                unreadable.append(line)
            else:
                self._opened[file] = spool
                new.append(spool)
        self.unreadable = unreadable
        return new

    def let_go(self, spool: Archive) -> bool:
        """Close one that was opened, if its file is not in its place any more; whether that is so."""
        (file,) = (file for file, opened in self._opened.items() if opened is spool)
        if spool.path is not None and _file(spool.path) == file:
            return False
        self._opened.pop(file).close()
        return True

    def close(self) -> None:
        """Close those that were opened."""
        while self._opened:
            self._opened.popitem()[1].close()


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    stem = f"{path.stem}-{schema.head()}"
    yield path.with_name(f"{stem}{path.suffix}")
    for number in range(2, _SIBLINGS_TRIED + 1):
        yield path.with_name(f"{stem}-{number}{path.suffix}")


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one that is put in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _opened(path: Path) -> Archive:
    url = URL.create("sqlite", database=str(path.absolute()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"{path.parent}: {error.strerror}; make it writable for this user, or name another spool"
        ) from error
    try:
        return Archive(url)
    except SchemaError as error:
        if error.found is None:
            raise
        _upgrade(url, error)
    return Archive(url)


def _upgrade(url: URL, needed: SchemaError) -> None:
    engine = create_engine(url)
    try:
        schema.upgrade(engine)
    except DatabaseUnavailable as error:
        raise SchemaError(
            f"{needed}; that failed: {error}", found=needed.found, expected=needed.expected
        ) from error
    finally:
        engine.dispose()


def _is_the_file(error: StoreError) -> bool:
    """Whether it is this file that cannot be used, and not the disk, the folder or the user's rights."""
    if isinstance(error, SchemaError):
        return True
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _named(archive_url: str) -> tuple[str, bool]:
    """Return an archive's URL without its password, and whether it is on a server."""
    engine = create_engine(archive_url)
    engine.dispose()
    return shown(engine), engine.dialect.name != "sqlite"
