from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import soundfile
from sqlalchemy import exc

from phonobase import Archive
from tests.store.judge import Program, flac_pcm, frames_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PCM = random_pcm(24_000, 2, "int16")
COUNTS = "SELECT (SELECT count(*) FROM django_cases_case), (SELECT count(*) FROM phono_audio)"


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database: the program makes all tables itself."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def program(url: str) -> Program:
    """The help desk's database through the database's own program."""
    return Program(url)


def _manage(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.django_cases", *arguments],
        env=os.environ | {"PHONOBASE_DB": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """The help desk, running by Django's own server, on a database that it migrated."""
    _manage(url, "migrate")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "examples.django_cases", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with (
        subprocess.Popen(
            command,
            env=os.environ | {"PHONOBASE_DB": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            _wait_for(client, server)
            yield client
        finally:
            server.terminate()


def _wait_for(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/cases")
        except httpx.TransportError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never answered"
            time.sleep(0.05)
        else:
            return


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, frames_of(pcm, 2, "int16"), 8000, format="WAV")
    return file.getvalue()


def _post(client: httpx.Client, subject: str, call: bytes | None = None) -> tuple[int, dict[str, Any]]:
    files = {"call": ("call.wav", call or _wav(PCM))}
    answer = client.post("/cases", data={"subject": subject}, files=files)
    return answer.status_code, answer.json()


def test_a_case_and_its_call(client: httpx.Client, program: Program, url: str, tmp_path: Path) -> None:
    """A call is kept or forgotten with Django's own row, found by its tables, and protected by them."""
    status, case = _post(client, "Invoice is wrong")
    assert status == 201
    assert client.get("/cases").json() == {"cases": [case]}
    joined = "FROM django_cases_case k JOIN phono_clips c ON c.id = k.call_id"
    assert program.lines(f"SELECT k.subject, c.source, c.chunk_count {joined}") == [
        "Invoice is wrong|telephone|2"
    ]

    assert _post(client, "Invoice is wrong")[0] == 409
    assert _post(client, "Another", b"no sound") == (
        400,
        {"error": "the call is no sound that can be read: Format not recognised."},
    )
    assert _post(client, "Another", _wav(b""))[0] == 400
    assert _post(client, "x" * 201)[0] == 400
    nothing = client.post("/cases")
    assert (nothing.status_code, sorted(nothing.json()["errors"])) == (400, ["call", "subject"])
    assert program.lines(COUNTS) == ["1|2"]

    answer = client.get(f"/cases/{case['id']}/call")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/flac")
    (tmp_path / "call.flac").write_bytes(answer.content)
    assert flac_pcm(tmp_path / "call.flac") == PCM
    whole = answer.content
    for range_, start, stop in (("0-99", 0, 100), ("90000-", 90_000, None), ("-7", -7, None)):
        part = client.get(f"/cases/{case['id']}/call", headers={"Range": f"bytes={range_}"})
        assert (part.status_code, part.content) == (206, whole[start:stop])
        first = range(len(whole))[start]
        assert part.headers["content-range"] == f"bytes {first}-{first + len(part.content) - 1}/{len(whole)}"
    refused = client.get(f"/cases/{case['id']}/call", headers={"Range": "bytes=999999999-"})
    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert client.get("/cases/99/call").status_code == 404

    with Archive(url) as archive:
        with pytest.raises(exc.IntegrityError):
            archive.delete("last", "not wanted")
        assert archive.verify("last").ok
    assert program.lines(COUNTS) == ["1|2"]


def test_django_finds_nothing_to_migrate(url: str, program: Program) -> None:
    """Its migrations make all that its models say, leave phonobase's tables alone, and go back."""
    _manage(url, "migrate")
    before = program.lines("SELECT version_num FROM phono_alembic_version")
    assert "No changes" in _manage(url, "makemigrations", "--check", "--dry-run")
    _manage(url, "migrate", "django_cases", "zero")
    _manage(url, "migrate")
    assert program.lines("SELECT version_num FROM phono_alembic_version") == before
    with Archive(url) as archive:
        assert archive.sources() == []
