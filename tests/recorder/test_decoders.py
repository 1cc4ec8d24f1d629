"""The program that files are decoded by, where it does not reply in time."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from phonobase.pcm import to_bytes
from phonobase.recorder import decoders, decoding
from phonobase.recorder.decoders import Decoders
from tests.store.judge import wait_until
from tests.web.uploading import children, runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = 8_000
SAMPLES = np.tile(np.arange(RATE, dtype=np.int16), 60)
"""More than a pipe holds, so that who decodes them waits for who takes them."""
WITHIN_S = 30


@pytest.fixture
def ours() -> Iterator[Decoders]:
    """What decodes, and is closed at the end."""
    opened = Decoders()
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A minute of sound."""
    path = tmp_path / "sound.wav"
    content = io.BytesIO()
    soundfile.write(content, SAMPLES, RATE, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())
    return path


def _decoded(ours: Decoders, path: Path) -> bytes:
    with path.open("rb") as opened, ours.decode(opened.fileno()) as sound:
        return b"".join(bytes(to_bytes(block, sound.format.sample_format)) for block in sound.blocks())


def _new_child(before: set[int]) -> int:
    (pid,) = set(children(os.getpid())) - before
    return pid


@pytest.mark.parametrize("when", ["before a file", "within one"])
def test_a_program_that_does_not_reply_is_not_asked_again(
    ours: Decoders, file: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It is killed, with what it started, and another one decodes: no late reply is taken for the next."""
    before = set(children(os.getpid()))
    assert _decoded(ours, file) == SAMPLES.tobytes()
    program = _new_child(before)
    if when == "before a file":
        os.kill(program, signal.SIGSTOP)
        monkeypatch.setattr(decoders, "_PROGRAM_PATIENCE_S", 5.0)  # another one starts within it
        assert _decoded(ours, file) == SAMPLES.tobytes()
    else:
        with file.open("rb") as opened, ours.decode(opened.fileno()):
            started = children(program)
            os.kill(program, signal.SIGSTOP)
            monkeypatch.setattr(decoders, "_PROGRAM_PATIENCE_S", 0.2)
        monkeypatch.undo()
        assert len(started) == 1
        wait_until(lambda: not runs(started[0]))
    assert not runs(program)
    for _ in range(2):
        assert _decoded(ours, file) == SAMPLES.tobytes()
    assert _new_child(before) != program


def test_no_process_is_ended_that_it_did_not_start() -> None:
    """Asked to end another one, it ends itself."""
    orders, theirs = socket.socketpair()
    limits = [str(each) for each in astuple(decoding.DecodeLimits())]
    with (
        orders,
        subprocess.Popen(["sleep", "60"]) as other,
        theirs,
        subprocess.Popen(
            [sys.executable, "-P", decoding.__file__, *limits], stdin=theirs.fileno()
        ) as program,
    ):
        number = decoding.NUMBER.pack(1)
        orders.sendall(decoding.END + number + decoding.PID.pack(other.pid))
        assert program.wait(WITHIN_S) == 0
        assert other.poll() is None
        other.kill()
