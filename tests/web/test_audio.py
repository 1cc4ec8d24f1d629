"""A recording as a file over HTTP: whole, by its name, while it changes, and where bytes are missing."""

from __future__ import annotations

import asyncio
import gc
import http.client
import time
import tracemalloc
from email.message import Message
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from phonobase.web import Scope, Visitor, create_app
from tests.store.judge import (
    Program,
    Raw,
    checks_md5,
    ffmpeg_pcm,
    flac_pcm,
    frames_of,
    random_pcm,
    wait_until,
)
from tests.web.asking import asking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import Request
    from starlette.types import Message as Asgi

    from phonobase import Archive

_RATE = 8_000
_BYTES = 16 * 1024 * 1024
_LONG = _BYTES // 2


def _url(recording_id: UUID) -> str:
    return f"/api/recordings/{recording_id.hex}/audio"


@pytest.mark.parametrize(
    ("dtype", "encoding", "kind"),
    [("int16", "flac", "audio/flac"), ("int24", "flac", "audio/flac"), ("float32", "pcm", "audio/wav")],
)
def test_the_file(
    archive: Archive, client: TestClient, tmp_path: Path, dtype: str, encoding: str, kind: str
) -> None:
    """What comes is the header and the rows behind it, byte for byte, as the media type says."""
    pcm = random_pcm(5 * _RATE, 2, dtype)
    recording = archive.add(pcm, _RATE, 2, dtype, encoding=encoding)
    answer = client.get(_url(recording.id))
    stored = Program(archive.engine.url.render_as_string(hide_password=False)).write_clip(tmp_path / "stored")
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.content == stored.read_bytes()
    assert answer.headers["content-length"] == str(len(answer.content))
    (tmp_path / "file").write_bytes(answer.content)
    assert ffmpeg_pcm(tmp_path / "file", dtype) == pcm


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_recording(archive: Archive, client: TestClient, method: str) -> None:
    """What is not there is not found, with the problem that says so."""
    archive.add(random_pcm(_RATE, 1, "int16"), _RATE)
    answer = client.request(method, _url(UUID(int=7)))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.request(method, "/api/recordings/7/audio").status_code == 422


def test_not_theirs(archive: Archive) -> None:
    """A recording of a source that is not theirs is to them as one that is not there, ranges or none."""

    async def authenticate(_request: Request, /) -> Visitor:
        return Visitor("guest", Scope.READ, frozenset({"desk"}))

    recording = archive.add(random_pcm(_RATE, 1, "int16"), _RATE, source="reef")
    with TestClient(create_app(archive, authenticate=authenticate)) as guest:
        for headers in ({}, {"Range": "bytes=0-0"}, {"If-Match": '"a"'}, {"Range": "bytes=999999999-"}):
            answer = guest.get(_url(recording.id), headers=headers)
            nothing = guest.get(_url(UUID(int=7)), headers=headers)
            assert answer.status_code == nothing.status_code == 404
            assert answer.text.replace(recording.id.hex, "") == nothing.text.replace(UUID(int=7).hex, "")


@pytest.mark.parametrize(
    ("source", "plain", "name"),
    [
        ("desk-3", "desk-3", "desk-3"),
        ('a"; filename="b.exe', "a___filename__b_exe", "a___filename__b_exe"),
        ("../../etc/passwd", "______etc_passwd", "______etc_passwd"),
        ("Größe", "Gr__e", "Größe"),
        ("日本", "__", "日本"),
        ("a%0d%0aSet-Cookie: x", "a_0d_0aSet-Cookie__x", "a_0d_0aSet-Cookie__x"),
        ("\u2028\u202e;=\\", "_____", "_____"),
    ],
)
def test_names(archive: Archive, client: TestClient, source: str, plain: str, name: str) -> None:
    """The file is named by its source and time, whatever the source is called, and by nothing else."""
    recording = archive.add(random_pcm(_RATE, 1, "int16"), _RATE, source=source, title='x"\r\nA: b')
    end = f"_{recording.started_at:%Y%m%dT%H%M%SZ}_{recording.id.hex[-8:]}.flac"
    for query, kind in (("", "inline"), ("?download=1", "attachment"), ("?download=0", "inline")):
        said = client.head(_url(recording.id) + query).headers["content-disposition"]
        assert said.isascii()
        assert said.isprintable()
        assert said.startswith(f'{kind}; filename="{plain}{end}"')
        parsed = Message()
        parsed["Content-Disposition"] = said
        assert parsed.get_content_disposition() == kind
        extended = Message()
        extended["Content-Disposition"] = said.replace(f' filename="{plain}{end}";', "")
        assert extended.get_filename() == name + end


def test_as_it_grows(archive: Archive, client: TestClient, tmp_path: Path) -> None:
    """An open recording plays as far as it is committed, and is another one after each commit and the end."""
    pcm, tags = random_pcm(9 * _RATE, 1, "int16"), list[str]()
    frames = frames_of(pcm, 1, "int16")
    with archive.writer(_RATE, chunk_seconds=1) as writer:
        for second in (3, 6, 9):
            writer.write(frames[(second - 3) * _RATE : second * _RATE])
            wait_until(lambda least=second - 2: writer.frames_committed >= least * _RATE)  # type: ignore[misc]
            answer = client.get(_url(writer.id))
            (tmp_path / "file.flac").write_bytes(answer.content)
            committed = flac_pcm(tmp_path / "file.flac")
            assert len(committed) >= 2 * (second - 2) * _RATE
            assert committed == pcm[: len(committed)]
            assert "last-modified" not in answer.headers
            tags.append(answer.headers["etag"])
    closed = client.get(_url(writer.id))
    tags.append(closed.headers["etag"])
    assert len(set(tags)) == 4
    (tmp_path / "file.flac").write_bytes(closed.content)
    assert checks_md5(tmp_path / "file.flac")
    assert flac_pcm(tmp_path / "file.flac") == pcm
    for tag in tags[:3]:
        headers = {"Range": "bytes=1000-", "If-Range": tag}
        assert client.get(_url(writer.id), headers=headers).content == closed.content
        assert client.get(_url(writer.id), headers={"If-Match": tag}).status_code == 412


