"""A stretch of a source's time, taken along over HTTP."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.testclient import TestClient

from phonobase.store import delivery
from phonobase.web import Limits, Scope, Visitor, create_app, cuts, site
from tests.cli.program import Program
from tests.store.judge import ffmpeg_pcm, flac_pcm, flac_test, random_pcm, wait_until
from tests.web.asking import ask_and_leave, asking
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request

    from phonobase import Archive

RATE = 8_000
START = datetime(2026, 3, 1, 14, tzinfo=UTC)
PCM = random_pcm(10 * RATE, 1, "int16")
STEREO = random_pcm(5 * 48_000, 2, "int16")
SECOND = 2 * RATE


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _stretch(first: float, last: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters
    return {"source": "desk", "from": _at(first), "to": _at(last), **more}


@pytest.fixture
def desk(archive: Archive) -> Archive:
    """What is heard from 0 to 10 s, in two recordings, and, after a pause, until 17 s in stereo."""
    for first, last in ((0, 4), (4, 10)):
        moment = START + timedelta(seconds=first)
        archive.add(PCM[SECOND * first : SECOND * last], RATE, source="desk", started_at=moment)
    archive.add(STEREO, 48_000, 2, source="desk", started_at=START + timedelta(seconds=12))
    archive.add_gap("desk", START + timedelta(seconds=10), START + timedelta(seconds=12), "paused")
    return archive


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _name(answer: Any) -> str:  # noqa: ANN401 - of either client
    said = Message()
    said["Content-Disposition"] = answer.headers["content-disposition"]
    assert said.get_content_disposition() == "attachment"
    return str(said.get_filename())


@pytest.mark.parametrize(
    ("kind", "suffix", "media_type"),
    [
        (None, ".flac", "audio/flac"),
        ("flac", ".flac", "audio/flac"),
        ("wav", ".wav", "audio/wav"),
        ("bwf", ".wav", "audio/wav"),
    ],
)
def test_one_file(
    desk: Archive,
    client: TestClient,
    temporary: Path,
    tmp_path: Path,
    kind: str | None,
    suffix: str,
    media_type: str,
) -> None:
    """A stretch across recordings is one file, sample by sample what was heard, named by source and time."""
    assert desk.sources() == ["desk"]
    more = {"format": kind} if kind else {}
    answer = client.get("/api/cut", params=_stretch(1.5, 9.25, **more))
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert _name(answer) == f"desk_20260301T140001.500000Z{suffix}"
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(answer.content)
    expected = PCM[int(1.5 * SECOND) : int(9.25 * SECOND)]
    assert ffmpeg_pcm(path, "int16") == expected
    if suffix == ".flac":
        flac_test(path)
        assert flac_pcm(path) == expected
    assert not [*temporary.iterdir()]


def test_opus(desk: Archive, client: TestClient, tmp_path: Path) -> None:
    """As Opus it is what ffmpeg decodes to the same length."""
    assert desk.sources() == ["desk"]
    answer = client.get("/api/cut", params=_stretch(0, 10, format="opus"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/ogg")
    path = tmp_path / _name(answer)
    assert path.suffix == ".opus"
    path.write_bytes(answer.content)
    assert len(ffmpeg_pcm(path, "int16")) == 10 * 48_000 * 2


@pytest.mark.parametrize("gaps", ["silence", "split"])
def test_with_a_manifest(
    desk: Archive, client: TestClient, temporary: Path, tmp_path: Path, gaps: str
) -> None:
    """Several files come as a ZIP, uncompressed, and with their manifest each proves itself without us."""
    url = desk.engine.url.render_as_string(hide_password=False)
    answer = client.get("/api/cut", params=_stretch(1, 17, gaps=gaps, manifest="true", labels=["vtt", "txt"]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert _name(answer) == "desk_20260301T140001.000000Z.zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        assert zipped.testzip() is None
        assert all(info.compress_type == zipfile.ZIP_STORED for info in zipped.infolist())
        zipped.extractall(tmp_path)
    first, second = "desk_20260301T140001.000000Z.flac", "desk_20260301T140012.000000Z.flac"
    manifest = "desk_20260301T140001.000000Z.manifest.json"
    labels = [f"{name}.{kind}" for name in (first, second) for kind in ("txt", "vtt")]
    assert sorted(zipped.namelist()) == sorted([first, second, manifest, *labels])
    silence = bytes(2 * SECOND) if gaps == "silence" else b""
    assert flac_pcm(tmp_path / first) in (PCM[SECOND:], PCM[SECOND:] + silence)
    assert flac_pcm(tmp_path / second) == STEREO
    for name in (first, second):
        Program(url, tmp_path)("verify", name, "--manifest", manifest).ok()
    assert not [*temporary.iterdir()]


def test_one_file_with_a_manifest(desk: Archive, client: TestClient, tmp_path: Path) -> None:
    """With a manifest one file comes in a ZIP, too, and what is as the command would have written it."""
    url = desk.engine.url.render_as_string(hide_password=False)
    answer = client.get("/api/cut", params=_stretch(2, 6, manifest="true", format="wav"))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        name, manifest = zipped.namelist()
        zipped.extractall(tmp_path / "ours")
    program = Program(url, tmp_path)
    period = ("--source", "desk", "--from", _at(2), "--to", _at(6))
    program("export", *period, "--format", "wav", "-o", tmp_path / "theirs", "--gaps", "split").ok()
    assert (tmp_path / "theirs" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()
    assert manifest == f"{name}.manifest.json"
    Program(url, tmp_path / "ours")("verify", name, "--manifest", manifest).ok()


_REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an unknown source": (_stretch(0, 10) | {"source": "reef"}, 404, "reef"),
    "no sound": (_stretch(10.5, 11.5), 404, "nothing of desk was heard"),
    "long before": (_stretch(-1000, -990), 404, "nothing of desk was heard"),
    "a gap, and none wanted": (_stretch(1, 17, gaps="error"), 409, "paused"),
    "backwards": (_stretch(5, 2), 422, "cannot end"),
    "of no length": (_stretch(5, 5), 422, "cannot end"),
    "too long": (_stretch(0, 86_401), 422, "86400 seconds"),
    "still to come": (
        _stretch(0, 10) | {"to": "2999-01-01T00:00:00Z", "from": "2998-12-31T23:00:00Z"},
        422,
        "come",
    ),
    "no zone": (_stretch(0, 10) | {"from": "2026-03-01T14:00:00"}, 422, "from"),
    "no time": (_stretch(0, 10) | {"to": "noon"}, 422, "to"),
    "an unknown policy": (_stretch(0, 10, gaps="beep"), 422, "gaps"),
    "an unknown kind": (_stretch(0, 10, format="mp3"), 422, "format"),
    "unknown labels": (_stretch(0, 10, labels="srt"), 422, "labels"),
    "no source": ({"from": _at(0), "to": _at(1)}, 422, "source"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_refused(desk: Archive, client: TestClient, temporary: Path, case: str) -> None:
    """What cannot be cut is refused with the problem that says why, and leaves nothing behind."""
    assert desk.sources() == ["desk"]
    params, status, said = _REFUSED[case]
    answer = client.get("/api/cut", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert not [*temporary.iterdir()]


def test_not_theirs(desk: Archive) -> None:
    """A source that is not theirs is to them as one that is not there."""

    async def authenticate(_request: Request, /) -> Visitor:
        return Visitor("guest", Scope.READ, frozenset({"reef"}))

    with TestClient(create_app(desk, authenticate=authenticate)) as guest:
        answers = [
            guest.get("/api/cut", params=_stretch(0, 1) | {"source": name}) for name in ("desk", "moon")
        ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace("desk", "") == answers[1].text.replace("moon", "")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Holds every cut before its first file is whole; says when one is, and lets all go on."""
    begun, may_go_on = threading.Event(), threading.Event()

    def slowly(archive: Any, cut: Any, plans: Any, place: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        with place.writing(plans[0].path.with_name("first")) as out:
            out.write(b"some")
        begun.set()
        while not may_go_on.wait(0.02):
            place.unnamed(plans[0].path)  # as it is asked for at every step
        return delivery.deliver(archive, cut, plans, place, *more, **named)

    monkeypatch.setattr(cuts, "deliver", slowly)
    yield begun, may_go_on
    may_go_on.set()


def test_whoever_leaves_leaves_nothing_behind(
    desk: Archive, temporary: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    """When a client goes while its file is made, the work ends and what was made is removed."""
    begun, _ = held
    query = "&".join(f"{name}={value}" for name, value in _stretch(1, 9).items()).replace("+", "%2B")
    seen = threading.Event()
    with served(create_app(desk)) as address, ThreadPoolExecutor(1) as thread:
        leaving = thread.submit(ask_and_leave, f"{address}/api/cut?{query}", seen)
        assert begun.wait(30)
        assert [*temporary.iterdir()]
        seen.set()
        leaving.result(30)
        wait_until(lambda: not [*temporary.iterdir()])


def test_only_so_many_at_once(
    desk: Archive,
    temporary: Path,
    held: tuple[threading.Event, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where others are having files made, one waits for a while, and is then told when to come again."""
    begun, may_go_on = held
    monkeypatch.setattr(site, "_PATIENCE_S", 0.2)
    app = create_app(desk, limits=Limits(cuts_at_once=1))
    with TestClient(app) as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(client.get, "/api/cut", params=_stretch(0, 4))
        assert begun.wait(30)
        refused = client.get("/api/cut", params=_stretch(0, 4))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"
        may_go_on.set()
        assert first.result(30).status_code == 200
        assert client.get("/api/cut", params=_stretch(0, 4)).content == first.result().content
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"cut_files": 2}, 429),
        ({"cut_bytes": 30_000_000}, 429),
        ({"cut_files_of_all": 2}, 503),
        ({"cut_bytes_of_all": 30_000_000}, 503),
    ],
    ids=str,
)
def test_files_that_nobody_takes_are_few(
    archive: Archive, temporary: Path, limits: dict[str, int], status: int
) -> None:
    """Who reads slowly gets no more of them, until the others are sent or their readers have gone."""
    archive.add(random_pcm(1_200 * RATE, 1, "int16"), RATE, source="desk", started_at=START)
    stretch = _stretch(0, 1_200, format="wav")
    query = "&".join(f"{name}={value}" for name, value in stretch.items()).replace("+", "%2B")
    with served(create_app(archive, limits=Limits(**limits))) as address:
        url = f"{address}/api/cut?{query}"
        with asking(url) as first:
            assert first.status == 200
            with asking(url) as second:
                assert second.status == 200
                wait_until(lambda: len(_unnamed(temporary)) == 2)
                refused = httpx.get(f"{address}/api/cut", params=stretch)
                assert (refused.status_code, refused.headers["retry-after"]) == (status, "30")
                assert len(_unnamed(temporary)) == 2
                assert len(second.read()) > 1_200 * SECOND
            wait_until(lambda: len(_unnamed(temporary)) == 1)
            assert httpx.get(f"{address}/api/cut", params=stretch).status_code == 200
        wait_until(lambda: not _unnamed(temporary))
        for _ in range(3):
            assert httpx.get(f"{address}/api/cut", params=stretch).status_code == 200


def _unnamed(folder: Path) -> list[str]:
    """Return the files of a folder that this process has open although they are gone."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return [name for name in found if name.startswith(str(folder))]


def test_a_full_disk_says_what_helps(
    desk: Archive, client: TestClient, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for the file, a shorter one may fit."""
    assert desk.sources() == ["desk"]

    def deliver(*_given: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cuts, "deliver", deliver)
    answer = client.get("/api/cut", params=_stretch(0, 4))
    assert (answer.status_code, answer.headers["content-type"]) == (507, "application/problem+json")
    assert "cut a shorter stretch" in answer.json()["detail"]
    assert not [*temporary.iterdir()]
