"""What is left of uploads that are killed, hang, are broken off or find no room: nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.store.judge import Program, Raw, random_pcm, wait_until
from tests.web.mutants import RATE, bomb, wav
from tests.web.uploading import UploadServer, runs, upload_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024**2
SOUND = random_pcm(2_000, 1, "int16")
LONG_SOUND = random_pcm(600 * RATE, 4, "int16")
LONG = wav(LONG_SOUND, 4, "int16")
"""Long enough to be stored for a while."""


class Sending(threading.Thread):
    """Sends a file while something happens to who receives it."""

    def __init__(self, server: UploadServer, content: bytes) -> None:
        super().__init__()
        self._server, self._content = server, content
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        """Sends it, if who receives it lives."""
        with contextlib.suppress(httpx.TransportError):
            self.answer = self._server.post(self._content)

    def refused(self, status: int) -> str:
        """Returns why it was refused; fails where it was not."""
        self.join()
        assert self.answer is not None
        assert self.answer.status_code == status, self.answer.text
        detail: str = self.answer.json()["detail"]
        return detail


@contextlib.contextmanager
def _half_sent(server: UploadServer) -> Iterator[socket.socket]:
    """Sends half of a large form and waits until it has been received."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    url = server.client.base_url
    with socket.create_connection((url.host, url.port)) as line:
        line.sendall(
            b"POST /api/recordings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n"
            + head
            + LONG[: 4 * MIB]
        )
        wait_until(lambda: bool(server.unnamed_files()))
        yield line


def _storing(program: Program) -> bool:
    """Tells whether a part of an upload is in the archive."""
    return program.value("SELECT count(*) FROM phono_recording WHERE state = 'recording'") == "1"


def _recordings(program: Program) -> int:
    return int(program.value("SELECT count(*) FROM phono_recording"))


@pytest.fixture
def program(archive_url: str) -> Program:
    """The test's own archive through the database's own program."""
    return Program(archive_url)


@pytest.fixture
def server(archive_url: str, tmp_path: Path) -> Iterator[UploadServer]:
    """The test's own archive, served by a process of its own."""
    with upload_server(archive_url, tmp_path) as started:
        yield started


