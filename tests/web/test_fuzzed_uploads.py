"""Thousands of files as nobody should send them; TORTURE=100 sends ten thousand."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from phonobase import Archive
from phonobase.recorder.decoding import DecodeLimits
from tests.store.judge import Program, ffmpeg_pcm, flac_pcm
from tests.support.require import require
from tests.web.mutants import Upload, upload
from tests.web.uploading import UploadServer, upload_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

UPLOADS = int(100 * float(os.environ.get("TORTURE", "1")))
AT_ONCE, MANY = 4, 1_000_000
REFUSED = {413, 415, 422}
LONGEST_S, MOST_PCM_BYTES = 60, 8 * 1024**2
KIB = 1024
RAW_FLAC = ("--force-raw-format", "--endian=little", "--sign=signed")
SERVER_GROWS_KIB = 96 * KIB
"""Four uploads at once, each with its chunks, its encoder and a connection of its own."""


def test_fuzzed_uploads(migrated_sqlite_url: str, tmp_path: Path) -> None:
    """None harms the server or leaves a trace; what is taken is stored whole, as other programs decode it."""
    limits = {
        "upload_seconds": LONGEST_S,
        "upload_pcm_bytes": MOST_PCM_BYTES,
        "requests_per_minute": MANY,
        "heavy_requests_per_minute": MANY,
    }
    with upload_server(migrated_sqlite_url, tmp_path, **limits) as server:
        _answers(server, range(AT_ONCE))
        before_kib = server.memory_kib()
        answers = _answers(server, range(AT_ONCE, AT_ONCE + UPLOADS))
        server.assert_idle()
        assert server.process.poll() is None
        grown_kib = server.memory_kib() - before_kib
        program = server.program()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() in {0, -signal.SIGTERM}
    assert program is not None
    assert not os.path.exists(f"/proc/{program}")  # noqa: PTH110 - a process

    peaks = [int(line.split()[1]) for line in server.log.read_text().splitlines()]
    said = Counter((kind, answer.status_code) for kind, answer in answers)
    print(*(f"{count} {kind}: {status}" for (kind, status), count in sorted(said.items())), sep="\n")
    print(f"the server grew by {grown_kib / KIB:.1f} MiB, a decoder took {max(peaks) / KIB:.1f} MiB at most")
    assert {status for _, status in said} <= REFUSED | {201}
    assert len(peaks) == UPLOADS + AT_ONCE
    assert max(peaks) * KIB < DecodeLimits().memory_bytes
    assert grown_kib < SERVER_GROWS_KIB
    _assert_stored(migrated_sqlite_url, tmp_path)


def _answers(server: UploadServer, numbers: range) -> list[tuple[str, httpx.Response]]:
    def send(number: int) -> tuple[str, httpx.Response]:
        sent = upload(number)
        answer = server.post(sent.content, title=str(number))
        if answer.status_code == 201:
            assert answer.json()["title"] == str(number)
        else:
            assert sent.pcm is None, answer.text
            assert "\n" not in answer.json()["detail"]
            with (server.folder.parent / "refused").open("a") as refused:
                refused.write(f"{number}\n")
        return sent.kind, answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(send, numbers))


def _assert_stored(url: str, folder: Path) -> None:
    """Fails unless what was not refused is there, whole, and holds what other programs decode from it."""
    program = Program(url)
    refused = set(map(int, (folder / "refused").read_text().split()))
    rows = [
        line.split("|")
        for line in program.lines("SELECT title, state, sample_format, id FROM phono_recording")
    ]
    assert {state for _, state, _, _ in rows} == {"complete"}
    assert sorted(int(title) for title, *_ in rows) == sorted(set(range(UPLOADS + AT_ONCE)) - refused)
    clips = folder / "clips"
    clips.mkdir()
    program.lines(f"SELECT writefile('{clips}/' || title, audio) FROM phono_clips")
    with Archive(url) as archive:
        assert all(archive.verify(identity).ok for *_, identity in rows)
    with ThreadPoolExecutor(2) as pool:
        judged = pool.map(lambda row: _judge(upload(int(row[0])), row[2], clips / row[0]), rows)
        print(Counter(judged))


def _judge(sent: Upload, dtype: str, clip: Path) -> str:
    """Fails unless a clip holds the sound of the file that was sent; returns who says so."""
    stored = flac_pcm(clip) if clip.read_bytes()[:4] == b"fLaC" else ffmpeg_pcm(clip, dtype)
    if sent.pcm is not None:
        assert (dtype, stored) == (sent.dtype, sent.pcm), sent.number
        return "exact"
    path = clip.with_suffix(".sent")
    path.write_bytes(sent.content)
    if sent.content[:4] not in {b"RIFF", b"RF64", b"FORM", b"fLaC"}:
        return "lossy"
    raw = {"int16": "s16le", "int24": "s24le", "int32": "s32le", "float32": "f32le"}[dtype]
    decoders = {
        "flac": [require("flac"), "--decode", "--silent", "--stdout", *RAW_FLAC, str(path)],
        "ffmpeg": [require("ffmpeg"), "-v", "error", "-i", str(path), "-f", raw, "-c:a", f"pcm_{raw}", "-"],
    }
    if sent.content[:4] != b"fLaC":
        del decoders["flac"]
    for name, command in decoders.items():
        decoded = subprocess.run(command, capture_output=True, check=False)
        if decoded.returncode == 0 and not decoded.stderr:
            assert stored == decoded.stdout, sent.number
            return name
    # Its header is such that neither takes it, as one that lies about the rate; its samples are there.
    if sent.content[:4] == b"fLaC":
        assert hashlib.md5(stored).digest() == sent.content[26:42], sent.number
    else:
        width = int(dtype.removeprefix("int").removeprefix("float")) // 8
        big_endian = np.frombuffer(stored, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
        assert stored in sent.content or big_endian in sent.content, sent.number
    return "bytes"
