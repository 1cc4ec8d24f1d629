"""``phonobase show``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click
import numpy as np

from phonobase.audio import peaks
from phonobase.cli.options import Settings, id_argument, json_option, pass_settings
from phonobase.cli.output import (
    counted,
    decibels,
    duration,
    local_time,
    print_json,
    printable,
    size,
    values,
)
from phonobase.store.rows import facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from phonobase.store.recording import Recording

_ROWS = 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_FULL_SCALE = 128
_MARGIN = 2


@click.command("show")
@id_argument
@json_option
@pass_settings
def command(settings: Settings, recording_id: str, *, as_json: bool) -> None:
    """Show a recording: what is known of it, its level and its waveform. No audio is read."""
    with settings.archive() as archive, archive.reading() as repository:
        recording = repository.get(recording_id)
        if as_json:
            print_json(facts(recording))
            return
        width = max(20, shutil.get_terminal_size().columns - _MARGIN)
        columns = _columns(repository.envelope(recording.id), recording, width)
    for name, value in _facts(recording):
        click.echo(f"{name:<11}{value}")
    click.echo()
    for line in _drawn(columns):
        click.echo(line)


def _facts(recording: Recording) -> list[tuple[str, str]]:
    chunks = counted(recording.chunk_count, "chunk")
    length = f"{duration(recording.seconds)} ({recording.frame_count} frames, {chunks})"
    level = f"peak {decibels(recording.peak_dbfs)}, rms {decibels(recording.rms_dbfs)} dBFS"
    clipped = f", {recording.clipped_frames} frames clipped" if recording.clipped_frames else ""
    facts = [
        ("id", recording.id.hex),
        ("source", recording.source),
        ("title", recording.title or ""),
        ("started", local_time(recording.started_at)),
        ("duration", length),
        ("format", f"{recording.format}, {recording.encoding}, {size(recording.file_bytes)}"),
        ("state", recording.state),
        ("level", level + clipped),
        ("drift", "" if recording.drift_ppm is None else f"{recording.drift_ppm:+.1f} ppm"),
        ("tags", values(recording.tags)),
        ("notes", recording.notes or ""),
        ("external id", recording.external_id or ""),
        ("captured", values(recording.capture)),
        ("pcm sha256", recording.pcm_sha256.hex() if recording.pcm_sha256 else "not closed yet"),
    ]
    return [(name, printable(value)) for name, value in facts if value]


def _columns(outline: Iterable[tuple[int, bytes]], recording: Recording, width: int) -> npt.NDArray[np.int64]:
    """Return the largest magnitude, of 128, in each of so many equal parts of the recording."""
    loudest = np.zeros(width, dtype=np.int64)
    for first_frame, envelope in outline:
        points = np.abs(peaks.points(envelope, recording.format.channels).astype(np.int64))
        first = first_frame + np.arange(len(points)) * peaks.FRAMES_PER_POINT
        behind = np.minimum(first + peaks.FRAMES_PER_POINT, recording.frame_count)
        # A point may be narrower than a column, or cover several.
        begins, ends = first * width // recording.frame_count, -(-behind * width // recording.frame_count)
        for begin, end, loud in zip(begins, ends, points.max(axis=(1, 2)), strict=True):
            np.maximum(loudest[begin:end], loud, out=loudest[begin:end])
    return loudest


def _drawn(columns: npt.NDArray[np.int64]) -> list[str]:
    """Return bars of eighths of a line, the loudest on top."""
    steps = -(-columns * _ROWS * 8 // _FULL_SCALE)  # rounded up: sound that is not silent shows
    lines = []
    for row in reversed(range(_ROWS)):
        part = np.clip(steps - row * 8, 0, 8)
        lines.append("".join(_EIGHTHS[eighth] for eighth in part))
    return lines