@pytest.fixture
def lone_server(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[UploadServer]:
    """An archive on SQLite, served by a process of its own."""
    with upload_server(migrated_sqlite_url, tmp_path) as started:
        yield started


def _assert_works(server: UploadServer) -> None:
    assert server.post(wav(SOUND, 1, "int16")).status_code == 201
    server.assert_idle()


def test_a_kill_while_a_file_comes(lone_server: UploadServer) -> None:
    """A file that was on its way to a server that was killed is nowhere, nor is what decodes files."""
    _assert_works(lone_server)
    decodes = lone_server.program()
    assert decodes is not None
    with _half_sent(lone_server):
        lone_server.process.kill()
        lone_server.process.wait()
    wait_until(lambda: not runs(decodes))
    assert list(lone_server.folder.iterdir()) == []


def test_a_kill_while_a_file_is_stored(
    server: UploadServer, program: Program, archive_url: str, tmp_path: Path
) -> None:
    """What a killed server leaves is open and marked; the next server takes it back as it begins."""
    sending = Sending(server, LONG)
    wait_until(lambda: _storing(program))
    decoders = [server.program(), *server.decoding()]
    server.process.kill()
    server.process.wait()
    sending.join()
    marked = "CAST(capture ->> 'whole_or_nothing' AS TEXT) IN ('true', '1')"
    assert program.lines(f"SELECT state FROM phono_recording WHERE {marked}") == ["recording"]
    wait_until(lambda: not any(each and runs(each) for each in decoders))
    assert list(server.folder.iterdir()) == []

    (tmp_path / "again").mkdir()
    with upload_server(archive_url, tmp_path / "again") as again:
        wait_until(lambda: _recordings(program) == 0)
        assert program.value("SELECT count(*) FROM phono_chunk") == "0"
        _assert_works(again)


def test_an_end_while_a_file_is_stored(server: UploadServer, program: Program) -> None:
    """What a server that is told to end has not stored to its end by then, it takes back."""
    sending = Sending(server, LONG)
    wait_until(lambda: _storing(program))
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    sending.join()
    assert set(program.lines("SELECT state, frame_count FROM phono_recording")) <= {f"complete|{600 * RATE}"}


def test_an_end_while_the_archive_is_busy(server: UploadServer, program: Program, raw: Raw) -> None:
    """Whoever sent it is cut off first; what is half stored is taken back even then."""
    sending = Sending(server, LONG)
    wait_until(lambda: _storing(program))
    raw.run("BEGIN IMMEDIATE" if raw.is_sqlite else "BEGIN")
    if not raw.is_sqlite:
        raw.run("LOCK TABLE phono_chunk IN EXCLUSIVE MODE")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(3)
    assert server.process.poll() is None
    raw.run("ROLLBACK")
    server.process.wait()
    sending.join()
    assert _recordings(program) == 0


@pytest.mark.parametrize("stored", [False, True], ids=["checked", "stored"])
def test_a_decoder_that_hangs(migrated_sqlite_url: str, tmp_path: Path, *, stored: bool) -> None:
    """It is waited for as long as the limit says, then killed; the file is refused and leaves nothing."""
    program = Program(migrated_sqlite_url)
    with upload_server(migrated_sqlite_url, tmp_path, upload_decode_seconds=2) as server:
        sending = Sending(server, LONG if stored else bomb(600))
        wait_until(lambda: bool(server.decoding()))
        if stored:
            wait_until(lambda: _storing(program))
        (decoder,) = server.decoding()
        os.kill(decoder, signal.SIGSTOP)
        assert "cannot be decoded" in sending.refused(422)
        server.assert_idle()
        assert _recordings(program) == 0
        _assert_works(server)


def test_a_decoder_that_is_killed(lone_server: UploadServer, migrated_sqlite_url: str) -> None:
    """Its file is refused and leaves nothing; the next one finds a decoder."""
    program = Program(migrated_sqlite_url)
    sending = Sending(lone_server, LONG)
    wait_until(lambda: _storing(program))
    (decoder,) = lone_server.decoding()
    os.kill(decoder, signal.SIGKILL)
    assert "cannot be decoded" in sending.refused(422)
    assert _recordings(program) == 0
    _assert_works(lone_server)


def test_what_decoders_come_from_is_killed(lone_server: UploadServer, migrated_sqlite_url: str) -> None:
    """The file that is being stored is stored to its end, and the next one finds a decoder again."""
    program = Program(migrated_sqlite_url)
    sending = Sending(lone_server, LONG)
    wait_until(lambda: _storing(program))
    (decoder,) = lone_server.decoding()
    origin = lone_server.program()
    assert origin is not None
    os.kill(origin, signal.SIGKILL)
    sending.join()
    assert sending.answer is not None
    assert sending.answer.json()["frame_count"] == 600 * RATE
    wait_until(lambda: not runs(decoder))
    _assert_works(lone_server)


def test_who_sends_goes_away(lone_server: UploadServer, migrated_sqlite_url: str) -> None:
    """Half a file whose other half will not come is let go of."""
    with _half_sent(lone_server):
        assert lone_server.unnamed_files()
    lone_server.assert_idle()
    assert _recordings(Program(migrated_sqlite_url)) == 0
    _assert_works(lone_server)


def test_a_file_has_no_name_while_it_comes(lone_server: UploadServer) -> None:
    """Nobody else can open it, and nothing is left to remove."""
    with _half_sent(lone_server):
        assert list(lone_server.folder.iterdir()) == []
        assert all(name.endswith("(deleted)") for name in lone_server.unnamed_files())


def test_no_room_for_a_file(lone_server: UploadServer, migrated_sqlite_url: str) -> None:
    """Where a file finds no room, who sent it is told so, and nothing is left."""
    _assert_works(lone_server)
    most = resource.prlimit(lone_server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(lone_server.process.pid, resource.RLIMIT_FSIZE, (2 * MIB, most[1]))
    answer = lone_server.post(LONG[: 8 * MIB])
    assert answer.status_code == 507, answer.text
    assert "there is no room here" in answer.json()["detail"]
    raw = {"source": "desk", "samplerate": str(RATE)}
    octets = {"Content-Type": "application/octet-stream"}
    answer = lone_server.client.post(
        "/api/recordings/pcm", params=raw, content=LONG[: 8 * MIB], headers=octets
    )
    assert answer.status_code == 507, answer.text
    resource.prlimit(lone_server.process.pid, resource.RLIMIT_FSIZE, most)
    lone_server.assert_idle()
    assert _recordings(Program(migrated_sqlite_url)) == 1
    _assert_works(lone_server)


def test_the_memory_of_a_bomb(lone_server: UploadServer) -> None:
    """What is five hundred times larger when it is decoded takes no more memory, though it is stored."""
    _assert_works(lone_server)
    before_kib = lone_server.memory_kib()
    content = bomb(600)
    decoded = 600 * RATE * 8 * 2
    assert decoded > 500 * len(content)
    assert lone_server.post(content).json()["frame_count"] == 600 * RATE
    lone_server.assert_idle()
    peaks = [int(line.split()[1]) for line in lone_server.log.read_text().splitlines()]
    assert (max(peaks) - min(peaks)) * 1024 < decoded / 2
    assert (lone_server.memory_kib() - before_kib) * 1024 < decoded / 2
