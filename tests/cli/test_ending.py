from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import sqlite3
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from phonobase import Archive, State
from tests.cli.program import PATIENCE_S, PROGRAM, Program, finished, heed_ctrl_c
from tests.store.judge import flac_test
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _wait_for(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S} s"
        time.sleep(0.05)


def _committed(url: str) -> int:
    """Returns how many chunks are in an archive, which may not be there yet."""
    with Archive(url) as archive:
        return sum(recording.chunk_count for recording in archive.find())


def _record_until_committed(phonobase: Program, chunks: int = 2) -> subprocess.Popen[bytes]:
    process = phonobase.start("record", "--input", "tone", "--chunk", "0.2")
    _wait_for("the first commits", lambda: _committed(phonobase.url) >= chunks)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_recording_cleanly(phonobase_on_both: Program, number: signal.Signals) -> None:
    """Ctrl-C, and what a service manager sends, leave a complete and playable recording, and exit 0."""
    phonobase = phonobase_on_both
    process = _record_until_committed(phonobase)

    process.send_signal(number)
    said = finished(process).ok()

    recording = phonobase.one()
    assert said.text == recording.id.hex
    assert recording.state is State.COMPLETE
    phonobase("export", "last", "-o", "clip.flac").ok()
    assert "cannot check MD5" not in flac_test(phonobase.folder / "clip.flac")
    phonobase("verify").ok()


def test_a_signal_ends_waiting_for_a_pipe(phonobase: Program) -> None:
    """Whoever stops listening to a pipe that has gone quiet keeps what came."""
    described = ("--samplerate", "8000", "--channels", "1", "--dtype", "int16")
    process = phonobase.start("record", "--input", "-", "--chunk", "0.5", *described, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(bytes(2 * 16_000))
    process.stdin.flush()
    _wait_for("the first commit", lambda: _committed(phonobase.url) >= 1)

    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)  # before the pipe is closed, which would end it too
    finished(process).ok()

    assert (phonobase.one().frame_count, phonobase.one().state) == (16_000, State.COMPLETE)


def test_a_signal_before_anything_came_stores_nothing(phonobase: Program) -> None:
    """Whoever waits for the header of a pipe and gives up has recorded nothing, and no archive was made."""
    process = phonobase.start("record", "--input", "-", stdin=subprocess.PIPE)
    pipe = process.stdin
    assert pipe is not None
    pipe.write(b"RIFF")
    pipe.flush()
    unread = bytearray(4)
    _wait_for("reading", lambda: fcntl.ioctl(pipe, termios.FIONREAD, unread) == 0 and not any(unread))

    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)  # before the pipe is closed, which would end it too
    said = finished(process)

    assert (said.code, said.err.strip()) == (130, "phonobase: stopped")
    assert phonobase.recordings() == []


def test_a_killed_recording_is_recovered(phonobase_on_both: Program) -> None:
    """After kill -9 every committed chunk is there; recover closes the recording, and all of it verifies."""
    phonobase = phonobase_on_both
    process = _record_until_committed(phonobase, chunks=3)
    assert "left alone" in phonobase("recover").ok().err

    process.kill()
    process.communicate()
    before = phonobase.one()
    phonobase("export", "last", "-o", "before.flac").ok()
    flac_test(phonobase.folder / "before.flac")
    said = phonobase("recover").ok()

    after = phonobase.one()
    assert said.text == after.id.hex
    assert (before.state, after.state) == (State.RECORDING, State.INTERRUPTED)
    assert (before.frame_count, before.chain_head) == (after.frame_count, after.chain_head)
    assert after.chunk_count >= 3
    assert "1 recording is as it was recorded" in phonobase("verify").ok().err
    phonobase("export", "last", "-o", "after.flac").ok()
    assert "cannot check MD5" not in flac_test(phonobase.folder / "after.flac")
    assert "nothing to recover" in phonobase("recover").ok().err


def test_an_open_recording_is_listed_shown_and_exported(phonobase: Program) -> None:
    """While it is recorded, a recording can be seen, verified so far, and exported as a playable file."""
    process = _record_until_committed(phonobase)
    try:
        assert phonobase("list", "--json").ok().json[0]["state"] == "recording"
        assert "not closed yet" in phonobase("show", "last").ok().text
        assert "so far" in phonobase("verify").ok().text
        phonobase("export", "last", "-o", "open.flac").ok()
        subprocess.run(
            [require("ffmpeg"), "-v", "error", "-i", phonobase.folder / "open.flac", "-f", "null", "-"],
            check=True,
        )
    finally:
        process.terminate()
        finished(process).ok()


