"""``phonobase import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonobase.cli.options import (
    Moment,
    Settings,
    dtype_option,
    encoding_option,
    external_id_option,
    notes_option,
    pass_settings,
    source_option,
    tag_option,
    title_option,
)
from phonobase.cli.output import note, progress_bar
from phonobase.errors import PhonobaseError
from phonobase.pcm import SampleFormat
from phonobase.recorder.importing import import_file

if TYPE_CHECKING:
    from datetime import datetime


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@source_option
@click.option(
    "--started-at",
    type=Moment(),
    help="When it began, for one file.  "
    "[default: what a file says that was exported, else the file's time less its duration]",
)
@dtype_option
@encoding_option
@title_option
@notes_option
@external_id_option
@tag_option
@pass_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    source: str,
    started_at: datetime | None,
    dtype: str | None,
    encoding: str | None,
    title: str | None,
    notes: str | None,
    external_id: str | None,
    tags: tuple[tuple[str, str], ...],
) -> None:
    """Store audio files, each whole or not at all, and print their IDs.

    Whatever libsndfile reads: WAV, FLAC, AIFF, Ogg, MP3 and more. A file that cannot be stored is named;
    the others are stored, and the exit code is 1.
    """
    if started_at is not None and len(files) > 1:
        raise click.UsageError("--started-at goes with one file; the others began at another time")
    failed = 0
    with settings.archive(create=True) as archive:
        for path in files:
            try:
                with progress_bar(path.name, None) as done:
                    recording = import_file(
                        archive,
                        path,
                        source=source,
                        started_at=started_at,
                        sample_format=SampleFormat(dtype) if dtype else None,
                        encoding=encoding,
                        title=title or path.name,
                        notes=notes,
                        external_id=external_id,
                        tags=dict(tags),
                        on_frames=done,
                    )
            except PhonobaseError as error:
                if settings.debug or len(files) == 1:
                    raise
                note(f"phonobase: {error}")
                failed += 1
            else:
                click.echo(recording.id.hex)
                said = recording.capture.get("began_locally")
                if said is not None:
                    note(
                        f"phonobase: {path} says that it began at {said}, in a time zone that it does not "
                        "name, so its file time was taken; where that is wrong, give --started-at"
                    )
    if failed:
        raise PhonobaseError(f"{failed} of {len(files)} files were not stored; see above")
