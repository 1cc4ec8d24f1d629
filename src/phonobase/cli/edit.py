"""``phonobase edit``."""

from __future__ import annotations

import click

from phonobase.cli.options import (
    Settings,
    external_id_option,
    id_argument,
    notes_option,
    pass_settings,
    tag_option,
    title_option,
)
from phonobase.cli.output import note
from phonobase.store.editing import Changes


@click.command("edit")
@id_argument
@title_option
@notes_option
@external_id_option
@tag_option
@click.option("--untag", metavar="NAME", multiple=True, help="A tag to take away; may be given again.")
@pass_settings
def command(
    settings: Settings,
    recording_id: str,
    title: str | None,
    notes: str | None,
    external_id: str | None,
    tags: tuple[tuple[str, str], ...],
    untag: tuple[str, ...],
) -> None:
    """Change what is said of a recording, also while it is recorded. What is not given stays.

    An empty text, as in --title "", takes away what there was. Tags that are not named stay.
    """
    changes: Changes = {}
    if title is not None:
        changes["title"] = title
    if notes is not None:
        changes["notes"] = notes
    if external_id is not None:
        changes["external_id"] = external_id
    if tags:
        changes["tags"] = dict(tags)
    if untag:
        changes["untag"] = untag
    if not changes:
        raise click.UsageError("nothing is to be changed; say what, as --title TEXT or --tag NAME=VALUE")
    with settings.archive() as archive:
        recording = archive.edit(recording_id, **changes)
    note(f"{recording.id.hex}: changed")