def test_on_a_terminal_a_meter_shows_the_level(phonobase: Program) -> None:
    """The meter is drawn on the terminal that standard error is, and wiped at the end."""
    screen, terminal = pty.openpty()
    process = phonobase.start("record", "--input", "tone", "--duration", "1", stderr=terminal)
    os.close(terminal)

    drawn = _everything_from(screen)
    said = finished(process)

    assert (said.code, said.text) == (0, phonobase.one().id.hex)
    assert "default  0:00:0" in drawn
    assert "█" in drawn
    assert "-12.0 dBFS" in drawn
    assert drawn.rstrip().endswith("complete: 0:00:01.000 (44100 frames, 1 chunk)")


def test_ctrl_c_on_a_terminal_ends_a_recording(phonobase: Program) -> None:
    """The key itself, typed into the terminal that the program runs on, ends the recording cleanly."""
    child, screen = pty.fork()
    if child == 0:  # pragma: no cover - another program from here on
        heed_ctrl_c()
        os.chdir(phonobase.folder)
        os.execve(
            PROGRAM,
            [PROGRAM, "record", "--input", "tone", "--chunk", "0.2"],
            {**os.environ, **phonobase.env},
        )
    _wait_for("the first commits", lambda: _committed(phonobase.url) >= 2)

    os.write(screen, b"\x03")
    drawn = _everything_from(screen)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert phonobase.one().state is State.COMPLETE
    assert phonobase.one().id.hex in drawn


@pytest.fixture(scope="module")
def long_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes a while: an hour of silence."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.zeros((3_600 * 48_000, 1), np.int16), 48_000)
    return path


@pytest.mark.parametrize("encoding", ["flac", "pcm"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_an_import_back(
    phonobase_on_both: Program, number: signal.Signals, encoding: str, long_wav: Path
) -> None:
    """A file is stored whole or not at all, also where somebody changes their mind."""
    phonobase = phonobase_on_both
    process = phonobase.start("import", long_wav, "--encoding", encoding)
    _wait_for("the first commits", lambda: _committed(phonobase.url) >= 2)

    process.send_signal(number)
    said = finished(process)

    assert (said.code, said.out, said.err.strip()) == (130, b"", "phonobase: stopped")
    assert phonobase.recordings() == []


@pytest.mark.parametrize("stored", ["flac", "pcm"])
def test_a_signal_takes_an_export_back(phonobase: Program, folder: Path, stored: str, long_wav: Path) -> None:
    """A file that is not whole does not stay, whether it is copied or decoded."""
    phonobase("import", long_wav, "--encoding", stored).ok()
    process = phonobase.start("export", "last", "-o", "clip.wav")
    _wait_for("the first bytes", lambda: any(path.stat().st_size for path in folder.iterdir()))

    process.send_signal(signal.SIGTERM)
    said = finished(process)

    assert (said.code, said.err.strip()) == (130, "phonobase: stopped")
    assert list(folder.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error_to_speak_of(recorded: Program, folder: Path) -> None:
    """Where what reads the output ends first, as head does, nothing is said about it."""
    for _ in range(3):
        recorded("record", "--input", "tone", "--no-realtime", "--duration", "20").ok()
    process = recorded.start("export", "last", "-o", "-")
    assert process.stdout is not None
    assert process.stdout.read(4) == b"fLaC"
    process.stdout.close()

    process.wait(PATIENCE_S)

    assert process.stderr is not None
    with contextlib.closing(process.stderr):
        assert process.stderr.read() == b""
    assert process.returncode == 1
    assert list(folder.iterdir()) == []


def test_a_locked_archive_is_waited_for(phonobase: Program) -> None:
    """A recorder waits while another program writes to the SQLite file, and loses nothing."""
    phonobase("record", "--input", "tone", "--no-realtime", "--duration", "0.1").ok()
    other = sqlite3.connect(phonobase.url.removeprefix("sqlite:///"), isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        process = phonobase.start("record", "--input", "tone", "--duration", "2", "--chunk", "0.2")
        time.sleep(4)
        other.execute("COMMIT")

    finished(process).ok()

    assert phonobase.recordings()[-1].frame_count == 88_200


def _everything_from(screen: int) -> str:
    """Reads a terminal until the last program on it has ended, which is an error on Linux."""
    drawn = b""
    with contextlib.suppress(OSError):
        while data := os.read(screen, 65_536):
            drawn += data
    os.close(screen)
    return drawn.decode(errors="replace")
