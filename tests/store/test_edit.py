from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import update

from phonobase import Archive, RecordingRepository, State
from phonobase.errors import InvalidDetails, RecordingNotFound
from phonobase.store.models import RecordingRow
from phonobase.store.push import push
from tests.store.judge import Program, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from phonobase.store.editing import Changes
    from phonobase.store.recording import Details

RATE = 8000
PCM = random_pcm(RATE, 1, "int16")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID: dict[str, Any] = {"title": "A", "notes": "B", "external_id": "C", "tags": {"a": 1, "b": {"c": [2]}}}


@pytest.mark.parametrize(
    ("changes", "becomes"),
    [
        ({}, {}),
        ({"title": "Größe ✓"}, {"title": "Größe ✓"}),
        ({"title": None}, {"title": None}),
        ({"notes": "", "external_id": ""}, {"notes": None, "external_id": None}),
        ({"notes": "x' OR 1=1 --"}, {"notes": "x' OR 1=1 --"}),
        ({"tags": {"d": None}}, {"tags": {"a": 1, "b": {"c": [2]}, "d": None}}),
        ({"tags": {"b": 3}}, {"tags": {"a": 1, "b": 3}}),
        ({"untag": ["a", "nothing"]}, {"tags": {"b": {"c": [2]}}}),
        ({"untag": ["a", "b"]}, {"tags": {}}),
        ({"untag": ["a"], "tags": {"a": 2}}, {"tags": {"a": 2, "b": {"c": [2]}}}),
        ({"tags": {}}, {}),
    ],
    ids=str,
)
def test_what_is_not_given_stays(
    archive: Archive, program: Program, changes: Changes, becomes: dict[str, Any]
) -> None:
    """An edit changes what it names and nothing else; SQL sees it, and the sound is as it was."""
    recording = archive.add(PCM, RATE, started_at=NOON, **SAID)
    other = archive.add(PCM, RATE, **SAID)

    edited = archive.edit(recording.id.hex[-12:], **changes)

    assert edited == archive.get(recording.id)
    expected = SAID | becomes
    assert {name: getattr(edited, name) for name in SAID} == expected
    (line,) = program.lines(f"SELECT tags FROM phono_clips WHERE id = '{_shown(program, edited.id)}'")
    assert json.loads(line) == expected["tags"]
    assert archive.verify(recording.id).ok
    assert archive.get(other.id) == other


