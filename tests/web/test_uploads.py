from __future__ import annotations

import io
import subprocess
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from phonobase import Archive, AudioFormat, Kind, write_take
from phonobase.pcm import SampleFormat
from phonobase.recorder.importing import store_whole
from phonobase.web import Limits, Scope, Visitor, create_app
from tests.store.judge import Program, ffmpeg_pcm, flac_pcm, frames_of, random_pcm, wait_until
from tests.support.require import require
from tests.web.mutants import DTYPES, RATE, bomb, wav, written
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fastapi import Request

    from phonobase.pcm import Frames

BEGAN = datetime(2026, 5, 1, 12, 3, 0, 250_000, tzinfo=UTC)
SOUND = random_pcm(2_000, 1, "int16")
FILE = wav(SOUND, 1, "int16")
OCTETS = {"Content-Type": "application/octet-stream"}


class Answer(Protocol):
    """What both kinds of clients give back."""

    status_code: int

    @property
    def text(self) -> str:
        """The body."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header."""

    def json(self) -> Any:  # noqa: ANN401 - whatever it holds
        """The body, parsed."""


@dataclass(frozen=True)
class Desk:
    """An archive that several tests add to, and who does."""

    archive: Archive
    client: TestClient
    program: Program


@pytest.fixture(scope="module")
def desk(shared_url: str) -> Iterator[Desk]:
    """An archive that is served for all tests here that only add to it."""
    with Archive(shared_url) as archive, TestClient(create_app(archive)) as client:
        yield Desk(archive, client, Program(shared_url))


@pytest.fixture
def unmoved(desk: Desk) -> Iterator[Desk]:
    """The same, for a test that must not add anything."""
    before = len(desk.archive.find(limit=None))
    yield desk
    assert len(desk.archive.find(limit=None)) == before


def _send(
    client: TestClient | httpx.Client, content: bytes = FILE, name: str = "sound", /, **fields: str
) -> Answer:
    said = {"source": "desk-3", **fields}
    return client.post("/api/recordings", files={"file": (name, content)}, data=said)


def _visited(archive: Archive, visitor: Visitor) -> TestClient:
    async def authenticate(_request: Request, /) -> Visitor:
        return visitor

    return TestClient(create_app(archive, authenticate=authenticate))


def _stored(desk: Desk, path: Path, source: str, dtype: str) -> bytes:
    """Returns the sound of the one recording of a source, as other programs decode it."""
    desk.program.write_clip(path, f"source = '{source}'")
    return flac_pcm(path) if path.read_bytes()[:4] == b"fLaC" else ffmpeg_pcm(path, dtype)


def _send_pcm(client: TestClient | httpx.Client, content: bytes, /, **asked: str | int) -> Answer:
    said: dict[str, Any] = {"source": "desk-3", "samplerate": 8_000, **asked}
    return client.post("/api/recordings/pcm", params=said, content=content, headers=OCTETS)


