"""``phonobase follow``."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from phonobase.cli.options import DURATION, DURATION_OR_NONE, Settings, pass_settings
from phonobase.cli.output import note
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, to_bytes
from phonobase.store.follow import PART_SECONDS
from phonobase.store.position import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.store.follow import Part


@click.command("follow")
@click.option("--source", help="Only of this source.")
@click.option(
    "--after",
    metavar="start|now|POSITION",
    default=NOW,
    show_default=True,
    help="Where to begin: before everything, behind all that is there, or where a part said to go on.",
)
@click.option(
    "--idle", type=DURATION_OR_NONE, help="End once nothing came for so long; 0: at what is there now."
)
@click.option(
    "--part",
    type=DURATION,
    default=f"{PART_SECONDS:g}",
    show_default=True,
    help="How much sound a part holds at most.",
)
@click.option("--raw", is_flag=True, help="Write the sound itself, as interleaved little-endian PCM.")
@pass_settings
def command(
    settings: Settings,
    source: str | None,
    after: str,
    idle: Fraction | None,
    part: Fraction,
    *,
    raw: bool,
) -> None:
    """Tell of every part of sound as it is committed, once, as a line of JSON.

    A part's position says where to go on another time: then nothing is missed and nothing comes again. With
    --raw, which takes --source, the sound is written, and the last position is told at the end.
    """
    if raw and source is None:
        raise click.UsageError("--raw writes the sound of one source; name it with --source")
    idle_seconds = None if idle is None else float(idle)
    with settings.archive() as archive:
        parts = archive.follow(source, after, idle_seconds=idle_seconds, part_seconds=float(part))
        with closing(parts):
            if raw:
                _write(parts)
            else:
                for one in parts:
                    click.echo(json.dumps(_plain(one), ensure_ascii=False))


def _write(parts: Iterator[Part]) -> None:
    out = sys.stdout.buffer
    form: AudioFormat | None = None
    position = ""
    try:
        for part in parts:
            now = part.recording.format
            if form is not None and now != form:
                raise UnsupportedFormat(
                    f"{part.recording.source} went on as {now}, after {form}; go on from the last position "
                    "with a program that is told so"
                )
            form = now
            for frames in part.frames():
                out.write(to_bytes(frames, form.sample_format))
            out.flush()
            position = part.position
    finally:
        if position:
            note(f"go on with --after {position}")


def _plain(part: Part) -> dict[str, Any]:
    recording = part.recording
    return {
        "recording_id": recording.id.hex,
        "source": recording.source,
        "started_at": part.started_at.isoformat(),
        "ended_at": part.ended_at.isoformat(),
        "first_frame": part.first_frame,
        "frame_count": part.frame_count,
        "sample_rate": recording.format.sample_rate,
        "channels": recording.format.channels,
        "sample_format": recording.format.sample_format,
        "state": recording.state,
        "ends": part.ends,
        "position": part.position,
    }
