"""Files that a command writes: all of them are whole, or none is there."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from phonobase.cli.stopping import stopping_between_steps
from phonobase.errors import PhonobaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT = Path("-")

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class NewFiles:
    """Files that take their names together, when all are whole and on the disk; none, where one fails.

    Whoever asks to stop is heard between two files, and never where one is made or takes its name.

    Args:
        force: Whether a file that is there is overwritten.
    """

    def __init__(self, *, force: bool) -> None:
        self._force = force
        self._unnamed: dict[Path, Path] = {}
        self._new_folder: Path | None = None
        self._stopping = ExitStack()

    def __enter__(self) -> Self:
        self._step = self._stopping.enter_context(stopping_between_steps())
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with self._stopping:
            self._finish(failed=failure is not None)

    def _finish(self, *, failed: bool) -> None:
        named = False
        try:
            if not failed:
                self._step()
                self._name_all()
                named = True
        finally:
            for unnamed in self._unnamed.values():
                unnamed.unlink(missing_ok=True)
            if self._new_folder is not None and not named:
                with suppress(OSError):  # somebody else put something there
                    self._new_folder.rmdir()

    def make_folder(self, path: Path) -> None:
        """Make a folder for the files, if it is not there; it goes again where they fail.

        Raises:
            PhonobaseError: It cannot be made.
        """
        if not path.is_dir():
            with _plain_errors(path):
                path.mkdir()
            self._new_folder = path

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """Give a file to write; standard output, where the path says so.

        Raises:
            PhonobaseError: There is one of that name, or it cannot be written.
        """
        self._step()
        if path == STDOUT:
            with _writing_stdout() as out:
                yield out
            return
        with _plain_errors(path):
            _refuse(path, force=self._force)
        # A name may have no room for more letters, so only its beginning is taken.
        prefix = f".{path.name[:20]}."
        with (
            _plain_errors(path),
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False) as part,
        ):
            self._unnamed[path] = Path(part.name)
            yield cast("BinaryIO", part)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o666 & ~_umask())  # noqa: PTH101 - as a file that was just made

    def _name_all(self) -> None:
        """Give all files their names, or take them back and put what they overwrote in its place again."""
        with ExitStack() as kept, ExitStack() as undo:
            for path, unnamed in self._unnamed.items():
                with _plain_errors(path):
                    _refuse(path, force=self._force)
                    if path.exists():
                        old = _kept(path)
                        kept.callback(old.unlink, missing_ok=True)
                        unnamed.replace(path)
                        undo.callback(old.replace, path)
                    else:
                        _name(unnamed, path)
                        undo.callback(path.unlink)
            for folder in {path.parent for path in self._unnamed}:
                with _plain_errors(folder):
                    _sync(folder)
            undo.pop_all()

    def unnamed(self, path: Path) -> Path:
        """Return where a file is until it takes its name."""
        return self._unnamed[path]


def _refuse(path: Path, *, force: bool) -> None:
    """Raise PhonobaseError where a name is taken that a file may not have."""
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_file():
        raise PhonobaseError(f"{path} is there and no file; name another")
    if not force:
        raise PhonobaseError(f"{path} is there already; name another file, or overwrite it with --force")


def _name(unnamed: Path, path: Path) -> None:
    """Give a file its name, which no other has, not even one that has just been made."""
    try:
        path.hardlink_to(unnamed)
    except FileExistsError as error:
        raise PhonobaseError(
            f"{path} was made by another program meanwhile, so it stays; name another file"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The file system knows no second names: an empty file holds the name until the other takes it.
        path.touch(exist_ok=False)
        unnamed.replace(path)


def _kept(path: Path) -> Path:
    """Return another name under which a file stays when it is overwritten."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:20]}.", delete=False) as part:
        kept = Path(part.name)
    try:
        kept.unlink()
        kept.hardlink_to(path)
    except OSError:
        shutil.copy2(path, kept)
    return kept


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing_stdout() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still to be written cannot be, so it must not be tried again at the end of the program.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise PhonobaseError(
            f"standard output cannot be written: {error.strerror}; name another place"
        ) from error


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
