from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from phonobase import Archive
from tests.store.judge import Program, checks_md5, flac_pcm
from tests.support.prs import noise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer

RATE, CHANNELS = 48_000, 2
CHUNK = 12_288
"""Frames in a chunk of 0.2 s: 9600 rounded up to whole FLAC frames of 4096."""
LOOKAHEAD = 1
"""The FLAC encoder completes a frame when it has seen the first sample behind it."""

SIGNAL = noise(5 * RATE, CHANNELS, seed=9)
SIGNAL_PCM = SIGNAL.astype("<i2").tobytes()
FRAME_BYTES = 2 * CHANNELS
BLOCK = 480  # 10 ms
TORTURE = float(os.environ.get("TORTURE", "1"))
KILLS = {"sqlite": round(8 * TORTURE), "postgresql": round(4 * TORTURE)}
_PATIENCE_S = 120.0


class Said(NamedTuple):
    """How many frames the recorder said last were written, cut into whole chunks, and committed."""

    written: int = 0
    cut: int = 0
    committed: int = 0


@dataclass(frozen=True)
class Victim:
    """A recorder that was killed, and what it left."""

    number: int
    url: str
    said: Said

    @property
    def kept_up(self) -> bool:
        """Whether the database had taken every whole chunk before the kill."""
        return self.said.cut == self.said.committed


@pytest.fixture(scope="module", params=sorted(KILLS))
def victims(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Victim]]:
    """Recorders that were killed with SIGKILL at a random moment, each with an archive of its own."""
    count, folder = KILLS[request.param], tmp_path_factory.mktemp("killed")
    urls: list[str]
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        urls = [f"sqlite:///{folder / f'{number}.db'}" for number in range(count)]
        for number in range(count):
            shutil.copyfile(template, folder / f"{number}.db")
        yield _kill_all(urls)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    names = [f"phonobase_kill_{os.getpid()}_{number}" for number in range(count)]
    for name in names:
        server.create_database(name, request.getfixturevalue("_postgres_template"))
    yield _kill_all([server.url(name) for name in names])
    for name in names:
        server.drop_database(name)


def test_a_kill_costs_at_most_the_chunk_being_filled(victims: list[Victim], tmp_path: Path) -> None:
    """After kill -9 the database holds a playable prefix of the signal, to the last committed chunk.

    What is missing of what was written is the chunk being filled, shorter than a chunk and the encoder's
    look-ahead, and the chunks that the database had not taken yet: none, where it keeps up.
    Then `recover` closes the recording, so that the file checks itself, and `verify` finds nothing wrong.
    """
    left = []
    for victim in victims:
        left.append(_stored(victim, tmp_path))
        missing = victim.said.written - left[-1]
        print(f"kill {victim.number}: {victim.said}, missing {missing} frames = {missing / RATE:.3f} s")
    assert any(left), "every recorder died before its first commit, which proves nothing"
    assert any(victim.kept_up for victim in victims), "no database kept up, which proves little"
    assert [_recover(victim, tmp_path) for victim in victims] == left


def _stored(victim: Victim, tmp_path: Path) -> int:
    """Judges what a victim left, before anything of phonobase has touched it; returns the frames."""
    program = Program(victim.url)
    count = int(program.value("SELECT count(*) FROM phono_clips"))
    assert count <= 1
    stored = 0
    if count:
        assert program.value("SELECT state FROM phono_clips") == "recording"
        path = program.write_clip(tmp_path / f"{victim.number}.flac")
        assert not checks_md5(path), "an open recording has no MD5 yet"
        pcm = flac_pcm(path)
        assert pcm == SIGNAL_PCM[: len(pcm)]
        stored = len(pcm) // FRAME_BYTES
        assert stored % CHUNK == 0, "whole chunks only"
        assert int(program.value("SELECT frame_count FROM phono_recording")) == stored
        assert int(program.value("SELECT sum(frame_count) FROM phono_chunk")) == stored
    assert stored >= victim.said.committed, "what was said to be committed is gone"
    being_filled = victim.said.written - victim.said.cut
    assert being_filled <= CHUNK + LOOKAHEAD
    if victim.kept_up:
        assert victim.said.written - stored <= being_filled
    return stored


