"""The spool: an archive on the recorder's own disk, written first where the archive itself is on a server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from phonobase.store import schema
from phonobase.store.archive import Archive
from phonobase.store.engine import create_engine

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def needs_spool(url: str | URL) -> bool:
    """Whether an archive is not a file on this machine."""
    return make_url(url).get_backend_name() != "sqlite"


def spool_path(url: str | URL) -> Path:
    """Return the usual spool of an archive."""
    plain = make_url(url)._replace(password=None).render_as_string()
    name = f"spool-{hashlib.sha256(plain.encode()).hexdigest()[:8]}.db"
    return _folder() / "phonobase" / name


def open_spool(path: Path) -> Archive:
    """Return a spool, made or brought up to date where need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return Archive(f"sqlite:///{path}")


def _folder() -> Path:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        if folder := os.environ.get(name):
            return Path(folder)
    return Path.home() / ".local" / "state"
