from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from phonobase.web import Scope
from tests.web.visitors import asking

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from phonobase import Archive, Recording
    from tests.store.judge import Program

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PCM = bytes(range(256)) * 100
SAID: dict[str, Any] = {"title": "A", "notes": "B", "external_id": "C", "tags": {"a": 1, "b": {"c": [None]}}}


@pytest.fixture
def stored(archive: Archive) -> Recording:
    """A recording of which something is said."""
    return archive.add(PCM, 8000, source="desk-3", started_at=NOON, **SAID)


def _clip(program: Program, column: str) -> str:
    return program.value(f"SELECT {column} FROM phono_clips")


def test_a_recording_is_what_the_database_says(
    client: TestClient, stored: Recording, program: Program
) -> None:
    """What is said of a recording is what its row says, to SQL as to HTTP, by its id in either form."""
    said = client.get(f"/api/recordings/{stored.id}").json()
    assert said == client.get(f"/api/recordings/{stored.id.hex}").json()
    assert said["id"] == _clip(program, "id").replace("-", "")
    for column in ("source", "title", "notes", "external_id", "encoding", "media_type", "state"):
        assert said[column] == _clip(program, column)
    for column in ("frame_count", "byte_count", "chunk_count", "sample_rate", "channels", "clipped_frames"):
        assert said[column] == int(_clip(program, column))
    for column in ("seconds", "peak_dbfs", "rms_dbfs"):
        assert said[column] == pytest.approx(float(_clip(program, column)), rel=1e-12)
    assert said["tags"] == json.loads(_clip(program, "tags"))
    assert (said["started_at"], said["ended_at"]) == ("2026-03-01T12:00:00Z", "2026-03-01T12:00:01.600000Z")


