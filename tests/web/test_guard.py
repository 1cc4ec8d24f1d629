from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from phonobase.store.tokens import revoke_token
from phonobase.web import Limits, create_app
from phonobase.web.tokens import Tokens
from tests.store.judge import random_pcm
from tests.web.guests import door, guest, logged
from tests.web.serving import connected, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from phonobase import Archive
    from tests.store.judge import Program

PCM = b"\0\1" * 8000
WITHIN_S = 20
on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)

EXPECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
ALLOWED = {"'self'", "'none'", "blob:", "data:"}


def _policy(text: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in text.split(";"))}


def _query_parameters(client: TestClient) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in client.get("/api/openapi.json").json()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                yield path.replace("{recording_id}", "0" * 32), parameter


def _operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    paths: dict[str, dict[str, Any]] = client.get("/api/openapi.json").json()["paths"]
    return [(method, path, told) for path, methods in paths.items() for method, told in methods.items()]


@on_sqlite
def test_every_answer_says_what_may_be_done_with_it(archive: Archive) -> None:
    """Every route, whether it gives, refuses, fails or is none, has the headers that keep browsers in."""
    recording = archive.add(PCM, 8000, source="desk")
    with door(archive, open_here=True) as client, door(archive) as refused:
        asked = [(method, path) for method, path, _ in _operations(client)]
        assert len(asked) >= 15
        asked += [("get", "/"), ("get", "/page/x"), ("get", "/nothing"), ("get", "/api/openapi.json")]
        for method, path in asked:
            # What is live goes on without an end.
            for one in (refused,) if path == "/api/live" else (client, refused):
                answer = one.request(method, path.format(recording_id=recording.id.hex))
                assert EXPECTED.items() <= dict(answer.headers).items(), (method, path)
                policy = _policy(answer.headers["content-security-policy"])
                assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
                assert policy["script-src"] == ["'self'"]
                for sources in policy.values():
                    assert all(one in ALLOWED or one.startswith("'nonce-") for one in sources), policy
                assert "microphone=()" in answer.headers["permissions-policy"]
                assert "server" not in answer.headers
                if path.startswith("/api"):
                    assert {"private", "no-store", "no-cache"} & set(
                        answer.headers["cache-control"].replace(",", "").split()
                    ), (path, answer.headers["cache-control"])


@on_sqlite
def test_every_route_asks_who_it_is(archive: Archive) -> None:
    """Without a token nothing but health and the description is given, whatever else is sent."""
    recording = archive.add(PCM, 8000, source="desk")
    with door(archive) as client:
        given = {
            (method, path)
            for method, path, _ in _operations(client)
            if client.request(method, path.format(recording_id=recording.id.hex)).status_code < 400
        }
    assert given == {("get", "/api/health"), ("delete", "/api/session")}


_HOSTS = {
    "localhost": 200,
    "localhost:8123": 200,
    "LOCALHOST": 200,
    "localhost.": 200,
    "127.0.0.1:8123": 200,
    "127.9.9.9": 200,
    "[::1]:8123": 200,
    "[::1]": 200,
    "phonobase.localhost": 200,
    "evil.example": 403,
    "localhost.evil.example": 403,
    "evillocalhost": 403,
    "127.0.0.1.evil.example": 403,
    "192.168.1.7:8123": 403,
    "localhost@evil.example": 403,
    "localhost:8123@evil.example": 403,
    "[::1].evil.example": 403,
    "": 403,
}


@on_sqlite
@pytest.mark.parametrize("host", _HOSTS)
def test_without_tokens_only_this_machines_names_are_answered(
    archive: Archive, program: Program, host: str
) -> None:
    """A page that lets its own name point here is told nothing, nor logged as the person at this machine."""
    archive.add(PCM, 8000, source="desk")
    with door(archive, open_here=True) as client:
        answer = client.get("/api/sources", headers={"Host": host})
    assert answer.status_code == _HOSTS[host], answer.text
    assert ("desk" in answer.text) is (answer.status_code == 200)
    assert logged(program, "status") == [str(answer.status_code)]


@on_sqlite
@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "X-Real-IP"]
)
def test_without_tokens_a_proxy_is_refused(archive: Archive, program: Program, name: str) -> None:
    """What a proxy brings may come from anywhere: the answer says how to serve it."""
    with door(archive, open_here=True) as client:
        answer = client.get("/api/sources", headers={name: "for=192.0.2.1"})
    assert answer.status_code == 403
    assert "--require-token" in answer.json()["detail"]
    assert logged(program, "coalesce(who, ''), status, detail") == ["|403|forwarded"]


@on_sqlite
def test_without_tokens_a_token_that_is_shown_counts(archive: Archive) -> None:
    """Who shows one has its rights and no more, and a wrong one is refused."""
    with door(archive, open_here=True) as client:
        assert client.get("/api/me").json()["scope"] == "admin"
        assert client.get("/api/me", headers=guest(archive).shows).json()["scope"] == "read"
        assert client.get("/api/me", headers={"Authorization": "Bearer x"}).status_code == 401
        assert client.get("/api/me", headers={"Cookie": "phonobase_session=x"}).status_code == 401