def test_an_edit_changes_no_byte(archive: Archive, client: TestClient) -> None:
    """What people say of a recording is not in its file, so its tag stays."""
    recording = archive.add(random_pcm(_RATE, 1, "int16"), _RATE)
    before = client.get(_url(recording.id))
    archive.edit(recording.id, title="another")
    after = client.get(_url(recording.id), headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 304


def test_it_grows_on_the_way(archive: Archive, address: str, tmp_path: Path) -> None:
    """What was begun is finished as it was then, whole and of the length that was said."""
    pcm = random_pcm(_LONG, 1, "int16")
    frames = frames_of(pcm, 1, "int16")
    with archive.writer(48_000, encoding="pcm") as writer:
        writer.write(frames[:-48_000])
        wait_until(lambda: writer.frames_committed > _LONG - 5 * 48_000)
        with asking(address + _url(writer.id)) as answer:
            writer.write(frames[-48_000:])
            writer.close()
            content = answer.read()
    assert len(content) == int(answer.headers["content-length"])
    (tmp_path / "file.wav").write_bytes(content)
    heard = ffmpeg_pcm(tmp_path / "file.wav", "int16")
    assert 2 * (_LONG - 5 * 48_000) < len(heard) < len(pcm)
    assert heard == pcm[: len(heard)]


def test_it_is_deleted_on_the_way(archive: Archive, address: str, caplog: pytest.LogCaptureFixture) -> None:
    """Of a recording that goes on the way the connection breaks: what came is not taken for the whole."""
    recording = archive.add(bytes(_BYTES), 48_000, encoding="pcm")
    with asking(address + _url(recording.id)) as answer:
        archive.delete(recording.id, "nobody may have it")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    said = [each for each in caplog.records if each.name.startswith("phonobase")]
    assert [(each.levelname, each.exc_info) for each in said] == [("WARNING", None)]
    assert said[0].message.startswith("an answer is broken off: ")
    with asking(address + _url(recording.id)) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("table", ["phono_audio", "phono_chunk"])
@pytest.mark.parametrize("seq", [0, 5])
def test_bytes_are_missing(archive_url: str, archive: Archive, address: str, table: str, seq: int) -> None:
    """Where nothing can be had it is said so; where bytes are missing further on, the connection breaks."""
    recording = archive.add(bytes(_BYTES), 48_000, encoding="pcm")
    with Raw(archive_url) as raw:
        assert raw.run(f"DELETE FROM {table} WHERE seq = {seq}") == 1
    with asking(address + _url(recording.id)) as answer:
        if seq == 0:
            assert answer.status == 500
            assert answer.headers["content-type"] == "application/problem+json"
            assert recording.id.hex.encode() not in answer.read()
        else:
            assert answer.status == 200
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                answer.read()
    behind = len(recording.header) + 7 * 192_000
    with asking(address + _url(recording.id), {"Range": f"bytes={behind}-{behind + 9}"}) as answer:
        assert answer.read() == bytes(10)


def test_the_client_goes(archive: Archive, address: str) -> None:
    """Once a client is gone, the database is not asked for the rest."""
    recording = archive.add(bytes(4 * _BYTES), 48_000, encoding="pcm")
    asked = _fetches(archive)
    with asking(address + _url(recording.id)) as answer:
        answer.read(1000)
    time.sleep(1)  # it is all asked for within less, unless it ends
    assert asked() < _BYTES // 1024**2


def test_a_slow_client_holds_no_connection(archive: Archive, address: str) -> None:
    """While somebody reads slowly, no connection to the database is held for them."""
    recording = archive.add(bytes(4 * _BYTES), 48_000, encoding="pcm")
    asked = _fetches(archive)
    with asking(address + _url(recording.id)) as answer:
        answer.read(1000)
        wait_until(lambda: not _busy(archive))
        before = asked()
        assert before < 4 * _BYTES // 1024**2
        assert len(answer.read()) == recording.file_bytes - 1000
        assert asked() > before


def test_memory(archive: Archive) -> None:
    """Sending a long recording takes no more memory than sending a short one."""
    recording = archive.add(bytes(4 * _BYTES), 48_000, encoding="pcm")
    app, sent = create_app(archive), 0

    async def receive() -> Asgi:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Asgi) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    scope = {
        "type": "http",
        "method": "GET",
        "path": _url(recording.id),
        "raw_path": _url(recording.id).encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "app": app,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    gc.collect()
    tracemalloc.start()
    try:
        asyncio.run(app(scope, receive, send))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == recording.file_bytes
    assert peak < 16 * 1024**2


def _fetches(archive: Archive) -> Callable[[], int]:
    """Returns a function that tells how often audio was fetched since."""
    count = 0

    @sa.event.listens_for(archive.engine, "before_cursor_execute")
    def counting(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal count
        count += "phono_audio" in statement

    return lambda: count


def _busy(archive: Archive) -> bool:
    pool = archive.engine.pool
    assert isinstance(pool, sa.pool.QueuePool)
    return pool.checkedout() > 0
