"""``phonobase events``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from phonobase.cli.options import Moment, Settings, json_option, pass_settings
from phonobase.cli.output import counted, local_time, note, print_json, print_table, printable
from phonobase.store.events import Event, find_events, prune_events
from phonobase.store.lookup import resolve

_ID_DIGITS = 8


@click.group("events", invoke_without_command=True)
@click.option("--since", type=Moment(), help="Only those at this time or later.")
@click.option("--until", type=Moment(), help="Only those before this time.")
@click.option("--who", metavar="NAME", help="Only what this one asked for.")
@click.option("--recording", "recording_id", metavar="ID", help="Only what concerned this recording.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    since: datetime | None,
    until: datetime | None,
    who: str | None,
    recording_id: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List what was asked for over HTTP, by whom and from where, the newest first."""
    if context.invoked_subcommand is not None:
        return
    with context.ensure_object(Settings).archive() as archive:
        number = None
        if recording_id is not None:
            with archive.session() as session:
                number = resolve(session, recording_id)  # it may be deleted by now
        events = find_events(archive, since=since, until=until, who=who, recording_id=number, limit=limit)
    if as_json:
        print_json([_plain(event) for event in events])
    elif not events:
        note("no events")
    else:
        print_table(
            ["at", "who", "from", "action", "status", "source", "recording", "detail"],
            [
                [
                    local_time(event.at),
                    printable(event.who or ""),
                    printable(event.address or ""),
                    printable(event.action),
                    str(event.status),
                    printable(event.source or ""),
                    event.recording_id.hex[-_ID_DIGITS:] if event.recording_id else "",
                    printable(event.detail or ""),
                ]
                for event in events
            ],
            numbers=(4,),
        )


@command.command("prune")
@click.option("--before", type=Moment(), required=True, help="Those before this time.")
@pass_settings
def prune(settings: Settings, before: datetime) -> None:
    """Delete old events for good."""
    with settings.archive() as archive:
        note(f"{counted(prune_events(archive, before), 'event')} deleted")


def _plain(event: Event) -> dict[str, Any]:
    return {
        "id": event.id.hex,
        "at": event.at,
        "who": event.who,
        "token_id": event.token_id.hex if event.token_id else None,
        "address": event.address,
        "action": event.action,
        "source": event.source,
        "recording_id": event.recording_id.hex if event.recording_id else None,
        "detail": event.detail,
        "status": event.status,
    }