def test_what_is_recorded_may_be_edited(archive: Archive) -> None:
    """An open recording takes a title, its recorder goes on, and both have their way."""
    with archive.writer(RATE, chunk_seconds=0.1, title="before", tags={"a": 1}) as writer:
        for number in range(40):
            writer.write(frames_of(PCM[: RATE // 5], 1, "int16"))
            if number == 10:
                wait_until(lambda: bool(archive.find(state=State.RECORDING)))
            if number >= 10:
                archive.edit(writer.id, title=f"after {number}", tags={str(number): number})
    closed = archive.get(writer.id)
    assert (closed.state, closed.title) == (State.COMPLETE, "after 39")
    assert closed.tags == {"a": 1} | {str(number): number for number in range(10, 40)}
    assert closed.frame_count == 40 * RATE // 10
    assert archive.verify(writer.id).ok


def test_many_edit_at_once(archive: Archive) -> None:
    """Whoever sets a tag of their own loses none that another sets at the same time."""
    recording = archive.add(PCM, RATE)

    def tag(number: int) -> None:
        archive.edit(recording.id, tags={str(number): number}, untag=[str(number - 8)])

    with ThreadPoolExecutor(8) as pool:
        for first in range(0, 40, 8):
            list(pool.map(tag, range(first, first + 8)))
    assert archive.get(recording.id).tags == {str(number): number for number in range(32, 40)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": "a\0b"}, "the title holds a character"),
        ({"notes": "\udc80"}, "the notes holds a character"),
        ({"external_id": "x" * 501}, "at most 500 characters"),
        ({"title": "ü" * 1_001}, "the title has 1001 characters, and is kept with at most 1000"),
        ({"notes": "ü" * 65_537}, "the notes has 65537 characters, and is kept with at most 65536"),
        ({"tags": {"a": "ü" * 32_768}}, "tags are .* bytes of JSON together, and at most 65536"),
        ({"tags": {"a": float("inf")}}, "tags must be names with JSON values"),
        ({"tags": {"a": "\0"}}, "tags hold a character"),
        ({"tags": {"a": json.loads("[" * 100 + "]" * 100)}}, "nested deeper than 100 levels"),
        ({"tags": {"a": json.loads('{"b":' * 500 + "[]" + "}" * 500)}}, "nested deeper than 100 levels"),
    ],
)
def test_what_cannot_be_stored_changes_nothing(archive: Archive, changes: Changes, message: str) -> None:
    """What a database would refuse or alter is refused in words, and the recording stays as it was."""
    recording = archive.add(PCM, RATE, **SAID)
    with pytest.raises(InvalidDetails, match=message):
        archive.edit(recording.id, **changes)
    assert archive.get(recording.id) == recording


def test_what_is_as_long_as_it_may_be_is_kept(archive: Archive) -> None:
    """The limits themselves can be reached, when it begins and later."""
    said: Changes = {
        "title": "ü" * 1_000,
        "notes": "ü" * 65_536,
        "external_id": "x" * 500,
        "tags": {"a": "ü" * 32_763 + "x"},
    }
    assert len(json.dumps(said["tags"], ensure_ascii=False).encode()) == 65_536
    begun = archive.add(PCM, RATE, **cast("Details", said))
    later = archive.edit(archive.add(PCM, RATE).id, **said)
    for each in (begun, later):
        assert (each.title, each.notes, each.tags) == (said["title"], said["notes"], said["tags"])


@pytest.mark.parametrize("name", ["title", "notes", "external_id"])
def test_what_is_too_long_begins_no_recording(archive: Archive, name: str) -> None:
    """What no edit may say, nobody may say at the beginning."""
    details = cast("Details", {name: "x" * 65_537})
    with pytest.raises(InvalidDetails, match=f"the {name} has 65537 characters"):
        archive.add(PCM, RATE, **details)
    with pytest.raises(InvalidDetails, match="bytes of JSON"):
        archive.add(PCM, RATE, tags={"a": "x" * 65_536})
    assert not archive.find()


def test_tags_do_not_grow_edit_by_edit(archive: Archive) -> None:
    """All of them together have a limit, and taking some away makes room."""
    recording = archive.add(PCM, RATE, tags={"a": "x" * 40_000})
    with pytest.raises(InvalidDetails, match="take some away"):
        archive.edit(recording.id, tags={"b": "x" * 40_000})
    assert archive.edit(recording.id, tags={"b": "x" * 40_000}, untag=["a"]).tags == {"b": "x" * 40_000}


def test_what_was_stored_before_there_were_limits_stays(archive: Archive, tmp_path: Path) -> None:
    """It is read, found and pushed as it is, and its tags can be taken away one by one."""
    recording = archive.add(PCM, RATE, source="old")
    tags = {"a": "x" * 90_000, "b": "y" * 90_000, "c": 1}
    with archive.session(writes=True) as session, session.begin():
        session.execute(
            update(RecordingRow).where(RecordingRow.id == recording.id).values(title="t" * 2_000, tags=tags)
        )
    assert archive.find(source="old")[0].title == "t" * 2_000
    with Archive(f"sqlite:///{tmp_path}/other.db") as other:
        push(archive, other)
        assert other.get(recording.id) == archive.get(recording.id)
    left = archive.edit(recording.id, untag=["a"])
    assert (left.tags, left.title) == ({"b": tags["b"], "c": 1}, "t" * 2_000)


def test_what_is_not_there_is_not_edited(archive: Archive) -> None:
    """An id that nothing has, and a change that means nothing, are said to."""
    slip: Any = {"titel": "x"}
    with pytest.raises(RecordingNotFound):
        archive.edit("0" * 32, title="x", tags={"a": 1})
    recording = archive.add(PCM, RATE)
    with pytest.raises(TypeError, match="there is no 'titel' here"):
        archive.edit(recording.id, **slip)


def test_an_edit_is_rolled_back_with_the_host(archive: Archive) -> None:
    """Inside somebody else's transaction an edit is theirs to keep or to forget."""
    recording = archive.add(PCM, RATE, **SAID)
    with archive.session(writes=True) as session, session.begin() as transaction:
        assert RecordingRepository(session).edit(recording.id, title="x").title == "x"
        transaction.rollback()
    assert archive.get(recording.id) == recording


def _shown(program: Program, recording_id: object) -> str:
    return str(recording_id).replace("-", "") if program.is_sqlite else str(recording_id)
