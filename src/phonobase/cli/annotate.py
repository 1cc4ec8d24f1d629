"""``phonobase annotate``, ``unannotate`` and ``annotations``."""

from __future__ import annotations

import getpass
from datetime import datetime
from fractions import Fraction
from typing import Any

import click

from phonobase.cli.options import (
    DURATION_OR_NONE,
    Moment,
    Settings,
    id_argument,
    json_option,
    pass_settings,
)
from phonobase.cli.output import duration, local_time, note, print_json, print_table, printable
from phonobase.cli.period import known
from phonobase.store.annotations import Annotation

_ID_DIGITS = 8


@click.command("annotate")
@id_argument
@click.option("--kind", required=True, help="What sort of thing is said: note, label, transcript, speech.")
@click.option("--text", help="What is said, in words.")
@click.option(
    "--from",
    "begin",
    type=DURATION_OR_NONE,
    default="0",
    show_default=True,
    help="Where in the recording the stretch begins.",
)
@click.option("--to", "end", type=DURATION_OR_NONE, help="Where it ends.  [default: at the recording's end]")
@click.option("--score", type=float, help="How sure or how strong, on your own scale.")
@click.option("--author", default=getpass.getuser, show_default="you", help="Who says it.")
@json_option
@pass_settings
def say(
    settings: Settings,
    recording_id: str,
    kind: str,
    text: str | None,
    begin: Fraction,
    end: Fraction | None,
    score: float | None,
    author: str,
    *,
    as_json: bool,
) -> None:
    """Say something of a stretch of a recording, and print the annotation's id.

    The stretch is all of the recording, where neither --from nor --to says otherwise; a moment, where both
    are the same.
    """
    with settings.archive() as archive, archive.writing() as repository:
        recording = repository.get(recording_id)
        first = int(begin * recording.format.sample_rate)
        behind = recording.frame_count if end is None else int(end * recording.format.sample_rate)
        if max(first, behind) > recording.frame_count:
            raise click.UsageError(
                f"the recording is {duration(recording.seconds)} long; --from and --to lie within it"
            )
        if behind < first:
            raise click.UsageError("the stretch would end before it begins; --from comes before --to")
        said = repository.annotate(recording.id, first, behind - first, kind, text, score, author=author)
    if as_json:
        print_json(_plain(said))
    else:
        click.echo(said.id.hex)


@click.command("unannotate")
@click.argument("annotation_id", metavar="ANNOTATION")
@pass_settings
def take_back(settings: Settings, annotation_id: str) -> None:
    """Take an annotation back, named by the id that annotate or annotations --json printed."""
    with settings.archive() as archive:
        archive.delete_annotation(annotation_id)


@click.command("annotations")
@click.argument("recording_id", metavar="[ID]", required=False)
@click.option("--source", help="Only of this source's recordings.")
@click.option("--kind", help="Only of this kind.")
@click.option("--author", help="Only what this one says.")
@click.option("--since", type=Moment(), help="Only those that reach behind this time, or begin at it.")
@click.option("--until", type=Moment(), help="Only those that begin before this time.")
@json_option
@pass_settings
def listing(
    settings: Settings,
    recording_id: str | None,
    source: str | None,
    kind: str | None,
    author: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
) -> None:
    """List what is said of a recording, or of all, the first to begin first."""
    with settings.archive() as archive:
        known(archive, source)
        found = archive.annotations(
            recording_id, source=source, kind=kind, author=author, since=since, until=until
        )
    if as_json:
        print_json([_plain(one) for one in found])
    elif not found:
        note("no annotations")
    else:
        print_table(
            ["source", "started", "duration", "recording", "kind", "score", "author", "text"],
            [
                [
                    printable(one.source),
                    local_time(one.started_at),
                    duration((one.ended_at - one.started_at).total_seconds()) if one.frame_count else "-",
                    one.recording_id.hex[-_ID_DIGITS:],
                    printable(one.kind),
                    "" if one.score is None else f"{one.score:g}",
                    printable(one.author),
                    printable(one.text or ""),
                ]
                for one in found
            ],
            numbers=(2, 5),
        )


def _plain(one: Annotation) -> dict[str, Any]:
    return {
        "id": one.id.hex,
        "recording_id": one.recording_id.hex,
        "source": one.source,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "first_frame": one.first_frame,
        "frame_count": one.frame_count,
        "kind": one.kind,
        "text": one.text,
        "score": one.score,
        "author": one.author,
        "created_at": one.created_at,
    }
