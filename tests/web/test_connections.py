"""Connections that are kept open by who asks nothing, or says too much."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from phonobase import Archive
from phonobase.web import connection, create_app, server
from phonobase.web.headers import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

WITHIN_S = 30
CONNECTIONS = 8
WELL = b'{"status":"ok"}'
HEALTH = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def patient(migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Where an archive is served that waits a third of a second for the head of a request."""
    monkeypatch.setattr(connection, "_HEAD_WITHIN_S", 0.3)
    with _served(migrated_sqlite_url) as address:
        yield address


@pytest.fixture
def full(migrated_sqlite_url: str) -> Iterator[tuple[str, int]]:
    """Where an archive is served that answers as many as it may: each is told what is being heard."""
    with _served(migrated_sqlite_url) as address, contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS - 1):
            wire = stack.enter_context(socket.create_connection(address, WITHIN_S))
            wire.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert wire.recv(65536).startswith(b"HTTP/1.1 200 ")
        yield address


@contextlib.contextmanager
def _served(url: str) -> Iterator[tuple[str, int]]:
    with Archive(url) as archive, _running(create_app(archive)) as address:
        yield address


@contextlib.contextmanager
def _running(app: ASGIApp) -> Iterator[tuple[str, int]]:
    with server.listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            app,
            http=connection.Patient,
            log_level="critical",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            running.should_exit = True
            thread.join()


async def _say_hosts(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what a request has as its host."""
    hosts = b" ".join(value for name, value in scope.get("headers", ()) if name == b"host")
    await PlainTextResponse(hosts)(scope, receive, send)


_TARGETS = {
    b"/": b"localhost",
    b"*": b"localhost",
    b"http://else.example": b"else.example",
    b"http://else.example?a=b": b"else.example",
    b"http://else.example/": b"else.example",
    b"http://else.example:8123/?a=b": b"else.example:8123",
    b"http://[2001:db8::1]:80/": b"[2001:db8::1]:80",
}


@pytest.mark.parametrize("target", _TARGETS, ids=bytes.decode)
def test_a_target_that_is_a_whole_address_names_the_host(target: bytes) -> None:
    """The header beside it is not believed, so that nobody before us goes by another host than we do."""
    with _running(_say_hosts) as address, socket.create_connection(address, WITHIN_S) as wire:
        wire.sendall(b"OPTIONS %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.partition(b"\r\n\r\n")[2] == _TARGETS[target]


_SLOW = {"nothing": b"", "a beginning": b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: "}


@pytest.mark.parametrize("sent", _SLOW.values(), ids=_SLOW)
def test_a_head_that_does_not_come_is_not_waited_for(patient: tuple[str, int], sent: bytes) -> None:
    """A connection that says nothing, or dribbles, is closed; also where it asked before."""
    with socket.create_connection(patient, WITHIN_S) as wire:
        wire.sendall(sent)
        assert wire.recv(100) == b""
    with socket.create_connection(patient, WITHIN_S) as wire:
        wire.sendall(HEALTH + b"\r\n")
        _assert_answered(wire)
        wire.sendall(b"GET /api/me HTTP/1.1\r\nX: ")
        rest = b"".join(iter(lambda: wire.recv(65536), b""))
    assert b"HTTP/1.1" not in rest


def test_a_head_that_is_too_long_is_refused(patient: tuple[str, int]) -> None:
    """No more of it is kept than any browser sends."""
    with socket.create_connection(patient, WITHIN_S) as wire, contextlib.suppress(OSError):
        wire.sendall(b"GET /api/me HTTP/1.1\r\nX-Long: " + b"a" * 500_000)
        assert wire.recv(100).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(patient, WITHIN_S) as wire:
        wire.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("ends", [b"\r\n", b""], ids=["fields", "one without end"])
def test_fields_behind_a_body_are_neither_kept_nor_endless(patient: tuple[str, int], ends: bytes) -> None:
    """Who sends them without end, before an answer or behind it, is sent away."""
    for method in (b"GET", b"POST"):  # one is answered at once, the other when it is whole
        request = method + b" /api/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(patient, WITHIN_S) as wire:
            wire.sendall(request + b"0\r\na: b")
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                wire.sendall((ends + b"a:" if ends else b"a") * 8_000_000)


def test_fields_behind_a_body_are_read_over(patient: tuple[str, int]) -> None:
    """The request is answered all the same, and the next one on the same connection, too."""
    with socket.create_connection(patient, WITHIN_S) as wire:
        for _ in range(2):
            wire.sendall(HEALTH + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
            _assert_answered(wire)


@pytest.mark.parametrize("more", [b"", b"5\r\na"], ids=["nothing", "a byte"])
def test_the_rest_of_an_answered_request_is_not_waited_for(
    patient: tuple[str, int], monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    """It may come for a while, after which the connection is closed, whatever dribbles in."""
    monkeypatch.setattr(connection, "_REST_WITHIN_S", 0.3)
    with socket.create_connection(patient, WITHIN_S) as wire:
        wire.sendall(HEALTH + b"Transfer-Encoding: chunked\r\n\r\n")
        _assert_answered(wire)
        wire.sendall(more)
        assert wire.recv(100) == b""


def test_an_idle_connection_is_not_kept_by_empty_lines(
    patient: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a request keeps it."""
    monkeypatch.setattr(connection, "_IDLE_S", 0.3)
    with socket.create_connection(patient, WITHIN_S) as wire:
        wire.sendall(HEALTH + b"\r\n")
        _assert_answered(wire)
        wire.sendall(b"\r\n")
        assert wire.recv(100) == b""


def test_who_waits_longest_makes_room(patient: tuple[str, int]) -> None:
    """Where all places are taken by who asks nothing, whoever comes gets an answer, every time."""
    with contextlib.ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection(patient, WITHIN_S)) for _ in range(3 * CONNECTIONS)
        ]
        for wire in wires[-3:]:
            wire.sendall(HEALTH + b"\r\n")
            _assert_answered(wire)
        with contextlib.suppress(ConnectionResetError):
            assert wires[0].recv(100) == b""


def test_who_is_too_many_is_told_so_as_of_everything_else(full: tuple[str, int]) -> None:
    """Where all are answered, the next one gets a problem, with what every answer says to browsers."""
    with socket.create_connection(full, WITHIN_S) as wire:
        wire.sendall(HEALTH + b"\r\n")
        head, _, body = b"".join(iter(lambda: wire.recv(65536), b"")).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 503 Service Unavailable"
    fields = dict(line.split(": ", 1) for line in lines)
    assert fields.items() >= {name.lower(): value for name, value in USUAL.items()}.items()
    assert fields["content-type"] == "application/problem+json"
    assert (json.loads(body)["status"], fields["retry-after"]) == (503, "5")


def test_what_is_written_is_sent_at_once() -> None:
    """The bytes behind a head do not wait until the other side has acknowledged the head."""
    with (
        server.listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname(), WITHIN_S),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _assert_answered(wire: socket.socket) -> None:
    """Read the whole answer of one who asked for the health."""
    answer = b""
    while not answer.endswith(WELL):
        piece = wire.recv(65536)
        assert piece
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
