"""Changes and the log of access: none is made that it does not know of, none is lost on the way back."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Unpack

import pytest

from phonobase.store.archive import Archive
from phonobase.store.tokens import revoke_token
from phonobase.web import create_app, guard
from phonobase.web.tokens import Tokens
from tests.store.judge import wait_until
from tests.web.guests import door, guest, logged, signed_in
from tests.web.serving import connected, served

if TYPE_CHECKING:
    import socket
    from uuid import UUID

    from fastapi import Request

    from phonobase.store.editing import Changes
    from phonobase.store.recording import Recording
    from phonobase.web import Visitor
    from tests.store.judge import Program, Raw

PCM = b"\0\1" * 800
on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


def test_without_the_log_nothing_is_changed(archive: Archive, raw: Raw) -> None:
    """Where no event can be written nothing is stored, edited, begun or ended."""
    recording = archive.add(PCM, 8000, source="desk", title="before")
    somebody = guest(archive, "write")
    sent = somebody.shows | {"Content-Type": "application/octet-stream"}
    with door(archive) as client:
        signed_in(client, somebody)
        raw.run("ALTER TABLE phono_event RENAME TO gone")
        answers = [
            client.patch(f"/api/recordings/{recording.id}", json={"title": "after"}, headers=somebody.shows),
            client.post("/api/recordings/pcm?source=desk&samplerate=8000", content=PCM, headers=sent),
            client.post("/api/session", json={"token": somebody.word}),
            client.delete("/api/session", headers={"Sec-Fetch-Site": "same-origin"}),
        ]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 503]
    assert raw.rows("SELECT title FROM phono_recording") == [("before",)]
    assert raw.value("SELECT count(*) FROM phono_session") == 1


def test_what_the_log_cannot_say_the_answer_does(
    archive: Archive, raw: Raw, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the log fails behind a change, it has that it was begun, and the answer says to look."""
    recording = archive.add(PCM, 8000, source="desk", title="before")
    edit = Archive.edit

    def edited(archive: Archive, recording_id: UUID, **changes: Unpack[Changes]) -> Recording:
        program.run_script("ALTER TABLE phono_event RENAME TO gone")
        return edit(archive, recording_id, **changes)

    monkeypatch.setattr(Archive, "edit", edited)
    with door(archive, open_here=True) as client:
        answer = client.patch(f"/api/recordings/{recording.id}", json={"title": "after"})
    assert answer.status_code == 503
    assert "this may have been done" in answer.json()["detail"]
    assert archive.get(recording.id).title == "after"
    raw.run("ALTER TABLE gone RENAME TO phono_event")
    assert logged(program, "who, action, source, detail, status") == [
        "local|edit_recording|desk|title|102",
    ]


