from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import soundfile
from fastapi.testclient import TestClient

from examples.fastapi_tickets import create_app
from tests.store.judge import Program, flac_pcm, frames_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PCM = random_pcm(24_000, 2, "int16")


@pytest.fixture
def client(archive_url: str) -> Iterator[TestClient]:
    """The help desk, running, on a database that has phonobase's tables already."""
    with TestClient(create_app(archive_url)) as running:
        yield running


@pytest.fixture
def program(archive_url: str) -> Program:
    """The help desk's database through the database's own program."""
    return Program(archive_url)


def _wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, frames_of(PCM, 2, "int16"), 8000, format="WAV")
    return file.getvalue()


def _post(
    client: TestClient, order_number: str = "A-17", voice: bytes | None = None
) -> tuple[int, dict[str, object]]:
    answer = client.post(
        "/tickets", data={"order_number": order_number}, files={"voice": ("note.wav", voice or _wav())}
    )
    return answer.status_code, answer.json()


def test_a_ticket_and_its_voice_note(client: TestClient, program: Program, tmp_path: Path) -> None:
    """A voice note is stored with its ticket, found from it by SQL, and comes back exactly."""
    status, ticket = _post(client)
    assert (status, ticket["seconds"], ticket["order_number"]) == (201, 3.0, "A-17")
    assert client.get("/tickets/1").json() == ticket
    joined = "SELECT c.source, c.external_id, c.seconds FROM ticket t JOIN phono_clips c ON c.id = t.voice"
    assert program.lines(joined) == ["tickets|A-17|3.0" if program.is_sqlite else "tickets|A-17|3"]
    answer = client.get(str(ticket["voice"]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/flac")
    (tmp_path / "note.flac").write_bytes(answer.content)
    assert flac_pcm(tmp_path / "note.flac") == PCM
    assert client.get("/tickets/2").status_code == client.get("/tickets/2/voice").status_code == 404


def test_silence(client: TestClient) -> None:
    """A voice note of digital silence has no peak."""
    file = io.BytesIO()
    soundfile.write(file, frames_of(bytes(16_000), 1, "int16"), 8000, format="WAV")
    status, ticket = _post(client, voice=file.getvalue())
    assert (status, ticket["peak_dbfs"], ticket["seconds"]) == (201, None, 1.0)
    said = client.get("/openapi.json").json()["components"]["schemas"]["TicketOut"]["properties"]
    assert {kind["type"] for kind in said["peak_dbfs"]["anyOf"]} == {"number", "null"}


def test_what_fails_leaves_nothing(client: TestClient, program: Program) -> None:
    """A second ticket for an order is refused, and its voice note is not stored; nor is what is no sound."""
    _post(client)
    counts = "SELECT (SELECT count(*) FROM ticket), (SELECT count(*) FROM phono_audio)"
    before = program.lines(counts)
    assert _post(client) == (409, {"detail": "order A-17 has a ticket already"})
    assert _post(client, "A-18", b"no sound") == (
        400,
        {"detail": "the voice note is no sound that can be read: Format not recognised."},
    )
    empty = io.BytesIO()
    soundfile.write(empty, frames_of(b"", 1, "int16"), 8000, format="WAV")
    status, answer = _post(client, "A-19", empty.getvalue())
    assert (status, "no frames" in str(answer["detail"])) == (400, True)
    assert program.lines(counts) == before
    assert _post(client, "A-18")[0] == 201


def test_a_player_asks_for_a_part(client: TestClient) -> None:
    """A range of bytes is answered with those bytes and where they stand."""
    _post(client)
    whole = client.get("/tickets/1/voice").content
    for asked, start, stop in (
        ("0-99", 0, 100),
        ("50-50", 50, 51),
        ("40000-", 40_000, None),
        ("-7", -7, None),
        ("-999999999", 0, None),
        ("10-999999999", 10, None),
    ):
        part = client.get("/tickets/1/voice", headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, whole[start:stop])
        first = range(len(whole))[start]
        assert part.headers["content-range"] == f"bytes {first}-{first + len(part.content) - 1}/{len(whole)}"
        assert part.headers["content-length"] == str(len(part.content))


def test_a_range_that_is_none(client: TestClient) -> None:
    """What names no byte is refused with the size."""
    _post(client)
    size = len(client.get("/tickets/1/voice").content)
    for asked in ("bytes=999999999-", "bytes=5-4", "bytes=-", "bytes=-0", "bytes=0-1,4-5", "pages=1"):
        refused = client.get("/tickets/1/voice", headers={"Range": asked})
        assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{size}")
