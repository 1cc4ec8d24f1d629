"""Annotations: said, found, taken back, and gone with their recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import Session

from phonobase import Archive, RecordingRepository
from phonobase.errors import AnnotationNotFound, InvalidDetails, RecordingNotFound
from phonobase.store.annotations import annotate
from phonobase.store.ids import uuid7
from tests.store.both_ends import open_recording
from tests.store.judge import random_pcm

if TYPE_CHECKING:
    from phonobase import Recording
    from tests.store.judge import Program

PCM = random_pcm(8000, 1, "int16")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WRONG: list[dict[str, Any]] = [
    {"first_frame": -1},
    {"frame_count": -1},
    {"first_frame": 1, "frame_count": 8000},
    {"first_frame": 8001, "frame_count": 0},
    *({"kind": kind} for kind in ("", " ", "k" * 101, "\x00")),
    *({"author": author} for author in ("", "a" * 201)),
    *({"text": text} for text in ("\x00", "\ud800")),
    *({"score": score} for score in (float("nan"), float("inf"), 10**400, True, "1")),
    {"first_frame": 1.5},
    {"frame_count": True},
    {"kind": 5},
    {"text": 5},
]
COLUMNS = "first_frame, frame_count, kind, text, score, author"


@pytest.fixture
def recording(archive: Archive) -> Recording:
    """A second of sound that began at noon."""
    return archive.add(PCM, 8000, source="desk", started_at=NOON)


def test_what_is_said_is_there(archive: Archive, recording: Recording, program: Program) -> None:
    """An annotation comes back as it was said, with the time its frames stand for, and lies there in SQL."""
    said = archive.annotate(recording.id, 1000, 2500, "transcript", "Grüß Gott | 1", 0.75, author="ann 1.2")
    assert (said.recording_id, said.source, said.end_frame) == (recording.id, "desk", 3500)
    assert (said.started_at, said.ended_at) == (NOON + SECOND / 8, NOON + 3.5 * SECOND / 8)
    assert archive.annotations(recording.id) == [said]
    line = program.value(f"SELECT {COLUMNS} FROM phono_annotation")
    assert line == "1000|2500|transcript|Grüß Gott | 1|0.75|ann 1.2"


def test_the_whole_and_a_moment(archive: Archive, recording: Recording) -> None:
    """A stretch may be all frames, or none: a moment, also behind the last one."""
    for first, count in ((0, 8000), (0, 0), (8000, 0)):
        archive.annotate(recording.id, first, count, "note", author="ann")
    found = [(one.first_frame, one.frame_count) for one in archive.annotations(recording.id)]
    assert found == [(0, 8000), (0, 0), (8000, 0)]


def test_what_cannot_be_said(archive: Archive, recording: Recording, program: Program) -> None:
    """A stretch outside the recording, no kind, no author, and what no text may hold are refused."""
    right: dict[str, Any] = {"first_frame": 0, "frame_count": 8000, "kind": "note", "author": "ann"}
    for wrong in WRONG:
        with pytest.raises(InvalidDetails):
            archive.annotate(recording.id, **right | wrong)
    assert program.value("SELECT count(*) FROM phono_annotation") == "0"


def test_of_no_recording(archive: Archive) -> None:
    """Of a recording that is not there nothing is said or found."""
    with pytest.raises(RecordingNotFound):
        archive.annotate(uuid7(0), 0, 0, "note", author="ann")
    with pytest.raises(RecordingNotFound):
        archive.annotations("abcd")
    assert archive.annotations(uuid7(0)) == []


def test_of_an_open_recording(archive: Archive) -> None:
    """Of a recording that goes on, what is committed can be spoken of, and nothing behind it."""
    writer = open_recording(archive)
    there = archive.get(writer.id).frame_count
    archive.annotate(writer.id, there - 1, 1, "note", author="ann")
    with pytest.raises(InvalidDetails):
        archive.annotate(writer.id, there, 1, "note", author="ann")
    recording = writer.close()
    archive.annotate(writer.id, there, recording.frame_count - there, "note", author="ann")
    assert len(archive.annotations(writer.id)) == 2


def test_conditions(archive: Archive) -> None:
    """Annotations are found by what they speak of, of which kind they are, who says them, and when."""
    for number, source in enumerate("xyx"):
        clip = archive.add(PCM, 8000, source=source, started_at=NOON + number * SECOND)
        archive.annotate(clip.id, 4000, 4000, "speech", f"s{number}", author="detector")
        archive.annotate(clip.id, 2000, 0, "note", f"n{number}", author="ann")

    def texts(**conditions: Any) -> str:  # noqa: ANN401 - any condition
        return " ".join(one.text or "" for one in archive.annotations(**conditions))

    assert texts() == "n0 s0 n1 s1 n2 s2"
    assert texts(source="x") == "n0 s0 n2 s2"
    assert texts(source="nobody") == ""
    assert texts(kind="speech") == "s0 s1 s2"
    assert texts(kind="speech' OR '1'='1") == ""
    assert texts(author="ann", source="y") == "n1"
    assert texts(since=NOON + SECOND) == "n1 s1 n2 s2"
    assert texts(since=NOON + SECOND - timedelta(microseconds=1)) == "s0 n1 s1 n2 s2"
    assert texts(since=NOON + SECOND / 4, until=NOON + 1.5 * SECOND) == "n0 s0 n1"
    assert texts(until=NOON + 1.5 * SECOND + timedelta(microseconds=1)) == "n0 s0 n1 s1"
    with pytest.raises(InvalidDetails):
        texts(since=datetime(2026, 3, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(TypeError, match="kid"):
        texts(kid="speech")


def test_taken_back(archive: Archive, recording: Recording) -> None:
    """An annotation is taken back by its id, once; no other goes with it."""
    said, other = (archive.annotate(recording.id, 0, 1, "note", author="ann") for _ in range(2))
    archive.delete_annotation(said.id.hex)
    assert archive.annotations() == [other]
    for unknown in (said.id, said.id.hex, "no id"):
        with pytest.raises(AnnotationNotFound):
            archive.delete_annotation(unknown)
    archive.delete_annotation(other.id)
    assert archive.annotations() == []


@pytest.mark.parametrize("way", ["delete", "discard"])
def test_gone_with_its_recording(archive: Archive, program: Program, recording: Recording, way: str) -> None:
    """What is said of a recording goes with it; what is said of another stays."""
    kept = archive.add(PCM, 8000, started_at=NOON)
    for one in (recording, kept):
        archive.annotate(one.id, 0, 1, "note", author="ann")
    if way == "delete":
        archive.delete(recording.id, "not wanted")
    else:
        with archive.writing() as repository:
            repository.discard(recording.id)
    assert program.value("SELECT count(*) FROM phono_annotation") == "1"
    assert [one.recording_id for one in archive.annotations()] == [kept.id]


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_in_a_hosts_transaction(
    archive: Archive, recording: Recording, program: Program, outcome: str
) -> None:
    """What is said in a host's transaction is kept or forgotten with it."""
    with Session(archive.engine) as session:
        repository = RecordingRepository(session)
        said = repository.annotate(recording.id, 0, 1, "note", author="ann")
        assert repository.annotations(recording.id) == [said]
        getattr(session, outcome)()
    count = program.value("SELECT count(*) FROM phono_annotation")
    assert count == ("1" if outcome == "commit" else "0")


def test_of_a_recording_that_is_being_deleted(archive: Archive, recording: Recording) -> None:
    """What is said while a recording is deleted is refused as of one that is not there."""
    with archive.reading() as repository:
        stale = repository.get(recording.id)
    archive.delete(recording.id, "not wanted")
    with pytest.raises(RecordingNotFound), archive.session(writes=True) as session:
        annotate(session, stale, 0, 1, "note", author="ann")
