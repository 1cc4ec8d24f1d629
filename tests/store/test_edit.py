from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from phonobase import Archive, RecordingRepository, State
from phonobase.errors import InvalidDetails, RecordingNotFound
from tests.store.judge import Program, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    from phonobase.store.editing import Changes

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