def _refused(answer: Answer, status: int) -> str:
    """Returns why a request was refused; fails the test where it was not, or not so."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    assert len(detail.splitlines()) == 1
    return detail


@pytest.mark.parametrize(
    ("container", "dtype"),
    [(kind, dtype) for kind in ("WAV", "WAVEX", "RF64", "AIFF") for dtype in DTYPES]
    + [("FLAC", "int16"), ("FLAC", "int24")],
)
def test_files_are_stored_bit_by_bit(desk: Desk, tmp_path: Path, container: str, dtype: str) -> None:
    """Every sample is as it was in the file, in the sample format that the file has."""
    pcm, source = random_pcm(20_000, 2, dtype), f"{container} {dtype}"
    answer = _send(desk.client, written(pcm, 2, dtype, container), source=source)
    assert answer.status_code == 201
    told = answer.json()
    assert (told["state"], told["sample_format"], told["sample_rate"]) == ("complete", dtype, RATE)
    assert (told["channels"], told["frame_count"]) == (2, 20_000)
    assert _stored(desk, tmp_path / "clip", source, dtype) == pcm


@pytest.mark.parametrize(
    ("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
def test_lossy_files(desk: Desk, container: str, subtype: str) -> None:
    """What is lossy is stored as it decodes, and what it was is kept."""
    content = written(random_pcm(8_000, 1, "int16"), 1, "int16", container, subtype)
    told = _send(desk.client, content).json()
    capture = desk.archive.get(told["id"]).capture
    assert (capture["container"], capture["subtype"], told["frame_count"]) == (container, subtype, 8_000)
    assert desk.archive.verify(told["id"]).ok


@pytest.mark.parametrize("dtype", DTYPES)
def test_pcm_is_stored_bit_by_bit(desk: Desk, tmp_path: Path, dtype: str) -> None:
    """PCM needs nothing around it but what it is."""
    pcm = random_pcm(300_000, 2, dtype)
    asked: dict[str, str | int] = {
        "source": f"raw {dtype}",
        "samplerate": 44_100,
        "channels": 2,
        "dtype": dtype,
        "title": "raw",
    }
    answer = _send_pcm(desk.client, pcm, **asked)
    assert answer.status_code == 201
    assert answer.json()["title"] == "raw"
    assert answer.json()["seconds"] == 300_000 / 44_100
    assert _stored(desk, tmp_path / "clip", f"raw {dtype}", dtype) == pcm


def test_what_is_said_of_it(desk: Desk) -> None:
    """All that can be said of a recording can be said of what is sent."""
    said = {
        "started_at": "2026-05-01T14:03:00.25+02:00",
        "title": "Complaint",
        "notes": "twice",
        "external_id": "case-4711",
        "tags": '{"queue": "billing", "line": 4}',
        "encoding": "pcm",
    }
    told = _send(desk.client, **said).json()
    stored = desk.archive.get(told["id"])
    assert stored.started_at == BEGAN
    assert (stored.source, stored.title, stored.notes) == ("desk-3", "Complaint", "twice")
    assert (stored.external_id, stored.tags, stored.encoding) == (
        "case-4711",
        {"queue": "billing", "line": 4},
        "pcm",
    )
    assert stored.capture["started_at_from"] == "user"


def test_nothing_is_said_of_it(desk: Desk) -> None:
    """Where nobody says when it began, it ended when it came; empty fields say nothing."""
    before = datetime.now(UTC)
    stored = desk.archive.get(_send(desk.client, title="", started_at="", tags="").json()["id"])
    assert before - timedelta(seconds=0.25) <= stored.started_at <= datetime.now(UTC)
    assert stored.capture["started_at_from"] == "upload"
    assert (stored.title, stored.tags) == ("sound", {})


@pytest.mark.parametrize("kind", [Kind.FLAC, Kind.BWF])
def test_an_exported_file_says_when_it_began(desk: Desk, kind: Kind) -> None:
    """What went out of one archive has its place in time in another."""
    desk.archive.add(random_pcm(4 * RATE, 1, "int16"), RATE, source=f"reef {kind}", started_at=BEGAN)
    exported = io.BytesIO()
    (take,) = desk.archive.cut(f"reef {kind}", BEGAN, BEGAN + timedelta(seconds=2)).takes
    write_take(desk.archive, take, kind, exported)
    stored = desk.archive.get(_send(desk.client, exported.getvalue()).json()["id"])
    assert stored.started_at == BEGAN
    assert stored.capture["started_at_from"] == "file"


def test_the_broadcast_wave_of_another(desk: Desk, tmp_path: Path) -> None:
    """Its time is in nobody knows which zone: it is kept, and not believed."""
    (tmp_path / "plain.wav").write_bytes(FILE)
    said = ("originator=Zoom", "origination_date=2026-03-01", "origination_time=14:00:07")
    subprocess.run(
        [require("ffmpeg"), "-v", "error", "-i", "plain.wav"]
        + [part for one in said for part in ("-metadata", one)]
        + ["-write_bext", "1", "other.wav"],
        cwd=tmp_path,
        check=True,
    )
    stored = desk.archive.get(_send(desk.client, (tmp_path / "other.wav").read_bytes()).json()["id"])
    assert stored.capture["began_locally"] == "2026-03-01T14:00:07"
    assert stored.capture["started_at_from"] == "upload"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\calls\\monday.wav", "monday.wav"),
        ("a\x7f\u202e.wav", "a.wav"),
        ("x" * 500, "x" * 200),
        ("Gespräch 3.wav", "Gespräch 3.wav"),
    ],
)
def test_the_name_of_a_file_is_a_title(desk: Desk, name: str, title: str) -> None:
    """It is nothing else: neither a path, nor anything that cannot be shown."""
    assert _send(desk.client, FILE, name).json()["title"] == title


def test_where_it_is(archive: Archive) -> None:
    """The answer says where the recording is to be had, wherever the application is mounted."""
    host = FastAPI()
    host.mount("/sound/archive", create_app(archive))
    with TestClient(host, base_url="http://127.0.0.1/sound/archive/") as client:
        file = client.post("api/recordings", files={"file": FILE}, data={"source": "desk-3"})
        asked: dict[str, Any] = {"source": "desk-3", "samplerate": 8_000}
        pcm = client.post("api/recordings/pcm", params=asked, content=SOUND, headers=OCTETS)
        for answer in (file, pcm):
            there = client.get(urljoin(str(answer.url), answer.headers["location"]))
            assert there.json() == answer.json()


@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"", 422, "it is empty"),
        (b"MZ\x90\x00" + bytes(500), 415, "it is neither WAV nor FLAC, AIFF, Ogg or MP3"),
        (written(SOUND, 1, "int16", "CAF"), 415, "it is neither WAV nor FLAC, AIFF, Ogg or MP3"),
        (written(SOUND, 1, "int16", "AU"), 415, "it is neither WAV nor FLAC, AIFF, Ogg or MP3"),
        (
            b"ID3\3\0\0\0\0\0\n" + bytes(10) + written(SOUND, 1, "int16", "AU"),
            415,
            "begins as MP3, and is AU",
        ),
        (FILE[:-1], 422, "the file holds 3999 of the 4000 bytes of sound that its header declares"),
        (FILE[:44], 422, "the file holds 0 of the 4000 bytes"),
        (wav(b"", 1, "int16"), 422, "the file holds no sound"),
        (wav(bytes(66 * 100), 33, "int16"), 415, "33 channels cannot be stored"),
        (wav(SOUND, 1, "int16", 2**32 - 1), 422, "the file is not sound that can be read"),
        (wav(SOUND, 1, "int16", 2**20), 415, "a sample rate of 1048576 Hz cannot be stored"),
        (wav(b"\0\0\xc0\x7f" * 100, 1, "float32"), 422, "the file: frame 0 holds NaN or infinity"),
        (written(SOUND, 1, "int16", "FLAC")[:-500], 422, "the file ends after"),
    ],
    ids=[
        "empty",
        "exe",
        "caf",
        "au",
        "id3-au",
        "cut",
        "head",
        "silent",
        "33",
        "endless",
        "fast",
        "nan",
        "flac",
    ],
)
def test_what_is_no_whole_file(unmoved: Desk, content: bytes, status: int, why: str) -> None:
    """It is refused in one line, whatever it is called, and nothing of it is stored."""
    answer = unmoved.client.post(
        "/api/recordings", files={"file": ("fine.wav", content, "audio/wav")}, data={"source": "desk-3"}
    )
    assert why in _refused(answer, status)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"source": ""}, "body.source: Field required"),
        ({"source": "desk\n3"}, "cannot name a source"),
        ({"tags": "{"}, "body.tags: Invalid JSON"),
        ({"tags": "[1]"}, "body.tags: Input should be a valid dictionary"),
        ({"tags": '{"a": NaN}'}, "tags must be names with JSON values"),
        ({"started_at": "2026-05-01T12:00:00"}, "body.started_at"),
        ({"started_at": "1770000000"}, "body.started_at"),
        ({"encoding": "mp3"}, "body.encoding"),
        ({"title": "a\0b"}, "the title holds a character that no text may hold"),
        ({"colour": "red"}, "body.colour: Extra inputs are not permitted"),
        ({"notes": "x" * 100_000}, "Part exceeded maximum size of 64KB"),
    ],
)
def test_what_cannot_be_said(unmoved: Desk, fields: dict[str, str], why: str) -> None:
    """A field that is wrong is named, and nothing is stored."""
    assert why in _refused(_send(unmoved.client, **fields), 422)


@pytest.mark.parametrize(
    ("asked", "content", "status", "why"),
    [
        ({}, SOUND, 422, "query.samplerate: Field required"),
        ({"samplerate": 0}, SOUND, 422, "a sample rate of 0 Hz cannot be stored"),
        ({"samplerate": 8_000, "channels": 33}, SOUND, 422, "33 channels cannot be stored"),
        ({"samplerate": 8_000, "dtype": "int8"}, SOUND, 422, "query.dtype"),
        ({"samplerate": 8_000}, b"", 422, "no frame was recorded"),
        ({"samplerate": 8_000}, SOUND[:-1], 422, "3999 bytes are no whole number of frames"),
        ({"samplerate": 8_000, "dtype": "float32"}, b"\0\0\xc0\x7f", 422, "frame 0 of a block holds NaN"),
        ({"samplerate": 1}, bytes(2 * 86_401), 413, "it is longer than 86400 seconds"),
    ],
)
def test_what_is_no_pcm(unmoved: Desk, asked: dict[str, Any], content: bytes, status: int, why: str) -> None:
    """PCM that is not what is said of it is refused, and nothing is stored."""
    said = {"source": "desk-3", **asked}
    answer = unmoved.client.post("/api/recordings/pcm", params=said, content=content, headers=OCTETS)
    assert why in _refused(answer, status)


def test_forms_that_are_none(unmoved: Desk) -> None:
    """A form has one file, each field once, and no end of neither parts nor headers."""
    send = unmoved.client.post
    source = {"source": "desk-3"}
    assert "send it as multipart/form-data" in _refused(send("/api/recordings", json=source), 415)
    assert "there is no file" in _refused(send("/api/recordings", data=source, files={"other": FILE}), 422)
    two = [("file", FILE), ("file", FILE)]
    assert "Maximum number of files is 1" in _refused(send("/api/recordings", data=source, files=two), 422)
    many = {f"field {number}": "x" for number in range(30)}
    assert "Maximum number of fields" in _refused(
        send("/api/recordings", data=source | many, files={"file": FILE}), 422
    )
    twice: list[tuple[str, Any]] = [
        ("file", ("a", FILE)),
        ("source", (None, "desk-3")),
        ("source", (None, "desk-4")),
    ]
    assert "a field came twice" in _refused(send("/api/recordings", files=twice), 422)
    for headers in ({f"X-{number}": "x" for number in range(100)}, {"X": "x" * 100_000}):
        part = {"file": ("a", FILE, "audio/wav", headers)}
        assert "Invalid multipart data" in _refused(send("/api/recordings", data=source, files=part), 422)
    typed = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"--y\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--"):
        _refused(send("/api/recordings", content=body, headers=typed), 422)
    untyped = {"Content-Type": "multipart/form-data"}
    assert "Missing boundary" in _refused(send("/api/recordings", content=b"x", headers=untyped), 422)


def test_who_may(archive: Archive) -> None:
    """Who may only look adds nothing; who may know of some sources adds to those, there already or not."""
    archive.add(SOUND, 8_000, source="board-room")
    with _visited(archive, Visitor("reader", Scope.READ)) as reader:
        assert "needs the scope write" in _refused(_send(reader), 403)
    with _visited(archive, Visitor("desk", Scope.WRITE, frozenset({"desk-3"}))) as desk:
        refusals = {
            _refused(_send(desk, source=name), 404).replace(name, "NAME")
            for name in ("board-room", "another", "desk-33")
        }
        assert len(refusals) == 1
        assert _send(desk).status_code == 201
        asked: dict[str, Any] = {"source": "board-room", "samplerate": 8_000}
        _refused(desk.post("/api/recordings/pcm", params=asked, content=SOUND, headers=OCTETS), 404)
    with _visited(archive, Visitor("everyone", Scope.WRITE)) as everyone:
        assert _send(everyone, source="new").status_code == 201
    assert len(archive.find(source="board-room")) == 1
    assert archive.sources() == ["board-room", "desk-3", "new"]


def _endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def test_a_file_that_is_too_large(archive: Archive) -> None:
    """It is refused by what it says, and where it says nothing, as soon as it is."""
    with served(create_app(archive, limits=Limits(upload_bytes=1_000_000))) as address:
        form: dict[str, Any] = {"source": (None, "desk-3"), "file": ("a", bytes(3_000_000))}
        with httpx.Client(base_url=address) as client:
            _refused(client.post("/api/recordings", files=form), 413)
            asked: dict[str, Any] = {"source": "desk-3", "samplerate": 8_000}
            _refused(
                client.post("/api/recordings/pcm", params=asked, content=bytes(1_000_002), headers=OCTETS),
                413,
            )
            almost: dict[str, Any] = {"source": (None, "desk-3"), "file": ("a", bytes(1_000_001))}
            assert "a file may have 1000000 bytes" in _refused(
                client.post("/api/recordings", files=almost), 413
            )
            assert (
                client.post(
                    "/api/recordings/pcm", params=asked, content=bytes(10**6), headers=OCTETS
                ).status_code
                == 201
            )
        headers = ("Transfer-Encoding: chunked", "Content-Type: application/octet-stream")
        told = subprocess.run(
            [require("curl"), "-sS", "--data-binary", "@-"]
            + [part for header in headers for part in ("-H", header)]
            + [f"{address}/api/recordings/pcm?source=desk-3&samplerate=8000"],
            input=bytes(5_000_000),
            capture_output=True,
            check=False,
        )
        assert b'"status":413' in told.stdout
    assert len(archive.find(source="desk-3")) == 1


@pytest.mark.parametrize("limits", [Limits(upload_seconds=60), Limits(upload_pcm_bytes=8 * 1024**2)])
def test_more_sound_than_is_taken(archive: Archive, limits: Limits) -> None:
    """A small file that decodes to more than is taken is refused, whatever it declares."""
    content = bytearray(bomb(130))
    nothing_declared = content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:]
    with TestClient(create_app(archive, limits=limits)) as client:
        for file in (content, nothing_declared):
            assert "frames (8000 Hz, 8 ch, int16)" in _refused(_send(client, bytes(file)), 413)
    assert archive.sources() == []


def test_no_more_at_once_than_are_taken(archive: Archive) -> None:
    """Who comes while all places are taken is told when to come again, before anything is received."""
    with served(create_app(archive, limits=Limits(uploads_at_once=1))) as address:
        hold, began = threading.Event(), threading.Event()

        def slowly() -> Iterator[bytes]:
            yield SOUND
            began.set()
            hold.wait()
            yield SOUND

        asked: dict[str, Any] = {"source": "desk-3", "samplerate": 8_000}
        with httpx.Client(base_url=address, timeout=60) as first, httpx.Client(base_url=address) as second:
            answers: list[Answer] = []
            holding = threading.Thread(
                target=lambda: answers.append(
                    first.post("/api/recordings/pcm", params=asked, content=slowly(), headers=OCTETS)
                )
            )
            holding.start()
            began.wait()
            busy: list[Answer] = []

            def refused() -> bool:
                busy.append(_send(second))
                return busy[-1].status_code == 503

            wait_until(refused)
            assert busy[-1].headers["retry-after"] == "5"
            hold.set()
            holding.join()
            assert [answer.status_code for answer in answers] == [201]
            assert _send(second).status_code == 201


def test_recorders_get_their_turn(archive: Archive) -> None:
    """While sound is stored as a whole, others commit; until its end it is no recording that is complete."""
    seen = []

    def sound() -> Iterator[Frames]:
        for number in range(3):
            yield frames_of(random_pcm(10 * RATE, 1, "int16"), 1, "int16")
            wait_until(lambda: bool(archive.find(source="desk-3")))
            archive.add(SOUND, RATE, source=f"recorder {number}")
            seen.append(
                [(each.state, each.capture["whole_or_nothing"]) for each in archive.find(source="desk-3")]
            )

    form = AudioFormat(RATE, 1, SampleFormat.INT16)
    stored = store_whole(archive, sound(), form, source="desk-3")
    assert seen == [[("recording", True)]] * 3
    assert archive.sources() == ["desk-3", "recorder 0", "recorder 1", "recorder 2"]
    assert archive.get(stored.id).state == "complete"
