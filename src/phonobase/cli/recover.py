"""``phonobase recover``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import counted, duration, note

if TYPE_CHECKING:
    from phonobase.store.recording import Recording


@click.command("recover")
@pass_settings
def command(settings: Settings) -> None:
    """Close the recordings whose recorder died, and print their IDs.

    They keep everything that was committed and become "interrupted". A recording is left alone while its
    recorder may be alive: its process is there or, where that cannot be told, it committed within a minute.
    """
    with settings.archive() as archive:
        closed = archive.recover(on_open=_say_if_live)
    for recording in closed:
        click.echo(recording.id.hex)
        chunks = counted(recording.chunk_count, "chunk")
        note(f"closed {recording.source}: {duration(recording.seconds)} ({chunks})")
    if not closed:
        note("nothing to recover")


def _say_if_live(recording: Recording, live: bool) -> None:
    if live:
        note(f"left alone: {recording.id.hex} may still be recorded (pid {recording.capture.get('pid')})")
