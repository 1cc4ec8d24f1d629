"""Forwarding to a server beside a recorder, for as long as that records."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from phonobase.errors import PhonobaseError, StoreError
from phonobase.recorder.every import every
from phonobase.recorder.local import local_file
from phonobase.recorder.spool import needs_spool
from phonobase.service.child import Child
from phonobase.store.archive import Archive
from phonobase.store.engine import shown
from phonobase.store.push import push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOK_S = 0.1
_ENDING_S = 10.0


@contextlib.contextmanager
def forwarded(url: str, spool: Path | None, local: Archive) -> Iterator[None]:
    """Have what is recorded meanwhile sent to the archive, where that is on a server.

    Args:
        url: The archive's.
        spool: The SQLite file that was asked for; the usual one, with None.
        local: What is written to: that file, or one beside it where that cannot be used.

    Raises:
        PhonobaseError: At the end, where some of it is not there: it is kept, and the message says how to
            send it.
    """
    if not needs_spool(url):
        yield
        return
    with _forwarder(url, local_file(url, spool)):
        yield
    try:
        with Archive(url) as archive:
            failed = push(local, archive).failed
        problem = str(failed[0]) if failed else None
    except StoreError as error:
        problem = str(error)
    if problem is not None:
        here = shown(local.engine)
        raise PhonobaseError(
            f"kept in {here}, not sent yet: {problem} (then: phonobase --db {here} push URL)"
        )


@contextlib.contextmanager
def _forwarder(url: str, file: Path) -> Iterator[None]:
    """Keep a process running that forwards; sound is not in its way, nor it in the sound's."""
    child = Child(
        "forwarder",
        [sys.executable, "-m", "phonobase", "--db", f"sqlite:///{file.absolute()}", "push", "--follow"],
        environment={"PHONOBASE_PUSH_TO": url, "PHONOBASE_LOG_FORMAT": "quiet"},
    )
    try:
        with every(_LOOK_S, child.tend, "phonobase-forwarder"):
            yield
    finally:
        child.ask()
        while not child.over(_ENDING_S):
            time.sleep(_LOOK_S)