@on_sqlite
def test_without_tokens_pages_of_others_get_nothing(archive: Archive) -> None:
    """A picture, a script or a sound of a page elsewhere is not given; a link is."""
    cross = {"Sec-Fetch-Site": "cross-site"}
    with door(archive, open_here=True) as client:
        assert client.get("/api/sources", headers=cross | {"Sec-Fetch-Mode": "no-cors"}).status_code == 403
        assert client.get("/api/sources", headers=cross | {"Sec-Fetch-Mode": "navigate"}).status_code == 200
        changed = client.delete("/api/session", headers=cross | {"Sec-Fetch-Mode": "navigate"})
        assert changed.status_code == 403


@on_sqlite
def test_a_body_is_taken_only_as_far_as_it_may_be(archive: Archive) -> None:
    """Too large, by what it says or by what comes, is refused: at the API and before a token is looked at."""
    limits = Limits(body_bytes=1000, upload_bytes=1000)
    recording = archive.add(PCM, 8000, source="desk")
    shows = guest(archive, "write").shows
    as_json = {"Content-Type": "application/json"}
    long = json.dumps({"title": "x" * 2000}).encode()
    with door(archive, limits=limits) as client:
        path = f"/api/recordings/{recording.id}"
        pieces = client.patch(path, content=iter([long[:500], long[500:]]), headers=shows | as_json)
        login = client.post("/api/session", content=iter([long]), headers=as_json)
        answers = [client.patch(path, content=long, headers=shows | as_json), pieces, login]
        raw = client.post(
            "/api/recordings/pcm?source=desk&samplerate=8000",
            content=bytes(3 * 1024 * 1024),
            headers=shows | {"Content-Type": "application/octet-stream"},
        )
        assert client.patch(path, json={"title": "x" * 500}, headers=shows).status_code == 200
    assert [answer.status_code for answer in [*answers, raw]] == [413] * 4
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)


_INJECTIONS = [
    "' OR 1=1 --",
    "'; DROP TABLE phono_recording; --",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "\r\nX-Evil: 1",
    "%0d%0aX-Evil:%201",
    "${jndi:ldap://evil}",
    "<script>alert(1)</script>",
    "\x00",
    "\u202e\ufffe",
    "9" * 400,
    "-1",
    "NaN",
]


@on_sqlite
@pytest.mark.parametrize("text", _INJECTIONS, ids=range(len(_INJECTIONS)))
def test_no_parameter_is_more_than_a_value(archive: Archive, program: Program, text: str) -> None:
    """In every parameter of every route, hostile text is a value: no error, no header, no page, no loss."""
    recording = archive.add(PCM, 8000, source="desk")
    with door(archive, open_here=True) as client:
        for method, path, told in _operations(client):
            if method != "get" or path.endswith("/live"):
                continue
            for parameter in told.get("parameters", []):
                name, place = parameter["name"], parameter["in"]
                url = path.replace("{recording_id}", recording.id.hex)
                sent: dict[str, Any] = {}
                if place == "path":
                    url = path.replace(f"{{{name}}}", quote(text, safe="%"))
                elif place == "query":
                    sent = {"params": {name: text}}
                elif text.isascii() and text.isprintable():
                    sent = {"headers": {name: text}}
                answer = client.get(url, **sent)
                assert answer.status_code < 500, (path, name, answer.text)
                assert "x-evil" not in answer.headers
                assert "root:" not in answer.text
                kind = answer.headers.get("content-type", "")
                assert "html" not in kind or not path.startswith("/api"), (path, kind)
    assert program.value("SELECT count(*) FROM phono_recording") == "1"


@on_sqlite
@pytest.mark.parametrize(
    "path",
    [
        "/page/../../pyproject.toml",
        "/page/..%2f..%2fpyproject.toml",
        "/page/%2e%2e/%2e%2e/app.py",
        "/page/x/..%2f..%2fapp.py",
        "/page/x/..\\..\\app.py",
        "/page//etc/passwd",
        "/page/x/%2fetc%2fpasswd",
        "/page/x/app.py%00.js",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/page/x/vendor/..%2f..%2f..%2fapp.py",
    ],
)
def test_no_path_leads_out_of_the_page(archive: Archive, path: str) -> None:
    """What is not a file of the page is not there, however it is written."""
    app = create_app(archive, authenticate=Tokens(archive))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b"root:" not in answer
    assert b"import" not in answer


def _until_cut(stream: httpx.Response) -> float:
    """Reads until the answer breaks off, and returns how long that took."""
    began = time.monotonic()

    def read() -> None:
        for _ in stream.iter_raw():
            assert time.monotonic() - began < WITHIN_S

    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        read()
    return time.monotonic() - began


