"""``phonobase play``."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import click

from phonobase.capture.speaker import Speaker
from phonobase.cli.options import DURATION, DURATION_OR_NONE, Settings, id_argument, pass_settings
from phonobase.cli.output import progress_bar
from phonobase.recorder.quantities import in_frames


@click.command("play")
@id_argument
@click.option("--from", "start", type=DURATION_OR_NONE, help="Where to begin.  [default: the beginning]")
@click.option("--duration", "length", type=DURATION, help="How long.  [default: to the end]")
@click.option("--device", help="Which output: its number, its name or a part of that.")
@pass_settings
def command(
    settings: Settings,
    recording_id: str,
    start: Fraction | None,
    length: Fraction | None,
    device: str | None,
) -> None:
    """Play a recording through this machine's loudspeaker."""
    with settings.archive() as archive:
        recording = archive.get(recording_id)
        rate = recording.format.sample_rate
        first = in_frames(start, rate) if start else 0
        if first >= recording.frame_count:
            raise click.UsageError(f"--from lies behind the end: the recording has {recording.seconds:g} s")
        last = recording.frame_count if length is None else first + in_frames(length, rate)
        with (
            contextlib.closing(Speaker(recording.format, device)) as speaker,
            progress_bar("playing", min(last, recording.frame_count) - first) as done,
        ):
            for frames in archive.frames(recording.id, first, last):
                for begin in range(0, len(frames), rate):
                    block = frames[begin : begin + rate]
                    speaker.write(block)
                    done(len(block))
