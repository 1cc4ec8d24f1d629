"""``phonobase dataset``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from phonobase.cli.files import STDOUT, NewFiles
from phonobase.cli.finding import find_options, refuse_unheard_of
from phonobase.cli.options import DURATION, Settings, pass_settings
from phonobase.cli.output import counted, note, progress_bar
from phonobase.store.dataset import write_dataset
from phonobase.store.query import Query

_SUFFIX = ".parquet"


@click.command("dataset")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE.parquet"
)
@click.option("--clip", "clip_seconds", type=DURATION, help="Cut recordings into rows of this length.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@find_options(None)
@pass_settings
def command(
    settings: Settings, output: Path, clip_seconds: Fraction | None, query: Query, *, force: bool
) -> None:
    """Write recordings with their sound into a Parquet file, for training and analysis.

    A row is a recording: what is known of it, and its sound as a FLAC or WAV file in the column "audio".
    Hugging Face datasets, pandas and DuckDB open it.
    """
    if output != STDOUT and output.suffix.lower() != _SUFFIX:
        raise click.UsageError(f"{output} is to be Parquet; let its name end in {_SUFFIX}")
    with (
        settings.archive() as archive,
        NewFiles(force=force) as files,
        files.writing(output) as out,
        progress_bar(str(output), None) as done,
    ):
        refuse_unheard_of(archive, query)
        count = write_dataset(archive, query, out, clip_seconds, done)
    note(f"{counted(count, 'row')} -> {output}")
