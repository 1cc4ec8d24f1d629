from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from phonobase.errors import DatabaseUnavailable
from phonobase.store import events
from phonobase.web import log as log_of_access
from phonobase.web.log import EventLog
from tests.web.guests import door, guest, logged, signed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phonobase import Archive
    from phonobase.store.database import Database
    from phonobase.store.events import Event
    from tests.store.judge import Program, Raw

PCM = b"\0\1" * 8000
FULL = "who, action, source, recording_id IS NOT NULL, detail, status, address"
on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


def test_who_was_given_what_is_in_the_log(archive: Archive, raw: Raw, program: Program) -> None:
    """Reads, downloads and changes: who, when, what, of which source and recording, from where."""
    recording = archive.add(PCM, 8000, source="desk")
    somebody = guest(archive, "write")
    with door(archive) as client:
        signed_in(client, somebody)
        path = f"/api/recordings/{recording.id}"
        client.get(f"{path}/audio", headers={"Range": "bytes=0-99"})
        client.get(f"{path}/audio?download=1")
        client.head(f"{path}/audio")
        client.patch(path, json={"title": "x"}, headers=somebody.shows)
        client.get("/api/recordings?source=nowhere", headers=somebody.shows)
        client.patch(path, json={"title": 7}, headers=somebody.shows)
    found = raw.rows(f"SELECT {FULL} FROM phono_event ORDER BY at, status, id")
    assert [(row[1], row[2], bool(row[3]), row[5]) for row in found] == [
        ("begin_session", None, False, 102),
        ("begin_session", None, False, 204),
        ("get_audio", "desk", True, 206),
        ("get_audio", "desk", True, 200),
        ("get_audio", "desk", True, 200),
        ("edit_recording", "desk", True, 102),
        ("edit_recording", "desk", True, 200),
        ("list_recordings", "nowhere", False, 404),
        ("edit_recording", None, True, 422),
    ]
    assert {row[0] for row in found} == {"Anna"}
    assert {row[6] for row in found} == {"testclient"}
    assert found[2][4] == "bytes 0-99"
    ids = {str(row[0]).replace("-", "") for row in raw.rows("SELECT token_id FROM phono_event")}
    assert ids == {somebody.token.id.hex}
    minute_ago = {
        "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-60 seconds')",
        "postgresql": "now() - interval '60 seconds'",
    }[archive.engine.dialect.name]
    assert program.value(f"SELECT count(*) FROM phono_event WHERE at > {minute_ago}") == str(len(found))