def test_digital_silence_has_no_level(archive: Archive, client: TestClient) -> None:
    """JSON has no infinity, so silence has null for its levels."""
    recording = archive.add(bytes(1600), 8000)
    said = client.get(f"/api/recordings/{recording.id.hex}").json()
    assert (said["peak_dbfs"], said["rms_dbfs"]) == (None, None)


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ({"title": "x"}, {"title": "x"}),
        ({"title": None, "notes": ""}, {"title": None, "notes": None}),
        ({"external_id": "order-1"}, {"external_id": "order-1"}),
        ({"tags": {"d": [1.5]}}, {"tags": {"a": 1, "b": {"c": [None]}, "d": [1.5]}}),
        ({"untag": ["a", "nothing"]}, {"tags": {"b": {"c": [None]}}}),
        ({"untag": ["b"], "tags": {"b": 2}, "notes": "ü"}, {"tags": {"a": 1, "b": 2}, "notes": "ü"}),
    ],
    ids=str,
)
def test_what_is_said_is_changed(
    client: TestClient, stored: Recording, program: Program, edit: dict[str, Any], changed: dict[str, Any]
) -> None:
    """An edit changes what it names and nothing else, in the database as in the answer."""
    before = client.get(f"/api/recordings/{stored.id.hex}").json()
    after = client.patch(f"/api/recordings/{stored.id.hex}", json=edit)
    assert (after.status_code, after.json()) == (200, before | changed)
    for column in ("title", "notes", "external_id"):
        assert (_clip(program, column) or None) == after.json()[column]
    assert json.loads(_clip(program, "tags")) == after.json()["tags"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{}", 422),
        ('{"titel": "x"}', 422),
        ('{"title": 5}', 422),
        ('{"tags": null}', 422),
        ('{"tags": {"a": NaN}}', 422),
        ('{"tags": {"a": "\\u0000"}}', 422),
        ('{"title": "\\ud800"}', 422),
        ('{"\\ud800": 1}', 422),
        ('{"title": "x", "tags": ' + '{"a":' * 500 + "1" + "}" * 500 + "}", 422),
        ("[" * 100_000, 400),
        ("[", 422),
        ("\xff", 400),
        ("", 422),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_edit_that_means_nothing_changes_nothing(
    client: TestClient, archive: Archive, stored: Recording, body: str, status: int
) -> None:
    """A slip, what is no JSON, and what no database takes are refused with a problem, and nothing changes."""
    headers = {"Content-Type": "application/json"}
    answer = client.patch(f"/api/recordings/{stored.id.hex}", content=body.encode("latin-1"), headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert archive.get(stored.id) == stored


def test_only_who_may_write_edits(archive: Archive, stored: Recording) -> None:
    """Who may only read changes nothing; who may write does, but not what is not theirs."""
    edit = {"title": "x"}
    path = f"/api/recordings/{stored.id.hex}"
    assert asking(archive, "desk-3").patch(path, json=edit).status_code == 403
    assert asking(archive, "another", scope=Scope.WRITE).patch(path, json=edit).status_code == 404
    assert archive.get(stored.id) == stored
    assert asking(archive, "desk-3", scope=Scope.WRITE).patch(path, json=edit).json()["title"] == "x"


@pytest.mark.parametrize("below", ["", "/annotations", "/gaps", "/audio", "/peaks?width=10"])
def test_anothers_recording_is_as_one_that_is_not_there(
    archive: Archive, stored: Recording, below: str
) -> None:
    """A recording that is not theirs is answered to, word for word, as one that there is not."""
    client = asking(archive, "another")
    ids = (stored.id.hex, "0" * 8 + stored.id.hex[8:])
    answers = [client.get(f"/api/recordings/{each}{below}") for each in ids]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text == answers[1].text.replace(ids[1], ids[0])
    assert answers[0].json()["detail"] == f"no recording has the id {stored.id.hex}"


def test_annotations(archive: Archive, client: TestClient, stored: Recording) -> None:
    """What is said of stretches is listed in their order, with the time they stand for."""
    late = archive.annotate(stored.id, 8000, 0, "note", author="Anna")
    early = archive.annotate(stored.id, 4000, 2000, "transcript", "Good morning", 0.5, author="program 1")
    shared = {"recording_id": stored.id.hex, "source": "desk-3"}
    found = client.get(f"/api/recordings/{stored.id.hex}/annotations").json()["annotations"]
    assert [each.pop("created_at")[:2] for each in found] == ["20", "20"]
    assert found == [
        shared
        | {
            "id": early.id.hex,
            "started_at": "2026-03-01T12:00:00.500000Z",
            "ended_at": "2026-03-01T12:00:00.750000Z",
            "first_frame": 4000,
            "frame_count": 2000,
            "kind": "transcript",
            "text": "Good morning",
            "score": 0.5,
            "author": "program 1",
        },
        shared
        | {
            "id": late.id.hex,
            "started_at": "2026-03-01T12:00:01Z",
            "ended_at": "2026-03-01T12:00:01Z",
            "first_frame": 8000,
            "frame_count": 0,
            "kind": "note",
            "text": None,
            "score": None,
            "author": "Anna",
        },
    ]


def test_gaps_inside(archive: Archive, client: TestClient) -> None:
    """The losses inside a recording are listed in frames; those beside it are not its own."""
    archive.add_gap("desk-3", NOON - timedelta(seconds=1), NOON, "paused")
    with archive.writer(8000, source="desk-3", started_at=NOON) as writer:
        writer.lose(800, "overflow", "test")
        writer.lose(0, "device-lost", "unknown")
    found = client.get(f"/api/recordings/{writer.id.hex}/gaps").json()["gaps"]
    assert [(each["cause"], each["first_frame"], each["frame_count"], each["seconds"]) for each in found] == [
        ("overflow", 0, 800, 0.1),
        ("device-lost", 800, 0, 0.0),
    ]
    assert {each["recording_id"] for each in found} == {writer.id.hex}


@pytest.mark.parametrize("wrong", ["zz", "last", "0" * 31, "%00"])
def test_what_is_no_id_is_refused(client: TestClient, wrong: str) -> None:
    """Only whole ids name recordings here: a part of one, or a word, might come to mean another one."""
    answer = client.get(f"/api/recordings/{wrong}")
    assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")
