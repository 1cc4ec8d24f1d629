"""Where the recorders are that a command asks for, or tells something."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from phonobase.cli.options import Settings
from phonobase.recorder.local import local_file
from phonobase.recorder.spool import needs_spool
from phonobase.recorder.state import StateFolder
from phonobase.service.config import read_service

service_option = click.option(
    "--service",
    type=click.Path(path_type=Path),
    envvar="PHONOBASE_SERVICE",
    help="The recorders of this service's file.  [env: PHONOBASE_SERVICE; default: those of --db]",
)
spool_option = click.option(
    "--spool",
    type=click.Path(path_type=Path),
    envvar="PHONOBASE_SPOOL",
    help="Their SQLite file, where --db is on a server.  [default: the one that record uses]",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where recorders are.

    Attributes:
        local: The SQLite file that they write.
        sources: Their sources, in a service; otherwise nothing.
        forwarding: Whether there is to be a forwarder.
    """

    local: Path
    sources: tuple[str, ...]
    forwarding: bool

    @property
    def state(self) -> StateFolder:
        """The folder in which they say how they are doing."""
        return StateFolder(self.local)


def find_place(settings: Settings, service: Path | None, spool: Path | None) -> Place:
    """Return where the recorders are.

    Args:
        settings: Names the archive.
        service: A service's file, which names all else.
        spool: The SQLite file, where the archive is on a server and the file is not the usual one.

    Raises:
        InvalidService: The file is none.
    """
    if service is not None:
        read = read_service(service, settings.db)
        names = read.source_names
        return Place(local_file(read.archive, read.spool), names, needs_spool(read.archive))
    return Place(local_file(settings.db, spool), (), forwarding=False)
