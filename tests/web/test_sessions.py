from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from phonobase.store.tokens import revoke_token
from phonobase.web import create_app
from phonobase.web.tokens import Tokens
from tests.web.guests import door, guest, logged, origin, signed_in, told

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program, Raw

NAME = "phonobase_session"
WEEK_S = 7 * 86_400
on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


def test_a_session_is_as_good_as_its_token(archive: Archive, program: Program) -> None:
    """Whoever showed a token once is known by a cookie since, by the token's name and with its rights."""
    with door(archive) as client:
        signed_in(client, guest(archive, "read", "desk"))
        me = client.get("/api/me")
    assert me.json() == {"name": "Anna", "scope": "read", "sources": ["desk"], "session": True}
    assert logged(program) == ["Anna|begin_session|102", "Anna|begin_session|204", "Anna|get_me|200"]


@on_sqlite
@pytest.mark.parametrize(
    ("base_url", "root_path", "name", "path", "secure"),
    [
        ("http://localhost", "", NAME, "/", False),
        ("https://archive.example", "", f"__Host-{NAME}", "/", True),
        ("https://office.example", "/sound", NAME, "/sound/", True),
    ],
    ids=["plain", "https", "mounted"],
)
def test_the_cookie_is_out_of_reach(
    archive: Archive, base_url: str, root_path: str, name: str, path: str, *, secure: bool
) -> None:
    """No program of the page reads it, no other site has it sent, and no other path or scheme gets it."""
    with door(archive, base_url=base_url, root_path=root_path) as client:
        answer = client.post(
            f"{root_path}/api/session",
            json={"token": guest(archive).word},
            headers={"Origin": base_url},
        )
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert cookie.key == name
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == path
    assert bool(cookie["secure"]) is secure
    assert cookie["domain"] == ""
    assert WEEK_S - 60 < int(cookie["max-age"]) <= WEEK_S


def test_the_cookie_is_stored_nowhere(archive: Archive, raw: Raw) -> None:
    """Of a session only the hash is kept, and it is not that of the token."""
    with door(archive) as client:
        signed_in(client, guest(archive))
        word = client.cookies[NAME]
    kind, id_, secret = word.split("_", 2)
    assert (kind, len(secret)) == ("session", 43)
    (row,) = raw.rows("SELECT secret_sha256, id FROM phono_session")
    assert bytes(row[0]) == sha256(secret.encode()).digest()
    assert str(row[1]).replace("-", "") == id_


def test_signing_out_forgets_the_session(archive: Archive, program: Program) -> None:
    """It is gone from the table and from the browser, and whoever kept the cookie is refused."""
    with door(archive) as client:
        signed_in(client, guest(archive))
        kept = client.cookies[NAME]
        answer = client.delete("/api/session", headers={"Origin": origin(client)})
        assert answer.status_code == 204
        assert NAME not in client.cookies
        assert program.value("SELECT count(*) FROM phono_session") == "0"
        assert client.get("/api/me", headers={"Cookie": f"{NAME}={kept}"}).status_code == 401
    assert logged(program)[2:] == ["Anna|end_session|102", "Anna|end_session|204", "|get_me|401"]


def test_without_a_session_there_is_nothing_to_end(archive: Archive, program: Program) -> None:
    """Signing out twice is no error, and nothing to log."""
    with door(archive) as client:
        assert client.delete("/api/session").status_code == 204
    assert logged(program) == []


def test_a_session_that_is_over_is_refused(archive: Archive, raw: Raw) -> None:
    """Expired, revoked with its token, or made up: the same answer, to the byte, as without a cookie."""
    somebody = guest(archive)
    with door(archive) as client:
        nothing = told(client.get("/api/sources"))
        signed_in(client, somebody)
        good = client.cookies[NAME]
        client.cookies.clear()
        for word in (good[:-1] + ("A" if good[-1] != "A" else "E"), "session_x", "x" * 5000, somebody.word):
            assert told(client.get("/api/sources", headers={"Cookie": f"{NAME}={word}"})) == nothing
        shows = {"Cookie": f"{NAME}={good}"}
        assert client.get("/api/sources", headers=shows).status_code == 200
        raw.run("UPDATE phono_session SET expires_at = created_at")
        assert told(client.get("/api/sources", headers=shows)) == nothing
        signed_in(client, somebody)
        assert raw.value("SELECT count(*) FROM phono_session") == 1  # the one that was over is gone
        revoke_token(archive, somebody.token.id)
        assert told(client.get("/api/sources")) == nothing
        assert raw.value("SELECT count(*) FROM phono_session") == 0


