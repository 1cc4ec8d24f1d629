"""Files that a command writes: how they are called, and that they are whole."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from phonobase.errors import PhonobaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.store.recording import Recording

STDOUT = Path("-")

_NAME_BYTES = 100


class NewFiles:
    """Files that take their names together, when all are whole and on the disk; none, where one fails.

    Args:
        force: Whether a file that is there is overwritten.
    """

    def __init__(self, *, force: bool) -> None:
        self._force = force
        self._unnamed: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                for path, unnamed in self._unnamed.items():
                    with _plain_errors(path):
                        unnamed.replace(path)
        finally:
            for unnamed in self._unnamed.values():
                unnamed.unlink(missing_ok=True)

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """Give a file to write; standard output, where the path says so.

        Raises:
            PhonobaseError: There is one of that name, or it cannot be written.
        """
        if path == STDOUT:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        if path.exists() and not self._force:
            raise PhonobaseError(f"{path} is there already; name another file, or overwrite it with --force")
        with (
            _plain_errors(path),
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part,
        ):
            self._unnamed[path] = Path(part.name)
            yield cast("BinaryIO", part)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o666 & ~_umask())  # noqa: PTH101 - as a file that was just made

    def unnamed(self, path: Path) -> Path:
        """Return where a file is until it takes its name."""
        return self._unnamed[path]


def recording_name(recording: Recording, suffix: str) -> str:
    """Return what a file of a recording is called."""
    moment = recording.started_at.strftime("%Y%m%dT%H%M%SZ")
    return f"{_source(recording.source)}_{moment}_{recording.id.hex[-8:]}{suffix}"


def moment_name(source: str, moment: datetime, suffix: str) -> str:
    """Return what a file of a source is called that begins at a moment; no other of it does."""
    return f"{_source(source)}_{moment.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}{suffix}"


def _source(name: str) -> str:
    """Return a source's name as every file system takes it."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore")


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PhonobaseError(f"{path} cannot be written: {error.strerror}; name another place") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
