"""``phonobase list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phonobase.cli.options import Moment, Settings, json_option, pass_settings
from phonobase.cli.output import (
    as_json as plain,
)
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
from phonobase.errors import RecordingNotFound
from phonobase.store.recording import State

if TYPE_CHECKING:
    from datetime import datetime


@click.command("list")
@click.option("--source", help="Only of this source.")
@click.option("--state", type=click.Choice([str(state) for state in State]), help="Only in this state.")
@click.option("--since", type=Moment(), help="Only those that began at this time or later.")
@click.option("--until", type=Moment(), help="Only those that began before this time.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most so many."
)
@click.option("--external-id", help="Only those called so elsewhere.")
@json_option
@pass_settings
def command(
    settings: Settings,
    source: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    external_id: str | None,
    *,
    as_json: bool,
) -> None:
    """List recordings, the newest first. No audio is read."""
    with settings.archive() as archive, archive.reading() as repository:
        if source is not None and source not in (known := repository.sources()):
            raise RecordingNotFound(f"no source {source!r}; there are: {', '.join(known) or 'none yet'}")
        found = repository.find(
            source=source,
            state=State(state) if state else None,
            since=since,
            until=until,
            external_id=external_id,
            limit=limit,
        )
    if as_json:
        print_json([plain(recording) for recording in found])
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
        if len(found) == limit:
            note(f"the newest {limit}; --limit shows more")