def test_a_session_ends_with_its_token(archive: Archive) -> None:
    """The cookie of a token that ends in an hour is kept for an hour."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    with door(archive) as client:
        answer = client.post("/api/session", json={"token": guest(archive, until=soon).word})
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert 3500 < int(cookie["max-age"]) <= 3600


def test_a_wrong_token_begins_no_session(archive: Archive, program: Program) -> None:
    """It is refused as everywhere, and no cookie comes with that."""
    revoked = guest(archive, name="Rita")
    revoke_token(archive, revoked.token.id)
    with door(archive) as client:
        missing = told(client.get("/api/sources"))
        for word in ("", "nonsense", revoked.word):
            assert told(client.post("/api/session", json={"token": word})) == missing
    assert program.value("SELECT count(*) FROM phono_session") == "0"
    assert logged(program, "coalesce(who, ''), action, detail")[1:] == [
        "|begin_session|wrong token",
        "|begin_session|wrong token",
        "Rita|begin_session|revoked",
    ]


_FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost:8123.evil.example"},
    {"Origin": "http://localhost:8123@evil.example"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8123"},
    {},
]


@on_sqlite
@pytest.mark.parametrize(
    "headers", _FOREIGN, ids=[" ".join(map(str, one.values())) or "none" for one in _FOREIGN]
)
def test_a_page_of_another_site_changes_nothing(
    archive: Archive, program: Program, headers: dict[str, str]
) -> None:
    """With a cookie, a change is taken only from a page of this very site; what is refused is logged."""
    recording = archive.add(b"\0\1" * 800, 8000, title="before")
    with door(archive) as client:
        signed_in(client, guest(archive, "write"))
        path = f"/api/recordings/{recording.id}"
        answers = [
            client.patch(path, json={"title": "after"}, headers=headers),
            client.post("/api/recordings/pcm?source=x&samplerate=8000", content=b"\0\0", headers=headers),
            client.post("/api/recordings", files={"file": b"RIFF"}, data={"source": "x"}, headers=headers),
            client.delete("/api/session", headers=headers),
            client.post("/api/session", json={"token": "x"}, headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [403] * 5
        assert client.get("/api/me").status_code == 200
    assert program.lines("SELECT title FROM phono_recording") == ["before"]
    assert logged(program, "action, detail")[2:-1] == [
        "edit_recording|cross-site",
        "add_pcm|cross-site",
        "add_recording|cross-site",
        "end_session|cross-site",
        "begin_session|cross-site",
    ]


@on_sqlite
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:8123"},
        {"Origin": "HTTP://LOCALHOST:8123"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=["origin", "capitals", "same-origin", "typed"],
)
def test_a_page_of_this_site_changes_what_it_may(archive: Archive, headers: dict[str, str]) -> None:
    """With a cookie, from here: taken."""
    recording = archive.add(b"\0\1" * 800, 8000, title="before")
    with door(archive) as client:
        signed_in(client, guest(archive, "write"))
        answer = client.patch(f"/api/recordings/{recording.id}", json={"title": "after"}, headers=headers)
    assert answer.json()["title"] == "after"


@on_sqlite
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_json_is_taken_only_as_json(archive: Archive, kind: str) -> None:
    """What a form of any page can send is no JSON, whatever it holds."""
    recording = archive.add(b"\0\1" * 800, 8000, title="before")
    somebody = guest(archive, "write")
    headers = somebody.shows | {"Content-Type": kind}
    with door(archive) as client:
        edit = client.patch(f"/api/recordings/{recording.id}", content=b'{"title": "after"}', headers=headers)
        begin = client.post("/api/session", content=f'{{"token": "{somebody.word}"}}', headers=headers)
    assert edit.status_code in (415, 422)
    assert begin.status_code == 422
    assert archive.get(recording.id).title == "before"


def test_the_cookie_works_where_a_host_mounts_it(archive: Archive) -> None:
    """Mounted below a path, a session is begun, used and ended there, and seen nowhere else."""
    host = FastAPI()
    host.mount("/sound", create_app(archive, authenticate=Tokens(archive)))
    with TestClient(host, base_url="https://office.example") as client:
        answer = client.post("/sound/api/session", json={"token": guest(archive).word})
        assert answer.status_code == 204
        assert client.get("/sound/api/me").json()["session"] is True
        assert client.cookies.get(NAME, path="/sound/") is not None
        assert (
            client.delete("/sound/api/session", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
        )
        assert client.get("/sound/api/me").status_code == 401
