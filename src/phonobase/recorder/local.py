"""Where a recorder writes: the archive itself where that is a file here, and a spool where it is not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from phonobase.recorder.spool import needs_spool, open_spool, spool_path
from phonobase.recorder.state import StateFolder
from phonobase.store.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator


def local_file(url: str, spool: Path | None = None) -> Path:
    """Return the SQLite file that recorders of an archive write to.

    Args:
        url: The archive's.
        spool: What to write to where the archive is on a server; the usual file, with None.
    """
    if needs_spool(url):
        return spool or spool_path(url)
    return Path(str(make_url(url).database).removeprefix("file:").partition("?")[0])


@contextlib.contextmanager
def local_archive(url: str, spool: Path | None = None) -> Iterator[tuple[Archive, StateFolder]]:
    """Open that file, and the folder beside it in which recorders say how they do.

    Raises:
        StoreError: It cannot be opened.
    """
    file = local_file(url, spool)
    with open_spool(file) if needs_spool(url) else Archive(url) as archive:
        yield archive, StateFolder(file)
