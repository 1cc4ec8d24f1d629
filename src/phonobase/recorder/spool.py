"""The spool: the archive on the recorder's own disk, which is written first.

Sound is kept before anything else: where the spool cannot be used as it is, another one beside it is.
"""

from __future__ import annotations

import logging
import os
import sqlite3
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


def spools(path: Path) -> list[Archive]:
    """Open all spools that can be: the one of this path, and those that were used in its place."""
    opened = []
    for candidate in [path, *sorted(path.parent.glob(f"{path.stem}-phonobase_*{path.suffix}"))]:
        if candidate.is_file():
            try:
                opened.append(_opened(candidate))
            except StoreError as error:
                _log.warning("what is in %s is not forwarded: %s", candidate, error)
    return opened


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    stem = f"{path.stem}-{schema.head()}"
    yield path.with_name(f"{stem}{path.suffix}")
    for number in range(2, _SIBLINGS_TRIED + 1):
        yield path.with_name(f"{stem}-{number}{path.suffix}")


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
