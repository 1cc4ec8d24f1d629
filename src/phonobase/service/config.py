"""A service: everything that ``phonobase run`` needs to know, from one file in TOML.

Every mistake in the file is an InvalidService that names the file, the table and the key.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phonobase.errors import DatabaseUnavailable, InvalidService
from phonobase.recorder.settings import DEFAULT_FLOOR_BYTES
from phonobase.service.sources import SOURCE_KEYS, ServiceInput, read_sources
from phonobase.service.tables import Table
from phonobase.store.engine import parse_url

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_GRACE_S = 3600.0
"""How long what the archive has is kept in the spool too, unless the file says otherwise."""

LOG_FORMATS = ("text", "json")

_KEYS = (
    "archive",
    "spool",
    "floor",
    "grace",
    "metrics",
    "metrics_file",
    "log_format",
    "defaults",
    "source",
)
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Service:
    """What one supervisor runs.

    Attributes:
        path: The file that says it.
        archive: The URL of the archive, with its password.
        spool: The SQLite file that is written first where the archive is on a server; the usual one, with
            None.
        grace_s: How long recordings stay in the spool after the archive has them.
        floor_bytes: Free space below which nothing more is recorded.
        metrics_address: Host and port that serve metrics over HTTP; none, with None.
        metrics_file: The text file that metrics are written to; none, with None.
        log_format: ``text`` or ``json``.
        inputs: What is recorded; each in a process of its own.
    """

    path: Path
    archive: str = field(repr=False)
    spool: Path | None
    grace_s: float
    floor_bytes: int
    metrics_address: tuple[str, int] | None
    metrics_file: Path | None
    log_format: str
    inputs: tuple[ServiceInput, ...]

    @property
    def source_names(self) -> tuple[str, ...]:
        """The names of all sources, in the order of the file."""
        return tuple(source.name for input_ in self.inputs for source in input_.sources)

    def only(self, name: str) -> ServiceInput:
        """Return the input of that name, or the one that feeds the source of that name.

        Raises:
            InvalidService: There is none.
        """
        for input_ in self.inputs:
            if name in (input_.name, *(source.name for source in input_.sources)):
                return input_
        raise InvalidService(
            f"{self.path} has no source {name!r}; there are: {', '.join(sorted(self.source_names))}"
        )


def read_service(path: Path, archive: str) -> Service:
    """Return what a file says.

    Relative paths in it, also those of SQLite files, begin at the folder that the file is in.

    Args:
        path: The file.
        archive: The URL of the archive where the file names none; taken as it is.

    Raises:
        InvalidService: It cannot be read, or says something that means nothing.
    """
    root = Table(path, "", _parsed(path))
    root.refuse_unknown(_KEYS, elsewhere=dict.fromkeys(SOURCE_KEYS, "[defaults] or a [[source]]"))
    folder = path.absolute().parent
    said = root.text("archive")
    spool, metrics_file = root.text("spool"), root.text("metrics_file")
    metrics = root.text("metrics")
    return Service(
        path=path,
        archive=archive if said is None else _archive(root, said, folder),
        spool=None if spool is None else folder / spool,
        grace_s=root.duration("grace", DEFAULT_GRACE_S, may_be_zero=True),
        floor_bytes=root.size("floor", DEFAULT_FLOOR_BYTES),
        metrics_address=None if metrics is None else _address(root, metrics),
        metrics_file=None if metrics_file is None else folder / metrics_file,
        log_format=root.choice("log_format", LOG_FORMATS) or LOG_FORMATS[0],
        inputs=read_sources(root, folder),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidService(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidService(f"{path} cannot be read: {error}") from error
    except ValueError as error:  # also of a number with more digits than Python reads
        raise InvalidService(f"{path} is no TOML: {error}") from error
    except RecursionError:
        raise InvalidService(f"{path}: its tables and lists are nested too deeply; write it flat") from None


def _archive(root: Table, text: str, folder: Path) -> str:
    try:
        url = parse_url(text)
    except DatabaseUnavailable as error:
        raise root.invalid("archive", str(error)) from None
    if url.get_backend_name() != "sqlite":
        return url.render_as_string(hide_password=False)
    if str(url.database).startswith("file:"):
        return text
    return url.set(database=str(folder / str(url.database))).render_as_string(hide_password=False)


def _address(root: Table, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) <= _LARGEST_PORT:
        raise root.invalid("metrics", f"{text!r} is no address; write host:port, as 127.0.0.1:9464")
    return host, int(port)