@on_sqlite
@pytest.mark.parametrize("how", ["revoked", "expired", "narrowed", "signed out"])
def test_who_is_no_longer_let_in_is_cut_off(archive: Archive, program: Program, how: str) -> None:
    """Listening live ends within seconds once the token or the session is over, though sound still comes."""
    somebody = guest(archive, "read", "desk")
    with (
        archive.writer(8000, source="desk", chunk_seconds=0.2) as writer,
        served(create_app(archive, authenticate=Tokens(archive))) as url,
        httpx.Client(base_url=url, timeout=WITHIN_S) as client,
    ):
        writer.write(np.zeros((8000, 1), np.int16))
        writer.write(np.zeros((1, 1), np.int16))
        _wait(lambda: program.value("SELECT count(*) FROM phono_recording") == "1")
        if how == "signed out":
            signed = client.post("/api/session", json={"token": somebody.word})
            assert signed.status_code == 204
        shows = {} if how == "signed out" else somebody.shows
        path = f"/api/recordings/{writer.id}/audio?follow=1"
        with client.stream("GET", path, headers=shows) as stream:
            assert stream.status_code == 200
            match how:
                case "revoked":
                    revoke_token(archive, somebody.token.id)
                case "expired":
                    _change(archive, "UPDATE phono_token SET expires_at = created_at")
                case "narrowed":
                    _change(archive, "UPDATE phono_token SET sources = '[\"other\"]'")
                case _:
                    _change(archive, "DELETE FROM phono_session")
            assert _until_cut(stream) < WITHIN_S


@on_sqlite
def test_who_takes_nothing_is_let_go(archive: Archive) -> None:
    """A client that reads no more holds its place for a bounded time."""
    recording = archive.add(random_pcm(16_000_000, 1, "int16"), 48_000, source="desk", encoding="pcm")
    app = create_app(archive, authenticate=Tokens(archive), limits=Limits(stalled_seconds=1))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        shows = f"Authorization: Bearer {guest(archive).word}"
        wire.sendall(
            f"GET /api/recordings/{recording.id}/audio HTTP/1.1\r\nHost: x\r\n{shows}\r\n\r\n".encode()
        )
        guard = app.state.metrics.in_progress
        _wait(lambda: guard._value.get() == 1)
        _wait(lambda: guard._value.get() == 0)
        received = sum(map(len, iter(lambda: wire.recv(1 << 20), b"")))
    assert received < 32_000_000


@on_sqlite
def test_a_request_that_does_not_come_is_let_go(archive: Archive) -> None:
    """Whoever sends a part of a body and then nothing is told so after a while."""
    app = create_app(archive, authenticate=Tokens(archive), limits=Limits(stalled_seconds=1))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.sendall(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"token"'
        )
        wire.settimeout(WITHIN_S)
        answer = wire.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 "), answer


@on_sqlite
def test_what_is_one_value_comes_once(archive: Archive) -> None:
    """Of two, one program would see the first, and another one the last; lists are as long as they are."""
    archive.add(PCM, 8000, source="desk")
    with door(archive, open_here=True) as client:
        assert client.get("/api/recordings?source=desk&source=else").status_code == 422
        for path, parameter in _query_parameters(client):
            kinds = [parameter["schema"], *parameter["schema"].get("anyOf", ())]
            is_list = "array" in [kind.get("type") for kind in kinds]
            answer = client.get(path, params=[(parameter["name"], "x")] * 2)
            assert ("more than once" in answer.text) is not is_list, (path, parameter["name"])


@on_sqlite
def test_a_body_of_who_only_listens_is_nothing(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever sends one without end is let go, and no error is logged."""
    app = create_app(archive, limits=Limits(stalled_seconds=1))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.settimeout(WITHIN_S)
        wire.sendall(b"GET /api/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")
        with suppress(ConnectionError):
            wire.sendall((b"10000\r\n" + b"a" * 65536 + b"\r\n") * 200)
            list(iter(lambda: wire.recv(65536), b""))
    assert [record for record in caplog.records if record.exc_info] == []


@on_sqlite
def test_a_body_that_does_not_come_ends_no_download(archive: Archive) -> None:
    """Whoever promises one and sends none gets all of the answer, however slowly it is read."""
    recording = archive.add(random_pcm(4_000_000, 1, "int16"), 48_000, source="desk", encoding="pcm")
    app = create_app(archive, limits=Limits(stalled_seconds=1))
    with (
        served(app) as url,
        connected(url) as wire,
    ):
        wire.settimeout(WITHIN_S)
        path = f"/api/recordings/{recording.id}/audio"
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n".encode())
        received = 0
        while piece := wire.recv(1 << 18):
            received += len(piece)
            time.sleep(0.05)
            if received > recording.file_bytes:
                break
    assert received > recording.file_bytes


@on_sqlite
def test_a_question_names_its_host(archive: Archive) -> None:
    """In HTTP/1.1 it must (RFC 9112, section 3.2)."""
    with (
        served(create_app(archive)) as url,
        connected(url) as wire,
    ):
        wire.sendall(b"GET /api/health HTTP/1.1\r\n\r\n")
        assert wire.recv(65536).startswith(b"HTTP/1.1 400 ")


def _change(archive: Archive, statement: str) -> None:
    with archive.session(writes=True) as session, session.begin():
        session.connection().exec_driver_sql(statement)


def _wait(condition: Any) -> None:  # noqa: ANN401 - a function without arguments
    ends = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)
