"""What is seen while recording: a level meter on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

from phonobase.audio.level import SILENCE_DBFS, Level
from phonobase.cli.output import decibels, duration, errors_console, note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.pcm import AudioFormat

_FLOOR_DBFS = -60
_CELLS = 30
_LOUD_DBFS, _HOT_DBFS = -12, -3
_REFRESHES_PER_S = 12
_LINE_EVERY_S = 10


class Meter:
    """Shows the level and the time of what is being recorded; use it in a ``with`` block.

    Args:
        source: What to call it.
        audio_format: Of what is measured.
    """

    def __init__(self, source: str, audio_format: AudioFormat) -> None:
        self._source = source
        self._format = audio_format
        self._samples = 0
        self._since_shown = Level()
        self._last_peak = SILENCE_DBFS
        self._line_due = time.monotonic() + _LINE_EVERY_S
        self._live = (
            Live(
                self._drawn(),
                console=errors_console(),
                refresh_per_second=_REFRESHES_PER_S,
                get_renderable=self._drawn,
                transient=True,
                redirect_stdout=False,  # ids go there while it runs
            )
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let something else be printed; what comes next is shown below it."""
        if self._live is not None:
            self._live.stop()
        yield

    def show(self, level: Level) -> None:
        """Take the level of what came next."""
        if self._live is not None and not self._live.is_started:
            self._live.start()
        self._samples += level.sample_count
        self._since_shown += level
        if self._live is None and time.monotonic() >= self._line_due:
            self._line_due += _LINE_EVERY_S
            note(f"{self._elapsed}  {decibels(self._peak())} dBFS peak")

    @property
    def _elapsed(self) -> str:
        return duration(self._samples / self._format.channels / self._format.sample_rate)[:-4]

    def _peak(self) -> float:
        """Return the peak since the last look; the one before, where nothing has come since."""
        if self._since_shown.sample_count:
            self._last_peak = self._since_shown.peak_dbfs
            self._since_shown = Level()
        return self._last_peak

    def _drawn(self) -> Text:
        peak = self._peak()
        filled = round(_CELLS * max(0.0, 1 - max(peak, _FLOOR_DBFS) / _FLOOR_DBFS))
        style = "red" if peak > _HOT_DBFS else "yellow" if peak > _LOUD_DBFS else "green"
        return Text.assemble(
            ("● ", "red"),
            f"{self._source}  {self._elapsed}  ",
            ("█" * min(filled, _CELLS), style),
            ("·" * (_CELLS - filled), "dim"),
            f"  {decibels(peak):>6} dBFS",
        )
