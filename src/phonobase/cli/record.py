"""``phonobase record``."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonobase.cli.forwarding import forwarded
from phonobase.cli.meter import Meter
from phonobase.cli.options import (
    DURATION,
    DURATION_OR_NONE,
    LEVEL,
    ROLLOVER,
    SIZE,
    dtype_option,
    encoding_option,
    external_id_option,
    notes_option,
    pass_settings,
    source_option,
    tag_option,
    title_option,
)
from phonobase.cli.output import counted, duration, note, size
from phonobase.cli.stopping import on_signals
from phonobase.errors import PhonobaseError, StorageFull
from phonobase.recorder.inputs import DEFAULT_CHANNELS, DEFAULT_RATE, is_live, open_input
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.local import local_archive
from phonobase.recorder.quantities import in_frames
from phonobase.recorder.record import Recorder
from phonobase.recorder.settings import DEFAULT_FLOOR_BYTES, InputSettings, SourceSettings, Trigger
from phonobase.store.draft import Draft
from phonobase.store.engine import shown
from phonobase.store.recording import new_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from phonobase.capture.block import Input
    from phonobase.cli.options import Settings as Program
    from phonobase.pcm import AudioFormat
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

_NOTHING = "nothing was heard, so nothing was stored"


@click.command("record")
@source_option
@click.option("--duration", "length", type=DURATION, help="How long.  [default: until Ctrl-C or the end]")
@click.option(
    "--input",
    "kind",
    default="device",
    show_default=True,
    metavar="device|FILE|-|tone",
    help="What to record: a device, a file, standard input, or a test tone.",
)
@click.option(
    "--device", help="Which device: its number, its name or a part of that.  [default: the system's]"
)
@click.option("--samplerate", type=int, help=f"In Hz.  [default: {DEFAULT_RATE}]")
@click.option("--channels", type=int, help=f"How many.  [default: {DEFAULT_CHANNELS}]")
@dtype_option
@encoding_option
@click.option("--chunk", type=DURATION, default="2s", show_default=True, help="How much to commit at once.")
@click.option(
    "--rollover",
    type=ROLLOVER,
    help="Begin new recordings so often since midnight UTC: with 1h, at full hours.",
)
@click.option("--trigger", type=LEVEL, help="Record only what is louder, as -40dBFS.")
@click.option(
    "--pre-roll",
    type=DURATION_OR_NONE,
    default="2s",
    show_default=True,
    help="With --trigger: how much before it is recorded too.",
)
@click.option(
    "--hang",
    type=DURATION,
    default="5s",
    show_default=True,
    help="With --trigger: how long to go on when it is quiet again.",
)
@title_option
@notes_option
@external_id_option
@tag_option
@click.option(
    "--realtime/--no-realtime",
    default=None,
    help="Whether time passes while it records.  [default: for device and tone]",
)
@click.option(
    "--spool",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="PHONOBASE_SPOOL",
    help="With an archive on a server: the SQLite file to record into first.  [default: one of its own]",
)
@click.option(
    "--floor",
    "floor_bytes",
    type=SIZE,
    default=f"{DEFAULT_FLOOR_BYTES // 1024**2}MiB",
    show_default=True,
    help="Room on the disk below which nothing more is recorded.",
)
@pass_settings
def command(
    program: Program,
    source: str,
    length: Fraction | None,
    kind: str,
    device: str | None,
    samplerate: int | None,
    channels: int | None,
    dtype: str | None,
    encoding: str | None,
    chunk: Fraction,
    rollover: int | None,
    trigger: float | None,
    pre_roll: Fraction,
    hang: Fraction,
    title: str | None,
    notes: str | None,
    external_id: str | None,
    tags: tuple[tuple[str, str], ...],
    realtime: bool | None,
    spool: Path | None,
    floor_bytes: int,
) -> None:
    """Record sound and print the recordings' IDs.

    Every two seconds are committed as they are heard. Ctrl-C ends a recording cleanly. A device that is lost
    is opened again; what is not heard meanwhile is listed as a gap. A file or standard input brings its own
    format; raw PCM on standard input needs --samplerate, --channels and --dtype.

    Where the archive is on a server, live sound goes into a spool on this machine first and is forwarded from
    there, so that no outage costs any.
    """
    asked = InputSettings(kind, device, samplerate, channels, dtype, realtime)
    _refuse_contradictions(asked, trigger)
    settings = SourceSettings(
        details={
            "source": source,
            "encoding": encoding,
            "title": title,
            "notes": notes,
            "external_id": external_id,
            "tags": dict(tags),
        },
        chunk_seconds=float(chunk),
        rollover_s=rollover,
        trigger=None if trigger is None else Trigger(trigger, float(pre_roll), float(hang)),
    )
    with contextlib.closing(open_input(asked)) as input_:
        _check(input_.format, settings)
        if not is_live(asked):
            _record_waiting(program, input_, settings, length)
            return
        with local_archive(program.db, spool) as (archive, folder), forwarded(program.db, spool, archive):
            _refuse_without_room(archive, floor_bytes)
            meter = Meter(source, input_.format)
            said = _Said(meter)
            recorder = LiveRecorder(
                archive,
                folder,
                [settings],
                _Inputs(input_, asked).next,
                duration_s=length,
                floor_bytes=floor_bytes,
                on_level=meter.show,
                on_recording=said.ended,
            )
            _announce(source, input_, archive)
            try:
                with on_signals(_stopping(recorder.stop)), meter:
                    recorder.run()
            finally:
                said.at_the_end(recorder, input_.format)
            if said.nothing(recorder):
                if not recorder.has_heard:
                    raise PhonobaseError(_NOTHING)
                note("nothing was to be recorded; what was heard instead is listed: phonobase gaps")


class _Inputs:
    """The input that is open already, and after it what opens when that was lost."""

    def __init__(self, first: Input, settings: InputSettings) -> None:
        self._first: Input | None = first
        self._settings = settings

    def next(self) -> Input:
        """Return an open input."""
        first, self._first = self._first, None
        return first or open_input(self._settings)


def _refuse_contradictions(asked: InputSettings, trigger: float | None) -> None:
    if asked.device is not None and asked.kind != "device":
        raise click.UsageError("--device goes with --input device")
    if asked.kind == "device" and asked.realtime is False:
        raise click.UsageError("a device is heard in real time; leave --no-realtime out")
    if trigger is not None and not is_live(asked):
        raise click.UsageError("--trigger goes with live sound; add --realtime")
    if asked.kind == "-" and asked.is_half_described:
        raise click.UsageError("raw PCM needs all of --samplerate, --channels and --dtype")


def _check(form: AudioFormat, settings: SourceSettings) -> None:
    """Refuse what cannot be stored before a file is made and a recording announced."""
    new = new_recording(form, **settings.details)
    Draft(new, settings.chunk_seconds)


def _record_waiting(
    program: Program, input_: Input, settings: SourceSettings, length: Fraction | None
) -> None:
    """Record sound that waits for whoever fetches it."""
    form = input_.format
    with program.archive(create=True) as archive:
        meter = Meter(settings.name, form)
        frame_count = None if length is None else in_frames(length, form.sample_rate)
        recorder = Recorder(archive, input_, settings, frame_count, meter.show)
        _announce(settings.name, input_, archive)
        try:
            with on_signals(_stopping(input_.stop)), meter:
                recorder.run()
        finally:
            for recording in recorder.recordings:
                _say(recording)
            _say_open([recorder.left_open] if recorder.left_open else [])
    if not recorder.recordings:
        raise PhonobaseError(_NOTHING)


class _Said:
    """What a live recorder has told so far: an id as soon as its recording has ended."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._count = 0

    def ended(self, recording: Recording) -> None:
        """Tell that a recording has ended."""
        self._count += 1
        with self._meter.aside():
            try:
                _say(recording)
            except BrokenPipeError:  # who read the ids has gone; the sound goes on
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def at_the_end(self, recorder: LiveRecorder, form: AudioFormat) -> None:
        """Tell what else there is to know when all has ended, well or not."""
        _say_open(recorder.left_open)
        if recorder.frames_lost:
            lost = duration(recorder.frames_lost / form.sample_rate)
            note(f"{lost} of the sound were lost, and are silence there: phonobase gaps")

    def nothing(self, recorder: LiveRecorder) -> bool:
        """Return whether nothing was recorded."""
        return not self._count and not recorder.left_open


def _announce(source: str, input_: Input, archive: Archive) -> None:
    described = input_.description
    what = described.get("device") or described.get("file") or described["input"]
    note(f"recording {source} from {what}: {input_.format}, into {shown(archive.engine)}")


def _refuse_without_room(archive: Archive, floor_bytes: int) -> None:
    if (free := archive.room()) < floor_bytes:
        raise StorageFull(
            f"{shown(archive.engine)}: there is room for {size(free)} more, which is below the floor of "
            f"{size(floor_bytes)}; make room, or lower --floor"
        )


def _say(recording: Recording) -> None:
    chunks = counted(recording.chunk_count, "chunk")
    note(f"{recording.state}: {duration(recording.seconds)} ({recording.frame_count} frames, {chunks})")
    click.echo(recording.id.hex)


def _say_open(ids: Sequence[UUID]) -> None:
    for recording_id in ids:
        note(f"left open, with what was committed: {recording_id.hex}; close it: phonobase recover")


def _stopping(stop: Callable[[], None]) -> Callable[[bool], None]:
    """End the sound, so that what was heard is stored; asked again, leave what could not be."""

    def heed(again: bool) -> None:
        if again:
            raise KeyboardInterrupt
        stop()

    return heed