def _recover(victim: Victim, tmp_path: Path) -> int:
    """Recovers and verifies what a victim left; returns the frames."""
    program = Program(victim.url)
    before = [text.replace("-", "") for text in program.lines("SELECT id FROM phono_recording")]
    if victim.number:
        with Archive(victim.url) as archive:
            assert [recording.id.hex for recording in archive.recover()] == before
            assert [archive.verify(recording).faults for recording in before] == [()] * len(before)
            assert archive.recover() == []
    else:
        assert _phonobase("recover", victim.url).split() == before
        assert _phonobase("verify", victim.url).split()[:2] == ["ok", *before][:2]
    if not before:
        return 0
    assert program.value("SELECT state FROM phono_clips") == "interrupted"
    path = program.write_clip(tmp_path / f"{victim.number}-recovered.flac")
    assert checks_md5(path)
    pcm = flac_pcm(path)
    assert pcm == SIGNAL_PCM[: len(pcm)]
    return len(pcm) // FRAME_BYTES


def _phonobase(command: str, url: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.recorder.watched", "--db", url, command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _kill_all(urls: list[str]) -> list[Victim]:
    moments = random.Random(20_260_301)
    # From before the first commit to far behind it; the sleep moves the kill off the end of a block.
    plan = [(moments.randrange(1, 5 * RATE // 2), moments.uniform(0, 0.03)) for _ in urls]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(_record_and_kill, urls, *zip(*plan, strict=True)))
    return [Victim(number, url, last) for number, (url, last) in enumerate(zip(urls, said, strict=True))]


def _record_and_kill(url: str, until_written: int, then_wait_s: float) -> Said:
    """Records the signal in real time until so much of it is written, and kills the recorder."""
    command = [sys.executable, "-m", "tests.recorder.watched", "--db", url, "record", "--input", "-"]
    form = ["--samplerate", str(RATE), "--channels", str(CHANNELS), "--dtype", "int16", "--chunk", "0.2s"]
    with subprocess.Popen(
        [*command, *form],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as recorder:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        assert recorder.stderr is not None
        listening = threading.Event()
        fed = threading.Thread(target=_feed, args=[recorder, listening], daemon=True)
        fed.start()
        watchdog = threading.Timer(_PATIENCE_S, recorder.kill)
        watchdog.start()
        said = Said()
        for line in recorder.stdout:
            said = _parsed(line)
            listening.set()
            if said.written >= until_written:
                break
        time.sleep(then_wait_s)
        assert recorder.poll() is None, recorder.stderr.read().decode()
        recorder.send_signal(signal.SIGKILL)
        for line in recorder.stdout:  # what it said while the kill was on its way
            if line.endswith(b"\n"):
                said = _parsed(line)
        watchdog.cancel()
        listening.set()
        fed.join()
        assert recorder.wait() == -signal.SIGKILL, recorder.stderr.read().decode()
    assert said.written >= until_written
    return said


def _parsed(line: bytes) -> Said:
    return Said(*map(int, line.split()))


def _feed(recorder: subprocess.Popen[bytes], listening: threading.Event) -> None:
    """Writes the signal into a recorder's standard input, as fast as a device would once it is open."""
    assert recorder.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        for first in range(0, len(SIGNAL), BLOCK):
            recorder.stdin.write(SIGNAL_PCM[first * FRAME_BYTES : (first + BLOCK) * FRAME_BYTES])
            if not listening.is_set():
                listening.wait()
                began = time.monotonic()
            time.sleep(max(0.0, began + first / RATE - time.monotonic()))


def test_the_signal_tells_every_frame_from_every_other() -> None:
    """A prefix of the signal is one of no other place: no frame occurs at the start twice."""
    assert not (SIGNAL[1:] == SIGNAL[0]).all(axis=1).any()
    assert np.array_equal(np.frombuffer(SIGNAL_PCM, "<i2").reshape(-1, CHANNELS), SIGNAL)
