"""``phonobase record``."""

from __future__ import annotations

import contextlib
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonobase.capture.device import DeviceInput
from phonobase.capture.file import FileInput
from phonobase.capture.pace import paced
from phonobase.capture.pipe import PipeInput
from phonobase.capture.tone import ToneInput
from phonobase.cli.meter import Meter
from phonobase.cli.options import (
    Duration,
    dtype_option,
    encoding_option,
    external_id_option,
    in_frames,
    notes_option,
    pass_settings,
    source_option,
    tag_option,
    title_option,
)
from phonobase.cli.output import counted, duration, note
from phonobase.errors import PhonobaseError
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.recorder.record import Recorder, Settings
from phonobase.store.draft import Draft
from phonobase.store.engine import shown
from phonobase.store.recording import new_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.capture.block import Input
    from phonobase.cli.options import Settings as Program

_RATE, _CHANNELS, _DTYPE = 44_100, 1, "int16"


@click.command("record")
@source_option
@click.option("--duration", "length", type=Duration(), help="How long.  [default: until Ctrl-C or the end]")
@click.option(
    "--input",
    "from_",
    default="device",
    show_default=True,
    metavar="device|FILE|-|tone",
    help="What to record: a device, a file, standard input, or a test tone.",
)
@click.option(
    "--device", help="Which device: its number, its name or a part of that.  [default: the system's]"
)
@click.option("--samplerate", type=int, help=f"In Hz.  [default: {_RATE}]")
@click.option("--channels", type=int, help=f"How many.  [default: {_CHANNELS}]")
@dtype_option
@encoding_option
@click.option("--chunk", type=Duration(), default="2s", show_default=True, help="How much to commit at once.")
@title_option
@notes_option
@external_id_option
@tag_option
@click.option(
    "--realtime/--no-realtime",
    default=None,
    help="Whether time passes while it records.  [default: for device and tone]",
)
@pass_settings
def command(
    program: Program,
    source: str,
    length: Fraction | None,
    from_: str,
    device: str | None,
    samplerate: int | None,
    channels: int | None,
    dtype: str | None,
    encoding: str | None,
    chunk: Fraction,
    title: str | None,
    notes: str | None,
    external_id: str | None,
    tags: tuple[tuple[str, str], ...],
    realtime: bool | None,
) -> None:
    """Record sound and print the recording's ID.

    Every two seconds are committed as they are heard. Ctrl-C ends a recording cleanly. A file or standard
    input brings its own format; raw PCM on standard input needs --samplerate, --channels and --dtype.
    """
    if device is not None and from_ != "device":
        raise click.UsageError("--device goes with --input device")
    with contextlib.closing(_open(from_, device, samplerate, channels, dtype)) as opened:
        input_ = paced(opened) if _in_real_time(from_, asked=realtime) else opened
        form = input_.format
        settings = Settings(
            frame_count=None if length is None else in_frames(length, form.sample_rate),
            chunk_seconds=float(chunk),
            details={
                "source": source,
                "encoding": encoding,
                "title": title,
                "notes": notes,
                "external_id": external_id,
                "tags": dict(tags),
            },
        )
        _check(form, settings)
        _record(program, input_, settings)


def _check(form: AudioFormat, settings: Settings) -> None:
    """Refuse what cannot be stored before a file is made and a recording announced."""
    new = new_recording(form, **settings.details)
    Draft(new, settings.chunk_seconds)


def _record(program: Program, input_: Input, settings: Settings) -> None:
    source, form = settings.details["source"], input_.format
    with program.archive(create=True) as archive:
        described = input_.description
        what = described.get("device") or described.get("file") or described["input"]
        note(f"recording {source} from {what}: {form}, into {shown(archive.engine)}")
        meter = Meter(source, form)
        recorder = Recorder(archive, input_, settings, meter.show)
        try:
            with _stopping_on_signals(input_), meter:
                recorder.run()
        finally:
            _report(recorder)
    if not recorder.recordings:
        raise PhonobaseError("nothing was heard, so nothing was stored")


def _open(
    from_: str, device: str | None, samplerate: int | None, channels: int | None, dtype: str | None
) -> Input:
    """Open the input; nothing has been written before."""
    given = (samplerate, channels, dtype)
    asked = AudioFormat(
        _RATE if samplerate is None else samplerate,
        _CHANNELS if channels is None else channels,
        SampleFormat(dtype or _DTYPE),
    )
    if from_ == "device":
        return DeviceInput(asked, int(device) if device and device.isdecimal() else device)
    if from_ == "tone":
        return ToneInput(asked)
    if from_ == "-":
        if any(given) and not all(given):
            raise click.UsageError("raw PCM needs all of --samplerate, --channels and --dtype")
        return PipeInput(sys.stdin.buffer, asked if all(given) else None)
    file = FileInput(Path(from_), SampleFormat(dtype) if dtype else None)
    for name, wanted, found in (
        ("--samplerate", samplerate, file.format.sample_rate),
        ("--channels", channels, file.format.channels),
    ):
        if wanted not in (None, found):
            file.close()
            raise click.UsageError(
                f"{from_} has {found}, not {wanted}, and phonobase does not change that; leave {name} out"
            )
    return file


def _in_real_time(from_: str, *, asked: bool | None) -> bool:
    if from_ == "device":
        if asked is False:
            raise click.UsageError("a device is heard in real time; leave --no-realtime out")
        return False
    return from_ == "tone" if asked is None else asked


@contextlib.contextmanager
def _stopping_on_signals(input_: Input) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the input, so that what was heard is stored.

    Asked a second time, the program ends at once, and leaves what it could not store.
    """
    asked: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        input_.stop()

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, and shells without job control
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(recorder: Recorder) -> None:
    for recording in recorder.recordings:
        chunks = counted(recording.chunk_count, "chunk")
        note(f"{recording.state}: {duration(recording.seconds)} ({recording.frame_count} frames, {chunks})")
        click.echo(recording.id.hex)
    if recorder.left_open is not None:
        note(f"left open, with what was committed: {recorder.left_open.hex}; close it: phonobase recover")
    if recorder.overflows:
        note(
            f"the device lost sound {counted(recorder.overflows, 'time')} before it was fetched; "
            "the places are listed in phono_gaps"
        )
