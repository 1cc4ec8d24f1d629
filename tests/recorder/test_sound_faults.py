"""Faults of a real sound server: each is a gap where it happened, and recording goes on by itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from phonobase import Archive
from phonobase.store.coverage import Gap
from phonobase.store.recording import Recording, State
from tests.support.prs import Frames, assert_contiguous, faults, locate, noise
from tests.support.pulse import SoundServer

RATE = 44_100
PATIENCE_S = 30
PLAYS = 7
MARK_S = 0.1
BOUND = timedelta(milliseconds=50)
FRAGMENT = timedelta(milliseconds=50)
"""What the server hands on at once: the last of it before a fault was never there to be heard."""


@dataclass
class Recorded:
    """What an archive holds of one source, once its recorder ended."""

    recordings: list[Recording]
    frames: list[Frames]
    gaps: list[Gap]
    clean: bool

    def when(self, played: Frames) -> datetime:
        """Returns when a signal began to sound, as the archive has it."""
        for recording, frames in zip(self.recordings, self.frames, strict=True):
            with contextlib.suppress(AssertionError):
                return recording.started_at - timedelta(seconds=locate(frames, played) / RATE)
        raise AssertionError("nothing of the signal was recorded")


class Recorder:
    """The program, recording from a sound server into an SQLite file."""

    def __init__(self, server: SoundServer, path: Path, *options: str, channels: int = 1) -> None:
        self.url = f"sqlite:///{path / 'phonobase.db'}"
        self._marks = iter(range(1000, 2000))
        self._server = server
        form = ["--samplerate", str(server.rate), "--channels", str(channels), "--chunk", "0.5s"]
        with (path / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "phonobase", "--db", self.url, "record", *form, *options],
                env={**os.environ, **server.env},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def hears(self, count: int = 1) -> None:
        """Waits until so many recordings have begun to be stored."""

        def stored() -> bool:
            with Archive(self.url) as archive:
                return len(archive.find()) >= count

        wait_for(stored)

    def mark(self) -> tuple[list[datetime], list[Frames]]:
        """Plays some short signals; returns when each was begun to be played, and the signals."""
        begun, played = [], []
        for _ in range(PLAYS):
            played.append(noise(round(MARK_S * RATE), seed=next(self._marks)))
            begun.append(datetime.now(UTC))
            self._server.play(played[-1])
        return begun, played

    def end(self) -> Recorded:
        """Ends it, and returns what it has stored, the first to begin first."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0
        with Archive(self.url) as archive:
            recordings = archive.find()[::-1]
            return Recorded(
                recordings,
                [archive.read(recording.id) for recording in recordings],
                archive.gaps(),
                all(archive.verify(recording.id).ok for recording in recordings),
            )


