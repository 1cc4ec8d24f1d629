"""``phonobase gaps``."""

from __future__ import annotations

from datetime import datetime

import click

from phonobase.cli.options import Moment, Settings, json_option, pass_settings
from phonobase.cli.output import duration, gap_as_json, local_time, note, print_json, print_table, printable
from phonobase.cli.period import day_so_far, known

_ID_DIGITS = 8


@click.command("gaps")
@click.option("--source", help="Only of this source.")
@click.option("--since", type=Moment(), help="Only those that reach behind this time, or begin at it.")
@click.option("--until", type=Moment(), help="Only those that begin before this time.")
@json_option
@pass_settings
def command(
    settings: Settings,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
) -> None:
    """List what was not heard, and why, the first to begin first.

    With --since also time that nobody accounts for, as "unrecorded", up to --until or now; sound that is not
    committed yet is among it.
    """
    with settings.archive() as archive:
        known(archive, source)
        if since is None:
            found = archive.gaps(source, until=until)
        else:
            found = archive.gaps(source, *day_so_far(since, until), unrecorded=True)
    if as_json:
        print_json([gap_as_json(gap) for gap in found])
    elif not found:
        note("no gaps")
    else:
        print_table(
            ["source", "started", "duration", "cause", "recording", "detail"],
            [
                [
                    printable(gap.source),
                    local_time(gap.started_at),
                    duration(gap.seconds) if gap.ended_at > gap.started_at else "-",
                    printable(gap.cause),
                    gap.recording_id.hex[-_ID_DIGITS:] if gap.recording_id else "",
                    printable(gap.detail or ""),
                ]
                for gap in found
            ],
            numbers=(2,),
        )