def test_nothing_is_given_before_its_event_is_committed(
    archive: Archive, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the event is being written not even the status has left; then the answer comes."""
    archive.add(PCM, 8000, source="desk")
    may_write, is_writing = threading.Event(), threading.Event()

    def late(database: Database, written: Sequence[Event]) -> None:
        is_writing.set()
        assert may_write.wait(30)
        events.add_events(database, written)

    monkeypatch.setattr(log_of_access, "add_events", late)
    seen: list[str] = []
    with door(archive, open_here=True) as client:
        asking = threading.Thread(target=lambda: seen.append(client.get("/api/sources").text))
        asking.start()
        assert is_writing.wait(30)
        assert (seen, logged(program)) == ([], [])
        may_write.set()
        asking.join(30)
    assert "desk" in seen[0]
    assert logged(program) == ["local|list_sources|200"]


def test_where_the_log_cannot_be_written_nothing_is_given(
    archive: Archive, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the log there is no sound, no list and no session; the log of the service says why."""
    recording = archive.add(PCM, 8000, source="desk")
    somebody = guest(archive)
    raw.run("ALTER TABLE phono_event RENAME TO gone")
    with door(archive) as client:
        answers = [
            client.get("/api/sources", headers=somebody.shows),
            client.get(f"/api/recordings/{recording.id}/audio", headers=somebody.shows),
            client.post("/api/session", json={"token": somebody.word}),
            client.get("/api/sources"),
        ]
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all("cannot be written" in answer.json()["detail"] for answer in answers)
        assert not any("set-cookie" in answer.headers or b"desk" in answer.content for answer in answers)
        assert "phono_event" not in answers[0].text
        raw.run("ALTER TABLE gone RENAME TO phono_event")
        assert client.get("/api/sources", headers=somebody.shows).status_code == 200
    assert "phono_event" in caplog.text


def test_an_error_nobody_thought_of_is_logged(
    archive: Archive, program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered as a problem that tells nothing, and stands in both logs."""
    monkeypatch.setattr("phonobase.web.visit.Visit.sources", lambda _self: 1 / 0)
    monkeypatch.setattr("phonobase.web.visit.Visit.recording", lambda _self, _id: 1 / 0)
    with door(archive, open_here=True) as client:
        answer = client.get(f"/api/recordings/{UUID(int=1)}")
    assert answer.status_code == 500
    assert answer.json()["detail"] == "an unexpected error; the service's log has it"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError" in caplog.text
    assert logged(program) == ["local|get_recording|500"]


_NASTY = [
    "desk\n2026-01-01 local get_audio 200",
    "\x1b[2Jdesk",
    "'; DROP TABLE phono_event; --",
    '"}],"status":200',
    "\u202egnp.cte",
    "x" * 5000,
    "%s%n{0}",
    "\x00",
]


@on_sqlite
@pytest.mark.parametrize(
    "name", ["0_" * 31 + "0", "%20" + "1" * 32, "urn:uuid:" + "1" * 32, "{" + "1" * 32 + "}", "x"]
)
def test_what_is_no_id_is_not_logged_as_one(archive: Archive, program: Program, name: str) -> None:
    """Although Python would take it for one."""
    with door(archive) as client:
        refused = client.patch(
            f"/api/recordings/{name}", json={"title": "x"}, headers=guest(archive, "write").shows
        )
    assert refused.status_code == 422
    assert logged(program, "coalesce(recording_id, '-'), status") == ["-|422"]


@on_sqlite
@pytest.mark.parametrize("text", _NASTY, ids=range(len(_NASTY)))
def test_what_somebody_chooses_begins_no_line_of_the_log(archive: Archive, raw: Raw, text: str) -> None:
    """Whatever is asked for stays one text, in one line, of bounded length."""
    archive.add(PCM, 8000, source="desk")
    with door(archive, open_here=True) as client:
        answer = client.get("/api/recordings", params={"source": text})
        client.get("/api/gaps", params={"source": text})
    assert answer.status_code in (404, 422)
    found = raw.rows("SELECT action, source, detail FROM phono_event ORDER BY id")
    assert [row[0] for row in found] == ["list_recordings", "list_gaps"]
    for row in found:
        for value in row:
            assert value is None or (value.isprintable() and len(value) <= 1000)


def test_what_is_logged_at_once_is_committed_at_once(archive: Archive, program: Program) -> None:
    """Two hundred events that wait together are written in a few transactions, each of them once."""
    count = 200
    log = EventLog(archive)
    commits: list[int] = []
    at = datetime.now(UTC)

    def counted(database: Database, written: Sequence[Event]) -> None:
        commits.append(len(written))
        events.add_events(database, written)

    async def write() -> None:
        written = [events.new_event(at, f"event_{number}", 200) for number in range(count)]
        await asyncio.gather(*(log.write(event) for event in written))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_of_access, "add_events", counted)
        asyncio.run(write())
    assert sum(commits) == count
    assert len(commits) <= count // 4
    assert sorted(logged(program, "action")) == sorted(f"event_{number}" for number in range(count))


def test_an_event_that_fails_is_told_to_all_who_wait(archive: Archive, raw: Raw) -> None:
    """Nobody waits for ever, and the next ones are written."""
    log = EventLog(archive)
    event = events.new_event(datetime.now(UTC), "get_audio", 200)

    async def write() -> list[Any]:
        return await asyncio.gather(*(log.write(event) for _ in range(3)), return_exceptions=True)

    raw.run("ALTER TABLE phono_event RENAME TO gone")
    assert {type(one) for one in asyncio.run(write())} == {DatabaseUnavailable}
    raw.run("ALTER TABLE gone RENAME TO phono_event")
    asyncio.run(log.write(event))
    assert raw.value("SELECT count(*) FROM phono_event") == 1


def test_who_is_cut_off_before_the_answer_may_have_changed_something(
    archive: Archive, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change whose answer is never begun is in the log all the same."""
    recording = archive.add(PCM, 8000, source="desk")

    async def given_up(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("phonobase.web.guard._Guarded._sent", given_up)
    with door(archive, open_here=True) as client, pytest.raises(BaseException):  # noqa: B017, PT011
        client.patch(f"/api/recordings/{recording.id}", json={"title": "after"})
    assert archive.get(recording.id).title == "after"
    assert logged(program) == ["local|edit_recording|102", "local|edit_recording|499"]
