"""Other people's programs read the same addresses: ffmpeg and curl."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.store.judge import flac_pcm, frames_of, random_pcm, wait_until
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

    from phonobase import Archive
    from tests.store.judge import Program

RATE = 8_000
_RAW = {"int16": "s16le", "int24": "s24le", "float32": "f32le"}
_PATIENCE_S = 60


def _run(program: str, *arguments: object) -> bytes:
    command = [require(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("dtype", "channels", "encoding"), [("int16", 1, "flac"), ("int24", 2, "flac"), ("float32", 2, "pcm")]
)
def test_ffmpeg(archive: Archive, address: str, dtype: str, channels: int, encoding: str) -> None:
    """Whole, and from any point that ffmpeg seeks to, it decodes to the samples that went in."""
    seconds = 30
    pcm = random_pcm(seconds * RATE, channels, dtype)
    recording = archive.add(pcm, RATE, channels, dtype, encoding=encoding)
    url = f"{address}/api/recordings/{recording.id.hex}/audio"
    raw = ("-f", _RAW[dtype], "-c:a", f"pcm_{_RAW[dtype]}", "-")
    assert _run("ffmpeg", "-v", "error", "-i", url, *raw) == pcm
    frame = len(pcm) // (seconds * RATE)
    for place in (3, 17.5, 29):
        sought = _run("ffmpeg", "-v", "error", "-ss", place, "-i", url, *raw)
        assert sought == pcm[int(place * RATE) * frame :]


def test_a_download_is_resumed(archive: Archive, address: str, tmp_path: Path) -> None:
    """A download that was cut off in the middle goes on there, and is the same file."""
    recording = archive.add(random_pcm(60 * RATE, 1, "int16"), RATE)
    url = f"{address}/api/recordings/{recording.id.hex}/audio?download=1"
    whole = _run("curl", "-sS", url)
    path = tmp_path / "file.flac"
    for size in (1, 65_537, len(whole) - 1):
        path.write_bytes(whole[:size])
        code = _run("curl", "-sS", "-C", "-", "-o", path, "-w", "%{http_code} %{size_download}", url)
        assert code.split() == [b"206", str(len(whole) - size).encode()]
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(whole).digest()
    with archive.open(recording.id) as file:
        assert file.read() == whole


def test_what_changed_is_not_joined(archive: Archive, address: str, tmp_path: Path) -> None:
    """A download that goes on by the tag of a recording that has changed meanwhile begins anew."""
    pcm = random_pcm(12 * RATE, 1, "int16")
    frames = frames_of(pcm, 1, "int16")
    path, headers = tmp_path / "file.flac", tmp_path / "headers"
    with archive.writer(RATE, chunk_seconds=1) as writer:
        writer.write(frames[: 6 * RATE])
        wait_until(lambda: writer.frames_committed > 4 * RATE)
        url = f"{address}/api/recordings/{writer.id.hex}/audio"
        begun = _run("curl", "-sS", "-D", headers, url)
        lines = headers.read_text().lower().splitlines()
        (tag,) = [line.partition(": ")[2] for line in lines if line.startswith("etag")]
        writer.write(frames[6 * RATE :])
    resume = ("-H", f"Range: bytes={len(begun) // 2}-", "-H", f"If-Range: {tag}")
    path.write_bytes(_run("curl", "-sS", *resume, url))
    assert flac_pcm(path) == pcm
    assert path.read_bytes()[: len(begun) // 2] != begun[: len(begun) // 2]
    done = subprocess.run(
        [require("curl"), "-sS", "-w", "%{http_code}", "-o", "-", "-H", f"If-Match: {tag}", url],
        capture_output=True,
        check=True,
    )
    assert done.stdout.endswith(b"412")


def test_ffmpeg_listens(archive: Archive, address: str, program: Program) -> None:
    """A recording that is being made is heard by ffmpeg, which ends when it does."""
    pcm = random_pcm(12 * RATE, 1, "int16")
    frames = frames_of(pcm, 1, "int16")
    with archive.writer(RATE, chunk_seconds=1) as writer:
        writer.write(frames[: 4 * RATE])
        wait_until(lambda: writer.frames_committed > 2 * RATE)
        url = f"{address}/api/recordings/{writer.id.hex}/audio?follow=1"
        command = [require("ffmpeg"), "-v", "error", "-i", url, "-f", "s16le", "-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as player:
            wait_until(lambda: bool(program.lines("SELECT id FROM phono_event WHERE status = 200")))
            writer.write(frames[4 * RATE :])
            writer.close()
            heard, _ = player.communicate(timeout=_PATIENCE_S)
    assert player.returncode == 0
    assert pcm.endswith(heard)
    assert len(heard) >= 2 * 8 * RATE
