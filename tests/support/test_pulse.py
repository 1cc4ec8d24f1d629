import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.support.prs import Frames, assert_contiguous, noise
from tests.support.pulse import Format, SoundServer

LATENCY = 0.5


def record_what_is_played(
    server: SoundServer,
    signal: Frames,
    path: Path,
    *,
    device: str = "default",
    busy_threads: int = 0,
) -> Frames:
    """Plays a signal to a recording process and returns what that heard."""
    command = [
        *(sys.executable, str(Path(__file__).with_name("raw_recorder.py"))),
        f"--rate={server.rate}",
        f"--channels={server.channels}",
        f"--dtype={signal.dtype.name}",
        f"--device={device}",
        f"--latency={LATENCY}",
        f"--busy-threads={busy_threads}",
    ]
    with (
        path.open("wb") as file,
        subprocess.Popen(
            command, env=os.environ | server.env, stdout=file, stderr=subprocess.PIPE, text=True
        ) as recorder,
    ):
        assert recorder.stderr is not None
        assert recorder.stderr.readline() == "recording\n"
        server.play(signal)
        time.sleep(2 * LATENCY)
        recorder.terminate()
    assert recorder.returncode == 0
    return np.fromfile(path, signal.dtype).reshape(-1, server.channels)


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps that many cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("device", ["default", "pulse"])
def test_what_is_played_is_heard(sound: SoundServer, tmp_path: Path, device: str) -> None:
    """Both inputs hear every frame that is played, once and unaltered."""
    signal = noise(2 * sound.rate, sound.channels)
    recorded = record_what_is_played(sound, signal, tmp_path / "recorded", device=device)
    assert assert_contiguous(recorded, signal) <= 0


def test_what_is_played_is_heard_on_a_busy_machine(sound: SoundServer, tmp_path: Path) -> None:
    """Neither busy cores nor busy threads beside the recording cost a frame."""
    signal = noise(4 * sound.rate, sound.channels)
    with busy_processes(2 * (os.cpu_count() or 1)):
        recorded = record_what_is_played(sound, signal, tmp_path / "recorded", busy_threads=4)
    assert assert_contiguous(recorded, signal) <= 0


@pytest.mark.parametrize(
    ("rate", "channels", "sink_format", "dtype"),
    [
        (48_000, 1, "s32le", "int32"),
        (44_100, 1, "float32le", "float32"),
        (16_000, 8, "s16le", "int16"),
    ],
)
def test_every_format_passes_unaltered(
    tmp_path: Path,
    rate: int,
    channels: int,
    sink_format: Format,
    dtype: Literal["int16", "int32", "float32"],
) -> None:
    """Wide samples and many channels come back bit for bit."""
    signal = noise(rate, channels, dtype=dtype)
    with SoundServer(rate, channels, sink_format) as server:
        recorded = record_what_is_played(server, signal, tmp_path / "recorded")
    assert assert_contiguous(recorded, signal) <= 0


def test_a_killed_server_comes_back(own_sound: SoundServer, tmp_path: Path) -> None:
    """After a crash and a new start, the server works at the same address."""
    own_sound.kill()
    own_sound.start()
    signal = noise(own_sound.rate, own_sound.channels)
    recorded = record_what_is_played(own_sound, signal, tmp_path / "recorded")
    assert assert_contiguous(recorded, signal) <= 0


def test_a_new_sink_becomes_the_input(own_sound: SoundServer) -> None:
    """What another sink plays is what the default input hears."""
    own_sound.load_sink("microphone", 8000, 1)
    assert own_sound.pactl("get-default-source") == "microphone.monitor\n"
    own_sound.play(noise(800), sink="microphone", rate=8000)