def test_a_change_that_is_being_made_ends_well(
    archive: Archive, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is revoked meanwhile is told what became of it, and the log has what was changed."""
    monkeypatch.setattr(guard, "_EVERY_S", 0.02)
    recording = archive.add(PCM, 8000, source="desk", title="before")
    somebody = guest(archive, "write")
    edit = Archive.edit

    def edited(archive: Archive, recording_id: UUID, **changes: Unpack[Changes]) -> Recording:
        revoke_token(archive, somebody.token.id)
        time.sleep(0.3)  # in which it is looked often who may
        return edit(archive, recording_id, **changes)

    monkeypatch.setattr(Archive, "edit", edited)
    with door(archive) as client:
        path = f"/api/recordings/{recording.id}"
        answer = client.patch(path, json={"title": "after"}, headers=somebody.shows)
        assert client.get(path, headers=somebody.shows).status_code == 401
    assert answer.status_code == 200
    assert answer.json()["title"] == "after"
    assert logged(program, "action, detail, status") == [
        "edit_recording|title|102",
        "edit_recording|title|200",
        "get_recording|revoked|401",
    ]


@on_sqlite
def test_what_has_not_come_whole_ends_with_the_right_to_send_it(archive: Archive, program: Program) -> None:
    """Who is revoked while they send is refused, and nothing is stored."""
    somebody = guest(archive, "write")
    app = create_app(archive, authenticate=Tokens(archive))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.sendall(
            b"POST /api/recordings/pcm?source=desk&samplerate=8000 HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n"
            + f"Authorization: Bearer {somebody.word}\r\n\r\n".encode()
            + bytes(500)
        )
        wait_until(lambda: app.state.metrics.in_progress._value.get() == 1)
        revoke_token(archive, somebody.token.id)
        wire.settimeout(30)
        answer = wire.recv(65536)
    # Let in or not by then: either way refused.
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    assert b"application/problem+json" in answer
    assert program.value("SELECT count(*) FROM phono_recording") == "0"


@on_sqlite
@pytest.mark.parametrize("ends", ["comes back", "stays away"])
def test_a_database_that_is_away_for_a_moment_cuts_nobody_off(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ends: str
) -> None:
    """Who gets something goes on until it was not to be asked for a while; the log says which it was."""
    monkeypatch.setattr(guard, "_EVERY_S", 0.02)
    monkeypatch.setattr(guard, "_GRACE_S", 30.0 if ends == "comes back" else 0.2)
    asked: list[int] = []
    tokens = Tokens(archive)
    get = Archive.get

    async def authenticate(request: Request) -> Visitor | None:
        asked.append(1)
        if len(asked) > 1 and (ends == "stays away" or len(asked) < 6):
            raise OSError("the database is away")
        return await tokens(request)

    def slow(archive: Archive, recording_id: UUID | str) -> Recording:
        began = time.monotonic()
        while len(asked) < 12 and time.monotonic() - began < 0.6:
            time.sleep(0.02)
        return get(archive, recording_id)

    recording = archive.add(PCM, 8000, source="desk")
    monkeypatch.setattr(Archive, "get", slow)
    app = create_app(archive, authenticate=authenticate)
    caplog.set_level("INFO")
    with served(app) as url, closing(_asked(url, recording.id.hex, guest(archive).word)) as wire:
        answer = wire.recv(65536)
    status = b"HTTP/1.1 200 " if ends == "comes back" else b"HTTP/1.1 503 "
    assert answer.startswith(status), answer
    assert "no longer let in" not in caplog.text
    assert ("the database is away" in caplog.text) is (ends == "stays away")


def _asked(url: str, recording_id: str, word: str) -> socket.socket:
    wire = connected(url)
    wire.sendall(
        f"GET /api/recordings/{recording_id} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {word}\r\n\r\n".encode()
    )
    return wire


@on_sqlite
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Length: 99999999\r\n", 413),
        ("Content-Length: 9999999999999999999\r\n", 413),
        ("Host: evil.example\r\n", 400),
        ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 400),
        ("Origin: http://localhost\r\nOrigin: http://evil.example\r\n", 400),
    ],
    ids=["large", "larger", "host", "site", "origin"],
)
def test_what_can_be_read_in_two_ways_is_not_read(
    archive: Archive, caplog: pytest.LogCaptureFixture, head: str, status: int
) -> None:
    """A header that came twice, or a body that nobody takes, is refused before anything is looked up."""
    archive.add(PCM, 8000, source="desk")
    app = create_app(archive, authenticate=Tokens(archive, open_here=True))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.sendall(f"GET /api/sources HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        answer = wire.recv(65536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"desk" not in answer
    assert "Traceback" not in caplog.text


def test_a_cookie_of_another_application_keeps_nobody_out(archive: Archive, raw: Raw) -> None:
    """Of several of the name one that holds is enough, wherever it stands; signing out ends them all."""
    with door(archive) as client:
        signed_in(client, guest(archive))
        good = client.cookies["phonobase_session"]
        client.cookies.clear()
        for shown in ([good, "x"], ["x", good], ["x", "session_x", good, "y"]):
            cookie = {"Cookie": "; ".join(f"phonobase_session={word}" for word in shown)}
            assert client.get("/api/me", headers=cookie).status_code == 200
        assert client.get("/api/me", headers={"Cookie": "phonobase_session=x"}).status_code == 401
        out = client.delete("/api/session", headers=cookie | {"Sec-Fetch-Site": "same-origin"})
        assert out.status_code == 204
    assert raw.value("SELECT count(*) FROM phono_session") == 0
