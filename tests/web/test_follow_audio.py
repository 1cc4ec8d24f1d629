"""Listening to what is being recorded: from about now on, as it is committed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase.web import listening
from phonobase.web.listening import Listening, TooSlow
from tests.store.judge import ffmpeg_pcm, flac_pcm, frames_of, random_pcm, wait_until
from tests.support.prs import assert_contiguous, locate, noise
from tests.support.pulse import SoundServer
from tests.support.require import require
from tests.web.asking import PATIENCE_S, asking

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient

    from phonobase import Archive
    from phonobase.store.writer import RecordingWriter

_RATE = 8_000
_AT_MOST_S = 3.0
_THREAD = "phonobase-listening"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits less for a recording that goes on."""
    monkeypatch.setattr(listening, "_GOES_ON_WITHIN_S", 1.5)


class Heard:
    """What comes of an answer, read in a thread of its own.

    Attributes:
        content: All that came.
        came: How much had come at which moment, by the wall clock.
        failed: Whether the connection broke.
    """

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer
        self.content = bytearray()
        self.came: list[tuple[float, int]] = []
        self.failed = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while piece := self.answer.read1(65536):
                self.content += piece
                self.came.append((time.time(), len(self.content)))
        except OSError:
            self.failed = True

    def wait(self) -> bytes:
        """Returns all that came once nothing comes any more."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return bytes(self.content)


@contextlib.contextmanager
def _listening(address: str, writer: RecordingWriter) -> Iterator[Heard]:
    with asking(f"{address}/api/recordings/{writer.id.hex}/audio?follow=1") as answer:
        assert answer.status == 200
        heard = Heard(answer)
        wait_until(lambda: len(heard.content) > 0)
        yield heard


def _write(writer: RecordingWriter, pcm: bytes, dtype: str = "int16", channels: int = 1) -> None:
    """Writes sound and waits until all of it is committed that fills a chunk."""
    writer.write(frames_of(pcm, channels, dtype))
    most = 3 * writer.new.format.sample_rate
    wait_until(lambda: writer.frames_committed > max(0, writer.frames_written - most))


@pytest.mark.parametrize(
    ("dtype", "channels", "suffix", "kind"),
    [
        ("int16", 1, "flac", "audio/flac"),
        ("int24", 2, "flac", "audio/flac"),
        ("float32", 2, "wav", "audio/wav"),
    ],
)
def test_as_it_comes(
    archive: Archive, address: str, tmp_path: Path, dtype: str, channels: int, suffix: str, kind: str
) -> None:
    """Every frame comes that is committed once somebody listens, once and in order, and then the end."""
    pcm = random_pcm(12 * _RATE, channels, dtype)
    second = len(pcm) // 12
    with archive.writer(_RATE, channels, dtype, chunk_seconds=1) as writer:
        _write(writer, pcm[: 3 * second], dtype, channels)
        with _listening(address, writer) as heard:
            assert heard.answer.headers["content-type"] == kind
            assert heard.answer.headers["cache-control"] == "no-store"
            assert "content-length" not in heard.answer.headers
            for place in range(3, 12):
                _write(writer, pcm[place * second : (place + 1) * second], dtype, channels)
            writer.close()
            content = heard.wait()
    path = tmp_path / f"live.{suffix}"
    path.write_bytes(content)
    came = ffmpeg_pcm(path, dtype)
    assert pcm.endswith(came)
    assert len(came) >= 9 * second
    if suffix == "flac":
        assert flac_pcm(path) == came


def test_from_about_now_on(archive: Archive, address: str, tmp_path: Path) -> None:
    """Of a recording that has been going on for long, only the end comes: a chunk, and a little more."""
    pcm = random_pcm(60 * _RATE, 1, "int16")
    began = datetime.now(UTC) - timedelta(seconds=60)
    with archive.writer(_RATE, started_at=began) as writer:
        _write(writer, pcm)
        with _listening(address, writer) as heard:
            writer.close()
            content = heard.wait()
    (tmp_path / "live.flac").write_bytes(content)
    came = flac_pcm(tmp_path / "live.flac")
    assert pcm.endswith(came)
    assert len(came) < 2 * _RATE * 2 * _AT_MOST_S


def test_it_goes_on(archive: Archive, address: str, tmp_path: Path) -> None:
    """Where a run goes on with another recording of the same format, so does the sound, without a break."""
    pcm = random_pcm(9 * _RATE, 1, "int16")
    third = len(pcm) // 3
    first = archive.writer(_RATE, chunk_seconds=1)
    _write(first, pcm[:third])
    run_id = first.new.run_id
    with _listening(address, first) as heard:
        for index in (1, 2):
            first.close()
            first = archive.writer(_RATE, chunk_seconds=1, run_id=run_id, run_index=index)
            _write(first, pcm[index * third : (index + 1) * third])
        first.close()
        content = heard.wait()
    (tmp_path / "live.flac").write_bytes(content)
    came = flac_pcm(tmp_path / "live.flac")
    assert pcm.endswith(came)
    assert len(came) >= 2 * third
    assert ffmpeg_pcm(tmp_path / "live.flac", "int16") == came


def test_another_format_ends_it(archive: Archive, address: str, tmp_path: Path) -> None:
    """Where a run goes on in another format, the sound ends."""
    pcm = random_pcm(4 * _RATE, 1, "int16")
    writer = archive.writer(_RATE, chunk_seconds=1)
    _write(writer, pcm)
    with _listening(address, writer) as heard:
        writer.close()
        with archive.writer(2 * _RATE, chunk_seconds=1, run_id=writer.new.run_id, run_index=1) as other:
            _write(other, pcm)
            content = heard.wait()
    (tmp_path / "live.flac").write_bytes(content)
    assert pcm.endswith(flac_pcm(tmp_path / "live.flac"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_follows(archive: Archive, client: TestClient, method: str) -> None:
    """A recording that is closed cannot be followed, which is said."""
    recording = archive.add(random_pcm(_RATE, 1, "int16"), _RATE)
    answer = client.request(method, f"/api/recordings/{recording.id.hex}/audio?follow=1")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


def test_head(archive: Archive, client: TestClient) -> None:
    """A HEAD says what would come, and waits for nothing."""
    with archive.writer(_RATE, chunk_seconds=1) as writer:
        _write(writer, random_pcm(3 * _RATE, 1, "int16"))
        answer = client.head(f"/api/recordings/{writer.id.hex}/audio?follow=1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/flac")
    assert answer.headers["accept-ranges"] == "none"


def test_many_who_wait(archive: Archive, address: str, tmp_path: Path) -> None:
    """Sixty who wait take no thread from who wants something at once, and all hear the same."""
    pcm = random_pcm(8 * _RATE, 1, "int16")
    with archive.writer(_RATE, chunk_seconds=1) as writer, contextlib.ExitStack() as listeners:
        _write(writer, pcm[: len(pcm) // 2])
        heard = [listeners.enter_context(_listening(address, writer)) for _ in range(60)]
        with asking(f"{address}/api/recordings/{writer.id.hex}/audio") as answer:
            assert len(answer.read()) == int(answer.headers["content-length"])
        # One of another test's application may not have noticed yet that nobody listens.
        wait_until(lambda: sum(thread.name == _THREAD for thread in threading.enumerate()) == 1)
        _write(writer, pcm[len(pcm) // 2 :])
        writer.close()
        contents = [one.wait() for one in heard]
    for number in (0, 59):
        (tmp_path / "live.flac").write_bytes(contents[number])
        came = flac_pcm(tmp_path / "live.flac")
        assert pcm.endswith(came)
        assert len(came) >= len(pcm) // 2


def test_whoever_goes(archive: Archive, address: str) -> None:
    """Once nobody listens any more, nobody asks the database."""
    with archive.writer(_RATE, chunk_seconds=1) as writer:
        _write(writer, random_pcm(3 * _RATE, 1, "int16"))
        with asking(f"{address}/api/recordings/{writer.id.hex}/audio?follow=1") as answer:
            answer.read(4)
            assert _THREAD in {thread.name for thread in threading.enumerate()}
        wait_until(lambda: _THREAD not in {thread.name for thread in threading.enumerate()})


def test_it_is_taken_back(archive: Archive, address: str) -> None:
    """The sound ends where its recording is taken back."""
    writer = archive.writer(_RATE, chunk_seconds=1)
    _write(writer, random_pcm(3 * _RATE, 1, "int16"))
    with _listening(address, writer) as heard:
        wait_until(lambda: len(heard.content) > _RATE)  # what was there has been fetched
        writer.discard()
        assert heard.wait().startswith(b"fLaC")


def test_who_takes_nothing(archive: Archive) -> None:
    """Whoever takes nothing for longer than half a minute of sound is left behind, and nothing piles up."""
    pcm = random_pcm(45 * _RATE, 1, "int16")
    with archive.writer(_RATE, chunk_seconds=1) as writer:
        _write(writer, pcm[: 6 * _RATE])
        recording = archive.get(writer.id)

        async def listen() -> None:
            sound = Listening(archive).listen(recording)
            async with contextlib.aclosing(sound):
                assert (await anext(sound)).startswith(b"fLaC")
                await asyncio.to_thread(_write, writer, pcm[6 * _RATE :])
                await asyncio.sleep(2)
                async for _ in sound:
                    pass

        with pytest.raises(TooSlow):
            asyncio.run(listen())


def test_from_the_sound_server(archive: Archive, address: str, tmp_path: Path) -> None:
    """What is played is heard through a recorder and the service, bit for bit, within three seconds."""
    rate, channels, seconds = 44_100, 2, 5
    played = noise(seconds * rate, channels)
    url = archive.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "phonobase", "--db", url, "record", "--samplerate", str(rate)]
    command += ["--channels", str(channels)]
    with (
        SoundServer(rate, channels) as server,
        subprocess.Popen(command, env=os.environ | server.env, stdout=subprocess.DEVNULL) as recorder,
    ):
        try:
            wait_until(lambda: bool(archive.find(limit=1)))
            recording = archive.find(limit=1)[0]
            with asking(f"{address}/api/recordings/{recording.id.hex}/audio?follow=1") as answer:
                heard = Heard(answer)
                server.play(played)
                time.sleep(_AT_MOST_S)
                recorder.send_signal(signal.SIGTERM)
                assert recorder.wait(PATIENCE_S) == 0
                content = heard.wait()
        finally:
            recorder.kill()
    (tmp_path / "live.flac").write_bytes(content)
    frames = np.frombuffer(flac_pcm(tmp_path / "live.flac"), "<i2").reshape(-1, channels)
    assert assert_contiguous(frames, played) <= 0  # it begins before the signal does
    assert len(frames) + locate(frames, played) >= len(played)
    closed = archive.get(recording.id)
    first = closed.frame_count - len(frames)
    ends = _ends(tmp_path / "live.flac")
    assert ends[-1] == (len(content), len(frames))
    for came_at, size in heard.came[2:]:
        there = max(frame for end, frame in ends if end <= size)
        newest = closed.started_at + timedelta(microseconds=closed.format.microseconds(first + there))
        assert came_at - newest.timestamp() <= _AT_MOST_S


def _ends(path: Path) -> list[tuple[int, int]]:
    """Returns where ffprobe finds the ends of FLAC frames: bytes, and samples a channel up to there."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "packet=pos,size,duration"]
    done = subprocess.run([require("ffprobe"), *command[1:], path], capture_output=True, check=True)
    ends, samples = [(0, 0)], 0
    for packet in json.loads(done.stdout)["packets"]:
        samples += int(packet["duration"])
        ends.append((int(packet["pos"]) + int(packet["size"]), samples))
    return ends
