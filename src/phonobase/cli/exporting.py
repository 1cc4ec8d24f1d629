"""``phonobase export``."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from phonobase.audio.encoding import Encoding
from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import note, progress_bar
from phonobase.errors import PhonobaseError
from phonobase.store.export import write_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.store.recording import Recording

_NAME_BYTES = 100
_STDOUT = Path("-")


@click.command("export")
@click.argument("recording_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="FILE.flac, FILE.wav, a folder, or - for standard output.  [default: this folder]",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@pass_settings
def command(settings: Settings, recording_ids: tuple[str, ...], output: Path | None, *, force: bool) -> None:
    """Write recordings to files that any player opens.

    Into a folder they go as they are stored, named by source, time and ID. A file is FLAC or WAV by its
    name; where the recording is stored so, its bytes are copied, otherwise its samples are.
    """
    folder = output if output is not None else Path()
    to_one_file = output is not None and not output.is_dir()
    if to_one_file and len(recording_ids) > 1:
        raise click.UsageError(f"{output} is one file; name a folder for several recordings")
    with settings.archive() as archive:
        for recording_id in recording_ids:
            recording = archive.get(recording_id)
            path = folder if to_one_file else folder / _name(recording)
            encoding = recording.encoding if path == _STDOUT else _encoding(path)
            with (
                _writing(path, force=force) as out,
                progress_bar(str(path), recording.frame_count) as done,
            ):
                write_as(archive, recording, encoding, out, done)
            note(f"{recording.id.hex} -> {path}")


def _name(recording: Recording) -> str:
    source = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in recording.source)
    source = source.encode()[:_NAME_BYTES].decode(errors="ignore")
    moment = recording.started_at.strftime("%Y%m%dT%H%M%SZ")
    return f"{source}_{moment}_{recording.id.hex[-8:]}{recording.encoding.suffix}"


def _encoding(path: Path) -> Encoding:
    for encoding in Encoding:
        if path.suffix.lower() == encoding.suffix:
            return encoding
    suffixes = " nor ".join(encoding.suffix for encoding in Encoding)
    raise click.UsageError(f"{path} ends in neither {suffixes}, so it does not say what to write")


@contextmanager
def _writing(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a file to write, which takes its name once it is whole and on the disk."""
    if path == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not force:
        raise PhonobaseError(f"{path} is there already; name another file, or overwrite it with --force")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
            try:
                yield cast("BinaryIO", part)
                part.flush()
                os.fsync(part.fileno())
                os.chmod(part.name, 0o666 & ~_umask())  # noqa: PTH101 - as a file that was just made
                os.replace(part.name, path)  # noqa: PTH105
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise PhonobaseError(f"{path} cannot be written: {error.strerror}; name another place") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