Record = Callable[..., Recorder]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Starts recording, and ends what a failed test left behind."""
    started: list[Recorder] = []

    def start(server: SoundServer, *options: str, channels: int = 1) -> Recorder:
        started.append(Recorder(server, tmp_path, *options, channels=channels))
        started[-1].hears()
        return started[-1]

    yield start
    for recorder in started:
        recorder.process.kill()
        recorder.process.wait()


def test_rollovers_lose_and_repeat_nothing(record: Record) -> None:
    """A signal runs through ten rollovers without a seam, and each is on the second."""
    played = noise(12 * RATE)
    with SoundServer(RATE, 1) as server:
        recorder = record(server, "--rollover", "1s")
        server.play(played)
        time.sleep(1)
        recorded = recorder.end()
    parts = [frames[frames.any(axis=1)] for frames in recorded.frames if frames.any()]
    assert assert_contiguous(np.concatenate(recorded.frames), played) <= 0
    assert sum(map(len, parts)) == len(played)
    assert len(parts) > 10
    assert recorded.gaps == []
    assert recorded.clean
    runs = {(recording.run_id, recording.state) for recording in recorded.recordings}
    assert runs == {(recorded.recordings[0].run_id, State.COMPLETE)}
    for before, after in zip(recorded.recordings, recorded.recordings[1:], strict=False):
        assert after.run_index == before.run_index + 1
        assert after.started_at == before.ended_at
        assert min(after.started_at.microsecond, 1_000_000 - after.started_at.microsecond) <= 1_000_000 / RATE


def test_a_server_that_is_killed_and_a_sink_that_is_removed_are_lost_devices(record: Record) -> None:
    """Both are gaps from the last sound to the next, between recordings on one scale of time.

    That scale is judged by signals whose beginning is known: the way from there into the archive is as long
    before as after.
    """
    before = noise(20 * RATE)
    with SoundServer(RATE, 1) as server:
        recorder = record(server)
        marks = [recorder.mark()]
        player = server.play_async(before)
        time.sleep(1)
        server.kill()
        lost = [datetime.now(UTC)]
        player.wait()
        time.sleep(1)
        server.start()
        recorder.hears(2)
        marks.append(recorder.mark())
        server.pactl("unload-module", "module-null-sink")
        lost.append(datetime.now(UTC))
        time.sleep(1)
        server.load_sink("phonobase", RATE, 1)
        recorder.hears(3)
        marks.append(recorder.mark())
        recorded = recorder.end()
    gaps = recorded.gaps
    assert [gap.cause for gap in gaps] == ["device-lost", "device-lost"]
    assert recorded.clean
    assert_contiguous(recorded.frames[0][-RATE // 2 :], before)
    for gap, at, ended, begun in zip(gaps, lost, recorded.recordings, recorded.recordings[1:], strict=False):
        assert (gap.started_at, gap.ended_at) == (ended.ended_at, begun.started_at)
        assert -BOUND <= at - gap.started_at <= FRAGMENT + BOUND
    ways = [min(recorded.when(played) - at for at, played in zip(*mark, strict=True)) for mark in marks]
    middle = sorted(ways)[1]
    assert all(abs(way - middle) <= BOUND for way in ways), ways


def test_a_source_that_is_suspended_stalls_and_then_is_a_lost_device(record: Record) -> None:
    """Two seconds are silence in the recording that goes on, ten a gap before the next, with true bounds.

    The player pauses meanwhile: behind each the signal goes on where it had stopped.
    """
    played = noise(30 * RATE)
    suspended, resumed = [], []
    with SoundServer(RATE, 1) as server:
        recorder = record(server)
        player = server.play_async(played)
        for pause_s in (2, 10):
            time.sleep(2.5)
            server.pactl("suspend-sink", "phonobase", "1")
            suspended.append(datetime.now(UTC))
            time.sleep(pause_s)
            server.pactl("suspend-sink", "phonobase", "0")
            resumed.append(datetime.now(UTC))
        recorder.hears(2)
        time.sleep(1)
        recorded = recorder.end()
        player.kill()
        player.wait()
    stalled, lost = recorded.gaps
    first, second = recorded.frames
    (fault,) = faults(first, played)
    assert (stalled.cause, stalled.first_frame, stalled.frame_count) == ("stalled", fault.at, fault.foreign)
    assert lost.cause == "device-lost"
    for gap, began, ended in zip(recorded.gaps, suspended, resumed, strict=True):
        assert -BOUND <= began - gap.started_at <= FRAGMENT + BOUND
        assert -FRAGMENT - BOUND <= gap.ended_at - ended <= FRAGMENT + BOUND
    behind = first[fault.at + fault.foreign :]
    missed = locate(second, played) - (locate(behind, played) + len(behind))
    assert 0 <= missed / RATE <= (FRAGMENT + BOUND).total_seconds()
    assert recorded.clean


def test_what_a_stopped_recorder_could_not_fetch_is_silence(record: Record) -> None:
    """The server keeps some seconds of it; the signal says how many frames of the rest are missing."""
    rate, channels = 96_000, 8
    played = noise(10 * rate, channels)
    with SoundServer(rate, channels) as server:
        recorder = record(server, channels=channels)
        player = server.play_async(played)
        time.sleep(2)
        recorder.process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        recorder.process.send_signal(signal.SIGCONT)
        player.wait()
        time.sleep(1)
        recorded = recorder.end()
    (gap,) = recorded.gaps
    (frames,) = recorded.frames
    assert gap.first_frame is not None
    assert gap.frame_count is not None
    silent = slice(gap.first_frame, gap.first_frame + gap.frame_count)
    assert gap.cause == "overflow"
    assert not frames[silent].any()
    lost = sum(fault.lost for fault in faults(np.delete(frames, silent, axis=0), played))
    assert lost > rate
    assert abs(gap.frame_count - lost) / rate <= BOUND.total_seconds()
    tail = frames[silent.stop + rate // 10 :]
    head = frames[: silent.start - rate // 10]
    shift = locate(tail, played) - silent.stop - rate // 10 - locate(head, played)
    assert abs(shift) / rate <= BOUND.total_seconds()
    assert recorded.clean


def wait_for(condition: Callable[[], bool]) -> None:
    """Fails where something does not come true."""
    due = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.1)
