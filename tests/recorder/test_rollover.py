"""A recording that is longer than a day goes on in the next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from phonobase import Archive, AudioFormat, Recording, SampleFormat
from phonobase.capture.block import Block
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.record import Recorder
from phonobase.recorder.settings import SourceSettings
from phonobase.recorder.state import StateFolder
from tests.support.clock import SetClock
from tests.support.prs import Frames, noise

RATE, DAY_S = 8000, 3
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCE = SourceSettings({"source": "desk-3"})


class Heard:
    """An input of blocks, with or without the time they were heard at."""

    def __init__(self, signal: Frames, *, timed: bool) -> None:
        self.format = AudioFormat(RATE, 1, SampleFormat.INT16)
        self.frame_count = len(signal)
        self.description = {"input": "test"}
        self._signal = signal
        self._timed = timed

    def blocks(self) -> Iterator[Block]:
        """Yield the sound in blocks that do not divide a day."""
        for start in range(0, len(self._signal), 700):
            at_us = int(BEGAN.timestamp()) * 1_000_000 + start * 1_000_000 // RATE if self._timed else None
            yield Block(self._signal[start : start + 700], at_us)

    def stop(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("live", [True, False])
def test_days_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool) -> None:  # noqa: FBT001
    """Each day begins with the frame and at the moment at which the one before ended."""
    monkeypatch.setattr("phonobase.recorder.takes.MAX_SECONDS", DAY_S)
    monkeypatch.setattr("phonobase.store.writer.MAX_SECONDS", DAY_S)
    signal = noise(10 * RATE)
    days: list[Recording] = []
    clock = SetClock(int(BEGAN.timestamp()) * 1_000_000)
    with Archive(f"sqlite:///{tmp_path / 'phonobase.db'}") as archive:
        if live:
            folder, heard = StateFolder(tmp_path / "phonobase.db"), Heard(signal, timed=True)
            LiveRecorder(
                archive, folder, [SOURCE], lambda: heard, clock=clock, on_recording=days.append
            ).run()
        else:
            days = Recorder(archive, Heard(signal, timed=False), SOURCE, clock=clock).run()
        stored = np.concatenate([archive.read(day.id) for day in days])

    assert [day.frame_count for day in days] == [DAY_S * RATE] * 3 + [RATE]
    assert np.array_equal(stored, signal)
    assert [(day.run_id, day.run_index) for day in days] == [(days[0].run_id, index) for index in range(4)]
    assert [later.started_at for later in days[1:]] == [day.ended_at for day in days[:-1]]
    assert days[3].ended_at == BEGAN + timedelta(seconds=10)
