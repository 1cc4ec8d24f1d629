from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from phonobase.errors import DatabaseUnavailable
from phonobase.web import create_app, live, news
from phonobase.web.visitor import Scope, Visitor
from tests.store.judge import wait_until
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request

    from phonobase import Archive

RATE = 8192
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Told:
    """What somebody was told until now, in a thread of their own."""

    url: str
    comments: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_over: bool = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Told]:
        """Listens until the block ends, and begins once nothing will be missed."""
        with httpx.Client(timeout=60) as client, client.stream("GET", self.url) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            thread = threading.Thread(target=self._read, args=[answer])
            thread.start()
            try:
                wait_until(lambda: bool(self.comments))
                yield self
            finally:
                with contextlib.suppress(OSError):  # the other end may have closed it
                    answer.extensions["network_stream"].get_extra_info("socket").shutdown(2)
                thread.join()

    def _read(self, answer: httpx.Response) -> None:
        name = ""
        with contextlib.suppress(httpx.TransportError):
            for line in answer.iter_lines():
                kind, _, value = line.partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    self.events.append((name, json.loads(value)))
                elif line.startswith(":"):
                    self.comments.append(line)
        self.is_over = True


def _sound(seconds: float, loud: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.full((int(seconds * RATE), 1), loud, np.int16)


def _nobody_follows() -> bool:
    return not any(thread.name == "phonobase-news" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _left() -> Iterator[None]:
    """Sees to it that with the last who listens the following ends, too."""
    yield
    wait_until(_nobody_follows)


def test_a_recording_from_its_first_chunk_to_its_end(archive: Archive, address: str) -> None:
    """Who listens is told that a recording begins, of each chunk as it is committed, and of the end."""
    archive.add(b"\1\0" * 800, 8000, source="desk-3")
    with Told(f"{address}/api/live?source=desk-3").listening() as told:
        with archive.writer(RATE, source="desk-3", started_at=BEGAN, encoding="pcm") as writer:
            for number, loud in enumerate((16384, 8192), 1):
                writer.write(_sound(2, loud))
                wait_until(lambda number=number: len(told.events) > number)  # type: ignore[misc]
        wait_until(lambda: told.events[-1][0] == "ended")
    assert [name for name, _ in told.events] == ["began", "message", "message", "ended"]
    chunks = [said for name, said in told.events if name == "message"]
    assert [(each["first_frame"], each["frame_count"]) for each in chunks] == [
        (0, 2 * RATE),
        (2 * RATE, 2 * RATE),
    ]
    assert [each["peak_dbfs"] for each in chunks] == [-6.02, -12.04]
    assert [datetime.fromisoformat(each["started_at"]).second for each in chunks] == [0, 2]
    assert [datetime.fromisoformat(each["ended_at"]).second for each in chunks] == [2, 4]
    assert {said["recording_id"] for _, said in told.events} == {writer.id.hex}
    assert [said.get("state") for _, said in told.events] == ["recording", None, None, "complete"]


def test_the_level_within_a_chunk(archive: Archive, address: str) -> None:
    """A chunk's level is there in steps of about a tenth of a second; null is digital silence."""
    steps = [16384, 0, 1, 300, -32768, 1024, 77, 0]
    with (
        Told(f"{address}/api/live").listening() as told,
        archive.writer(RATE, source="desk-3", encoding="pcm") as writer,
    ):
        writer.write(np.repeat(np.array(steps, np.int16), 1024)[:, None])
        writer.write(_sound(2, 5))
        wait_until(lambda: any(name == "message" for name, _ in told.events))
    said = next(said for name, said in told.events if name == "message")
    assert said["step_frames"] == 1024
    expected = [None if not step else round(20 * np.log10(-(-abs(step) // 256) / 128), 2) for step in steps]
    assert said["steps_dbfs"][: len(steps)] == expected


def test_no_step_is_louder_than_the_chunk(archive: Archive, address: str) -> None:
    """Sound that is quieter than an outline can say has the level of its chunk, not that of a whole step."""
    with (
        Told(f"{address}/api/live").listening() as told,
        archive.writer(RATE, source="desk-3", encoding="pcm") as writer,
    ):
        writer.write(_sound(2.5, 3))
        wait_until(lambda: any(name == "message" for name, _ in told.events))
    said = next(said for name, said in told.events if name == "message")
    assert set(said["steps_dbfs"]) == {said["peak_dbfs"]} == {round(20 * np.log10(3 / 32768), 2)}


def test_only_what_one_asks_for_and_may_know(archive: Archive) -> None:
    """Who asks for a source is told of no other one; who asks for all, of those they may know of."""

    async def guest(_request: Request) -> Visitor:
        return Visitor("guest", Scope.READ, frozenset({"desk-1", "desk-2"}))

    for source in ("desk-1", "desk-2", "desk-3"):
        archive.add(b"\1\0" * 800, 8000, source=source)
    with served(create_app(archive, authenticate=guest)) as url:
        assert httpx.get(f"{url}/api/live?source=desk-3").status_code == 404
        assert httpx.get(f"{url}/api/live?source=desk-4").status_code == 404
        one, all_ = Told(f"{url}/api/live?source=desk-1"), Told(f"{url}/api/live")
        with one.listening(), all_.listening():
            for source in ("desk-3", "desk-2", "desk-1"):
                archive.add(b"\1\0" * 800, 8000, source=source)
            wait_until(lambda: len(one.events) == 1 and len(all_.events) == 2)
    assert [said["source"] for _, said in one.events] == ["desk-1"]
    assert [said["source"] for _, said in all_.events] == ["desk-2", "desk-1"]


def test_what_comes_as_a_whole_only_ends(archive: Archive, address: str) -> None:
    """A recording that is stored as a whole is not being heard; that it is there is told."""
    with Told(f"{address}/api/live").listening() as told:
        added = archive.add(b"\1\0" * 80_000, 8000, source="desk-3")
        wait_until(lambda: bool(told.events))
    assert [(name, said["recording_id"]) for name, said in told.events] == [("ended", added.id.hex)]


def test_a_beat_where_nothing_comes(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is heard a comment comes now and then."""
    monkeypatch.setattr(live, "_BEAT_S", 0.05)
    with Told(f"{address}/api/live").listening() as told:
        wait_until(lambda: len(told.comments) > 3)
    assert not told.events


def test_who_may_no_longer(archive: Archive) -> None:
    """Who would not be let in any more, or with other rights, is cut off, however much there is to tell."""
    visitor: Visitor | None = Visitor("guest")

    async def authenticate(_request: Request) -> Visitor | None:
        return visitor

    with served(create_app(archive, authenticate=authenticate)) as url:
        for other in (None, Visitor("guest", sources=frozenset())):
            visitor = Visitor("guest")
            with (
                Told(f"{url}/api/live").listening() as told,
                archive.writer(RATE, source="desk-3", chunk_seconds=0.1) as writer,
            ):
                visitor = other
                while not told.is_over:
                    writer.write(_sound(0.2, 1000))
                    time.sleep(0.05)


def test_two_hundred_listen(archive: Archive, address: str) -> None:
    """Two hundred who listen need one thread and no database connections of their own, and all are told."""
    host, port = address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection((host, int(port)), 60)) for _ in range(200)]
        for line in lines:
            line.sendall(f"GET /api/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for line in lines:
            _read_to(line, b": you are told")
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("phonobase-news") == 1
        assert len(names) < 100  # the server answers what does not go on in up to forty
        assert archive.engine.pool.checkedout() <= 2  # type: ignore[attr-defined]
        recording = archive.add(b"\1\0" * 800, 8000, source="desk-3")
        for line in lines:
            _read_to(line, recording.id.hex.encode())


def _read_to(line: socket.socket, wanted: bytes) -> None:
    found = b""
    while wanted not in found:
        came = line.recv(4096)
        assert came, found
        found += came


def test_who_takes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for somebody who takes nothing does not grow: they are told no more."""
    monkeypatch.setattr(news, "_WAITING_AT_MOST", 3)
    recording = archive.add(b"\1\0" * 800, 8000, source="desk-3")
    reader = news.Reader(lambda _source: True)
    for _ in range(10):
        reader.tell(news.Ended(recording))
    assert reader._waiting.qsize() <= 3


def test_the_database_goes(archive: Archive, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the archive cannot be followed the line ends, and who comes again is told again."""
    with monkeypatch.context() as patched:
        patched.setattr(news, "follow", _failing)
        patched.setattr(news, "_AWAY_AT_MOST_S", 1.0)
        with Told(f"{address}/api/live").listening() as told:
            wait_until(lambda: told.is_over)
    with Told(f"{address}/api/live").listening() as again:
        archive.add(b"\1\0" * 800, 8000, source="desk-3")
        wait_until(lambda: bool(again.events))


def test_the_database_goes_for_a_while(
    archive: Archive, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who listens is told all that came meanwhile, once, on the same line."""
    with monkeypatch.context() as patched, Told(f"{address}/api/live").listening() as told:
        archive.add(b"\1\0" * 800, 8000, source="first")
        wait_until(lambda: len(told.events) == 1)
        failed = threading.Event()

        def failing(*_: object, **__: object) -> None:
            failed.set()
            raise DatabaseUnavailable("gone")

        patched.setattr(news, "_items", failing)
        patched.setattr(news, "follow", failing)
        archive.add(b"\1\0" * 800, 8000, source="second")
        assert failed.wait(30)
        archive.add(b"\1\0" * 800, 8000, source="third")
        patched.undo()
        wait_until(lambda: len(told.events) == 3)
        assert not told.is_over
    assert [said["source"] for _, said in told.events] == ["first", "second", "third"]


def _failing(*_: object, **__: object) -> None:
    raise DatabaseUnavailable("gone")
