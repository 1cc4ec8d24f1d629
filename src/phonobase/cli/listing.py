"""``phonobase list``."""

from __future__ import annotations

import click

from phonobase.cli.finding import find_options, refuse_unheard_of
from phonobase.cli.options import Settings, json_option, pass_settings
from phonobase.cli.output import (
    decibels,
    duration,
    local_time,
    note,
    print_json,
    print_table,
    printable,
    short_id,
)
from phonobase.store.found import cursor_of
from phonobase.store.query import Query
from phonobase.store.rows import facts


@click.command("list")
@find_options(50)
@json_option
@pass_settings
def command(settings: Settings, query: Query, *, as_json: bool) -> None:
    """List recordings, the newest first. No audio is read.

    All conditions are met together. What people wrote is found whatever the case of its letters.
    """
    with settings.archive() as archive:
        refuse_unheard_of(archive, query)
        found = archive.find(query)
    if as_json:
        print_json([facts(recording) | {"cursor": str(cursor_of(recording))} for recording in found])
    elif not found:
        note("no recordings")
    else:
        print_table(
            ["id", "source", "started", "duration", "peak", "state", "title"],
            [
                [
                    short_id(recording),
                    printable(recording.source),
                    local_time(recording.started_at),
                    duration(recording.seconds),
                    decibels(recording.peak_dbfs),
                    recording.state,
                    printable(recording.title or ""),
                ]
                for recording in found
            ],
            numbers=(3, 4),
        )
    if found.next is not None:
        note(f"the first {len(found)}; for more: --after {found.next.after}")
