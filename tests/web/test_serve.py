from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from phonobase import Archive
from tests.cli.program import Program, finished
from tests.store.judge import Program as Judge
from tests.support.require import require
from tests.web.guests import guest, logged

if TYPE_CHECKING:
    from collections.abc import Iterator

NGINX = Path(__file__).parents[2] / "contrib" / "nginx.conf"
WITHIN_S = 30


@contextlib.contextmanager
def serving(phonobase: Program, *options: object) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Runs `phonobase serve` at a free port, and yields its address and its process."""
    process = phonobase.start("serve", "--port", 0, *options)
    try:
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        match = re.search(r"is served at (http://\S+);", said)
        assert match, said
        yield match[1], process
    finally:
        process.terminate()
        finished(process)


@pytest.fixture
def phonobase(migrated_sqlite_url: str, tmp_path: Path) -> Program:
    """The program on an empty archive."""
    return Program(migrated_sqlite_url, tmp_path)


def test_it_serves_here_without_a_word(phonobase: Program) -> None:
    """At this machine's own address nobody has to say who they are."""
    with serving(phonobase) as (url, _):
        assert url.startswith("http://127.0.0.1:")
        answer = httpx.get(f"{url}/api/me")
    assert answer.json()["scope"] == "admin"
    assert "server" not in answer.headers
    assert logged(Judge(phonobase.url), "who, action, address") == ["local|get_me|127.0.0.1"]


@pytest.mark.parametrize(
    "options", [("--require-token",), ("--host", "0.0.0.0"), ("--forwarded-from", "10.0.0.1")]
)
def test_nobody_is_let_in_without_a_token_elsewhere(phonobase: Program, options: tuple[str, ...]) -> None:
    """Where others may ask it does not begin without a token, and with one lets nobody in without it."""
    line = phonobase("serve", "--port", 0, *options).refused("there is none")
    assert line.endswith("phonobase tokens create NAME --scope read")
    with Archive(phonobase.url) as archive:
        shows = guest(archive).shows
    with serving(phonobase, *options) as (url, _):
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{here}/api/me").status_code == 401
        assert httpx.get(f"{here}/api/me", headers=shows).json()["name"] == "Anna"


def test_a_port_that_is_taken_is_said_in_a_line(phonobase: Program) -> None:
    """So is an address of another machine, and what is no address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = phonobase("serve", "--port", port).refused(f"port {port}", "name another")
    assert line.count("ddress already in use") == 1
    phonobase("serve", "--host", "192.0.2.1").refused("192.0.2.1", "Cannot assign")
    phonobase("serve", "--host", "no.such.host.invalid").refused("no.such.host.invalid")
    phonobase("serve", "--forwarded-from", "nginx").refused("'nginx' is no address")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_although_somebody_listens(phonobase: Program, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with 0, saying nothing, while listeners wait for more."""
    with (
        Archive(phonobase.url) as archive,
        archive.writer(8000, source="desk", chunk_seconds=0.2) as writer,
        serving(phonobase) as (url, process),
    ):
        writer.write(np.zeros((8000, 1), np.int16))
        _wait(lambda: writer.frames_committed > 0)
        with httpx.stream(
            "GET", f"{url}/api/recordings/{writer.id}/audio?follow=1", timeout=WITHIN_S
        ) as live:
            assert live.status_code == 200
            process.send_signal(number)
            ended = finished(process)
    assert (ended.code, ended.err) == (0, "")


@contextlib.contextmanager
def _proxied(url: str, folder: Path) -> Iterator[str]:
    """Runs the real nginx before an address, with the example's settings, and yields its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    location = NGINX.read_text()
    assert location.count("http://127.0.0.1:8123") == 1
    (folder / "location.conf").write_text(location.replace("http://127.0.0.1:8123", url))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;"
        f" fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; include {folder}/location.conf; }} }}\n"
    )
    command = [require("nginx"), "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)


def test_nginx_may_stand_before_it(phonobase: Program, tmp_path: Path) -> None:
    """Ranges pass, what is live passes at once, pages may change things, and addresses are true."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    with Archive(phonobase.url) as archive:
        somebody = guest(archive, "write")
        with (
            archive.writer(8000, source="desk", chunk_seconds=0.2, encoding="pcm") as writer,
            serving(phonobase, "--require-token", "--forwarded-from", "127.0.0.1") as (url, _),
            _proxied(url, folder) as proxy,
            httpx.Client(base_url=proxy, timeout=WITHIN_S) as client,
        ):
            writer.write(np.ones((8000, 1), np.int16))
            _wait(lambda: writer.frames_committed > 0)
            path = f"/api/recordings/{writer.id}/audio"
            part = client.get(path, headers=somebody.shows | {"Range": "bytes=4-7"})
            whole = client.get(path, headers=somebody.shows)
            assert (part.status_code, part.content) == (206, whole.content[4:8])
            with client.stream("GET", f"{path}?follow=1", headers=somebody.shows) as live:
                sound = live.iter_raw()
                next(sound)
                for _ in range(3):  # each piece arrives although the next one is not made yet
                    writer.write(np.ones((4000, 1), np.int16))
                    assert next(sound)
            signed = client.post("/api/session", json={"token": somebody.word}, headers={"Origin": proxy})
            assert signed.status_code == 204
            edit = client.patch(path.removesuffix("/audio"), json={"title": "x"}, headers={"Origin": proxy})
            assert edit.status_code == 200, edit.text
            secure = httpx.post(
                f"{url}/api/session",
                json={"token": somebody.word},
                headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"},
            )
            assert "__Host-phonobase_session" in secure.headers["set-cookie"]
            assert "; Secure" in secure.headers["set-cookie"]
            forged = client.get("/api/me", headers=somebody.shows | {"X-Forwarded-For": "203.0.113.9"})
            assert forged.status_code == 200
    addresses = logged(Judge(phonobase.url), "address")
    assert set(addresses) == {"127.0.0.1", "192.0.2.7"}


def test_a_proxy_nobody_named_is_not_believed(phonobase: Program) -> None:
    """Whoever is not --forwarded-from says for nobody else where they are."""
    with Archive(phonobase.url) as archive:
        somebody = guest(archive)
    with serving(phonobase, "--forwarded-from", "10.0.0.0/8") as (url, _):
        headers = somebody.shows | {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        assert httpx.get(f"{url}/api/me", headers=headers).status_code == 200
    assert logged(Judge(phonobase.url), "address") == ["127.0.0.1"]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _wait(condition: object) -> None:
    ends = time.monotonic() + WITHIN_S
    while not condition():  # type: ignore[operator] # a function without arguments
        assert time.monotonic() < ends
        time.sleep(0.02)
