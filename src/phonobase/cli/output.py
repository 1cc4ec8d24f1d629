"""How results are printed: tables and lines for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from phonobase.cli.stopping import stopping_between_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from phonobase.store.coverage import Gap
    from phonobase.store.recording import Recording

_SHORT_ID_DIGITS = 8
_KIB = 1024


def errors_console() -> Console:
    """Return where progress is shown."""
    return Console(stderr=True)


def note(message: str) -> None:
    """Tell a person something; the result goes to standard output, this does not."""
    click.echo(message, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON has no number for becomes null."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def gap_as_json(gap: Gap) -> dict[str, Any]:
    """Return what programs get of a gap."""
    return {
        "id": gap.id.hex if gap.id else None,
        "source": gap.source,
        "started_at": gap.started_at,
        "ended_at": gap.ended_at,
        "seconds": gap.seconds,
        "cause": gap.cause,
        "detail": gap.detail,
        "recording_id": gap.recording_id.hex if gap.recording_id else None,
        "first_frame": gap.first_frame,
        "frame_count": gap.frame_count,
        "run_id": gap.run_id.hex if gap.run_id else None,
    }


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """Print a table as wide as its content, so that neither a pipe nor a narrow terminal cuts an id.

    Args:
        heads: What stands above the columns.
        rows: The cells.
        numbers: Which columns are set flush right.
    """
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Return text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def short_id(recording: Recording) -> str:
    """Return the digits of an id that people need."""
    return recording.id.hex[-_SHORT_ID_DIGITS:]


def local_time(moment: datetime) -> str:
    """Return a moment as a person on this machine reads it."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:06.3f}"


def decibels(level: float) -> str:
    """Return a level in dBFS."""
    return "silent" if math.isinf(level) else f"{level:.1f}"


def size(byte_count: int) -> str:
    """Return a size as people read it."""
    value, unit = float(byte_count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def values(mapping: Mapping[str, Any]) -> str:
    """Return names and values in a line."""
    return ", ".join(f"{name}={value}" for name, value in mapping.items())


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how much of something is done; give the function that counts on.

    Where somebody asks to stop, that function raises KeyboardInterrupt.
    """
    with stopping_between_steps() as step:
        if not sys.stderr.isatty():
            yield lambda _done: step()
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors_console(), transient=True) as progress:
            task = progress.add_task(label, total=total)

            def count(done: int) -> None:
                progress.advance(task, done)
                step()

            yield count


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
