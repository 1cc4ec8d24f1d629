"""``phonobase push``."""

from __future__ import annotations

import click

from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import counted, note, progress_bar, size
from phonobase.errors import PhonobaseError
from phonobase.store.archive import Archive
from phonobase.store.push import extents, push


@click.command("push")
@click.argument("url", envvar="PHONOBASE_PUSH_TO", metavar="URL")
@pass_settings
def command(settings: Settings, url: str) -> None:
    """Copy everything into another archive that it has not: recordings, gaps and sources.

    It may be stopped and repeated at any time: what is there is not sent again, and nothing there is
    overwritten. Recordings of which the archive holds other sound, or that are not as they were recorded,
    are named; the others are pushed, and the exit code is 1. What was deleted there is not sent again.
    """
    with settings.archive() as ours, Archive(url) as theirs:
        total = sum(extent.byte_count for extent in extents(ours).values())
        with progress_bar("pushing", total) as done:
            pushed = push(ours, theirs, done)
    if pushed.deleted:
        note(f"{counted(pushed.deleted, 'recording')} left out: deleted there")
    note(
        f"pushed {counted(pushed.recordings, 'recording')}, {size(pushed.bytes)}; "
        f"{pushed.already} were there already"
    )
    if len(pushed.failed) == 1:
        raise pushed.failed[0]
    for error in pushed.failed:
        note(f"phonobase: {error}")
    if pushed.failed:
        raise PhonobaseError(f"{len(pushed.failed)} were not pushed; see above")
