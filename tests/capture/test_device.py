import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phonobase.pcm import AudioFormat, SampleFormat, from_bytes
from tests.support.prs import Frames, assert_contiguous, noise
from tests.support.pulse import Format, SoundServer

RATE = 44_100
CHANNELS = 2
SECONDS = 5
BOUND_S = 20
LATENCY_S = 1
STALL_S = 6


class Hearing:
    """A process that records from a sound server, and what it says."""

    def __init__(
        self, env: Mapping[str, str], to: Path, sample_format: str, device: str, burners: int
    ) -> None:
        self._to, self._format = to, AudioFormat(RATE, CHANNELS, SampleFormat(sample_format))
        program = Path(__file__).with_name("hear.py")
        arguments = [str(RATE), str(CHANNELS), sample_format, device, str(burners), str(to)]
        self.process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "hearing\n"

    def end(self) -> tuple[Frames, dict[str, Any]]:
        """Stops it, and returns the frames it heard and its report."""
        time.sleep(LATENCY_S)
        out, _ = self.process.communicate("stop\n", timeout=2 * BOUND_S)
        assert self.process.returncode == 0
        return from_bytes(self._to.read_bytes(), self._format), json.loads(out)

    def wait(self) -> tuple[Frames, dict[str, Any]]:
        """Waits until it ends by itself, and returns the frames it heard and its report."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert self.process.wait(BOUND_S) == 0
        return from_bytes(self._to.read_bytes(), self._format), json.loads(line)


Hear = Callable[..., Hearing]


@pytest.fixture
def hear(tmp_path: Path) -> Iterator[Hear]:
    """Starts recording from a sound server, and ends what a failed test left behind."""
    started: list[Hearing] = []

    def start(
        server: SoundServer, sample_format: str = "int16", device: str = "", burners: int = 0
    ) -> Hearing:
        to = tmp_path / f"heard-{len(started)}"
        started.append(Hearing(server.env, to, sample_format, device, burners))
        return started[-1]

    yield start
    for hearing in started:
        hearing.process.kill()
        hearing.process.communicate()


def test_what_is_played_comes_back_bit_exact(hear: Hear) -> None:
    """Every int16 frame that is played is heard once, in order and unaltered."""
    signal_ = noise(SECONDS * RATE, CHANNELS)
    with SoundServer(RATE, CHANNELS) as server:
        hearing = hear(server)
        server.play(signal_)
        heard, report = hearing.end()
    _assert_whole(heard, signal_)
    assert (report["error"], report["overflows"]) == ("", 0)


@pytest.mark.parametrize("sample_format", ["int24", "int32", "float32"])
def test_every_sample_format_comes_back_bit_exact(hear: Hear, sample_format: str) -> None:
    """24 bits are heard left-justified, 32 bits and floats as they are."""
    signal_ = noise(3 * RATE, CHANNELS, dtype="float32" if sample_format == "float32" else "int32")
    if sample_format == "int24":
        signal_ = signal_ & np.int32(-256)
    server_format: Format = "float32le" if sample_format == "float32" else "s32le"
    with SoundServer(RATE, CHANNELS, server_format) as server:
        hearing = hear(server, sample_format)
        server.play(signal_)
        heard, _ = hearing.end()
    _assert_whole(heard, signal_)


def test_nothing_is_lost_while_the_machine_is_busy(hear: Hear) -> None:
    """Four Python threads beside the recorder and a busy process on each core cost no frame."""
    signal_ = noise(SECONDS * RATE, CHANNELS)
    burn = [sys.executable, "-c", "while True: sum(range(1000))"]
    with SoundServer(RATE, CHANNELS) as server:
        load = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 1)]
        try:
            hearing = hear(server, burners=4)
            server.play(signal_)
            heard, report = hearing.end()
        finally:
            for process in load:
                process.kill()
                process.wait()
    _assert_whole(heard, signal_)
    assert report["overflows"] == 0


def test_blocks_carry_the_time_they_were_captured_at(hear: Hear) -> None:
    """The times begin with the recording, never go back, and keep step with the frames."""
    with SoundServer(RATE, CHANNELS) as server:
        hearing = hear(server)
        time.sleep(3)
        _, report = hearing.end()
    times = [captured_at_us for captured_at_us, _ in report["blocks"]]
    frames = [count for _, count in report["blocks"]]
    assert times == sorted(times)
    assert abs(times[0] - report["began_us"]) < 5_000_000
    assert abs((times[-1] - times[0]) / 1e6 - sum(frames[:-1]) / RATE) < 1


def test_a_device_is_found_by_a_part_of_its_name(hear: Hear) -> None:
    """A part of the name in any case is enough, and the archive gets the whole name."""
    with SoundServer(RATE, CHANNELS) as server:
        _, report = hear(server, device="PUL").end()
    description = report["description"]
    assert (description["input"], description["device"]) == ("device", "pulse")
    assert description["host_api"] == "ALSA"
    assert description["portaudio"].startswith("PortAudio V19")
    assert description["latency_s"] == pytest.approx(0.5, abs=0.1)


def test_a_killed_sound_server_is_a_lost_device(hear: Hear) -> None:
    """DeviceLost comes within bounded time, after all frames that were heard before."""
    signal_ = noise(SECONDS * RATE, CHANNELS)
    with SoundServer(RATE, CHANNELS) as server:
        hearing = hear(server)
        player = server.play_async(signal_)
        time.sleep(4)
        server.kill()
        began = time.monotonic()
        heard, report = hearing.wait()
        took_s = time.monotonic() - began
        player.wait()
    assert report["error"].startswith("DeviceLost: default (ALSA) stopped giving sound: ")
    assert len(heard) == sum(count for _, count in report["blocks"])
    assert_contiguous(heard, signal_)
    assert np.flatnonzero(heard.any(axis=1)).size > RATE // 2
    assert took_s < BOUND_S


def test_a_hanging_sound_server_is_a_lost_device(hear: Hear) -> None:
    """A server that says nothing more, as if its machine slept, ends the recording and the process."""
    with SoundServer(RATE, CHANNELS) as server:
        hearing = hear(server)
        time.sleep(3)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            heard, report = hearing.wait()
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert report["error"] == (
        f"DeviceLost: default (ALSA) has given no sound for {STALL_S} s; "
        "reconnect it, or restart the sound server"
    )
    assert len(heard) == sum(count for _, count in report["blocks"])
    assert report["closing_s"] < BOUND_S


def test_a_device_that_comes_and_goes_leaves_nothing_behind() -> None:
    """A process that loses the server and opens it again and again keeps no thread and no file of that."""
    script = f"""
import os, sys
from phonobase.capture import DeviceInput
from phonobase.errors import CaptureError
from phonobase.pcm import AudioFormat
while True:
    try:
        source = DeviceInput(AudioFormat({RATE}, 1))
        for number, _ in enumerate(source.blocks()):
            if number == 0:
                print(len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")), flush=True)
        break
    except CaptureError:
        if "source" in globals():
            source.close()
"""
    held = []
    with SoundServer(RATE, CHANNELS) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, **server.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # PortAudio complains there of its loss
            text=True,
        )
        assert process.stdout is not None
        try:
            for _ in range(6):
                held.append(process.stdout.readline())
                server.kill()
                server.start()
        finally:
            process.kill()
            process.communicate()
    assert len(held[0].split()) == 2
    assert held[1:] == held[1:2] * 5


def _assert_whole(heard: Frames, played: Frames) -> None:
    silence = -assert_contiguous(heard, played)
    assert silence >= 0
    assert len(heard) >= silence + len(played)
