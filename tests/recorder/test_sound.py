"""From a sound server into the database and back."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonobase import Archive
from phonobase.store.recording import State
from tests.support.prs import assert_contiguous, noise
from tests.support.pulse import SoundServer

_RATE, _CHANNELS, _SECONDS = 44_100, 2, 6
_PATIENCE_S = 60
_LATENCY_S = 2
_BURN = [sys.executable, "-c", "while True: sum(range(1000))"]


@contextlib.contextmanager
def _load(processes: int) -> Iterator[None]:
    """Keep so many cores busy."""
    busy = [subprocess.Popen(_BURN) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _recording(url: str, server: SoundServer, burners: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the recorder until the block ends, which is when the first chunk is already stored."""
    program = [sys.executable, str(Path(__file__).with_name("burning.py")), str(burners)]
    settings = ["--samplerate", str(_RATE), "--channels", str(_CHANNELS), "--chunk", "0.5s"]
    with (
        Archive(url) as archive,
        subprocess.Popen(
            [*program, "--db", url, "record", *settings],
            env={**os.environ, **server.env},
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            due = time.monotonic() + _PATIENCE_S
            while not archive.find():
                assert process.poll() is None
                assert time.monotonic() < due
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("burners", "busy_cores"), [(0, 0), (4, 2)], ids=["idle machine", "busy threads and cores"]
)
def test_what_is_played_lies_in_the_database(archive_url: str, burners: int, busy_cores: int) -> None:
    """Every frame that is played is read back once, in order and unaltered, however busy the machine is."""
    played = noise(_SECONDS * _RATE, _CHANNELS)
    with SoundServer(_RATE, _CHANNELS) as server:
        with _recording(archive_url, server, burners) as process, _load(busy_cores):
            process.send_signal(signal.SIGUSR1)
            server.play(played)
            time.sleep(_LATENCY_S)
            process.send_signal(signal.SIGTERM)
            assert process.wait(_PATIENCE_S) == 0
        with Archive(archive_url) as archive:
            (recording,) = archive.find()
            heard = archive.read(recording.id)
            verified = archive.verify(recording.id)

    assert assert_contiguous(heard, played) <= 0  # it begins before the signal does
    assert len(heard) + assert_contiguous(heard, played) >= len(played)  # and ends after it
    assert recording.state is State.COMPLETE
    assert verified.ok
