"""What is said of recordings goes with them from one archive to another, and out of a spool with them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.errors import RecordingConflict
from phonobase.store import sending
from phonobase.store.push import push
from phonobase.store.pusher import Pusher, Standing
from phonobase.store.shedding import shed_recording
from tests.store.both_ends import SMALL, Ends, add, go_on, open_recording
from tests.store.judge import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from phonobase.store.annotations import Annotation


@pytest.fixture(params=["into", "out of"])
def ends(
    request: pytest.FixtureRequest, archive: Archive, archive_url: str, tmp_path: Path
) -> Iterator[Ends]:
    """Two archives: a file and one of either kind, once in the one direction and once in the other."""
    url = f"sqlite:///{tmp_path / 'other.db'}"
    with contextlib.closing(Archive(url)) as other:
        if request.param == "into":
            yield Ends(other, archive, url, archive_url)
        else:
            yield Ends(archive, other, archive_url, url)


def note(archive: Archive, recording_id: UUID, first_frame: int = 0, frame_count: int = 1) -> Annotation:
    """Says something."""
    return archive.annotate(recording_id, first_frame, frame_count, "note", "ä", 0.5, author="ann")


def test_they_go_along(ends: Ends) -> None:
    """What was said before a push, and what is said after it, is there after the next; nothing twice."""
    recordings = [add(ends.ours) for _ in range(3)]
    for one in recordings[:2]:
        note(ends.ours, one.id)
    assert ends.push() == []
    ends.assert_equal()
    for one in recordings[1:]:
        note(ends.ours, one.id, 5, 0)
    assert ends.push() == []
    ends.assert_equal()
    assert len(ends.theirs.annotations()) == 4
    own = note(ends.theirs, recordings[0].id)
    assert ends.push() == []
    assert own in ends.theirs.annotations()
    assert own not in ends.ours.annotations()


def test_with_the_last_step(ends: Ends) -> None:
    """What was said of a recording is there with its end, for whoever sends one recording alone."""
    recording = add(ends.ours)
    said = note(ends.ours, recording.id)
    pusher = Pusher(ends.ours, ends.theirs)
    while pusher.advance(recording.id, SMALL).standing is not Standing.DONE:
        assert ends.theirs.annotations() == []
    assert ends.theirs.annotations() == [said]


def test_of_an_open_recording(ends: Ends) -> None:
    """What is said of frames that are not there yet waits for them."""
    writer = open_recording(ends.ours)
    early = note(ends.ours, writer.id)
    pusher = Pusher(ends.ours, ends.theirs)
    pusher.advance(writer.id)
    there = ends.theirs.get(writer.id).frame_count
    go_on(writer, 2, seed=2)
    late = note(ends.ours, writer.id, there, 1)
    assert pusher.send_annotations([writer.id]) == {early.id}
    assert ends.theirs.annotations() == [early]
    writer.close()
    assert ends.push() == []
    assert ends.theirs.annotations() == [early, late]
    ends.assert_equal()


def test_many_of_one_recording(ends: Ends) -> None:
    """More than go at once go all."""
    recording = add(ends.ours)
    with ends.ours.writing() as repository:
        for number in range(1001):
            repository.annotate(recording.id, number, 1, "note", author="ann")
    assert ends.push() == []
    ends.assert_equal()


def test_not_of_what_is_another_there(ends: Ends) -> None:
    """Of a recording that is another there nothing is sent; of the others all is."""
    other, good = add(ends.ours), add(ends.ours)
    assert ends.push() == []
    with Raw(ends.their_url) as raw:
        raw.run(
            "UPDATE phono_recording SET chain_head = ?, pcm_sha256 = ? WHERE id = ?",
            *[bytes(32)] * 2,
            other.id.hex,
        )
    note(ends.ours, other.id)
    said = note(ends.ours, good.id)
    assert len(ends.push()) == 1
    assert ends.theirs.annotations() == [said]


def test_a_refusal_is_named(ends: Ends) -> None:
    """An archive that refuses one says so, and what else there is to send is sent."""
    recording = add(ends.ours)
    note(ends.ours, recording.id)
    with Raw(ends.our_url) as raw:
        if raw.is_sqlite:
            raw.run("PRAGMA ignore_check_constraints = ON")
        else:
            raw.run("ALTER TABLE phono_annotation DROP CONSTRAINT ck_phono_annotation_kind_length")
        raw.run("UPDATE phono_annotation SET kind = ''")
    (error,) = push(ends.ours, ends.theirs).failed
    assert isinstance(error, RecordingConflict)
    assert str(error).startswith(f"an annotation of recording {recording.id.hex}: ")
    assert ends.theirs.verify(recording.id).ok


def test_shedding(ends: Ends) -> None:
    """A spool lets go of a recording with what is said of it, once all of that is in the archive."""
    recording = add(ends.ours)
    note(ends.ours, recording.id)
    for _ in range(2):  # the last one stays, so that the spool knows how far it got
        add(ends.ours)
    assert ends.push() == []
    late = note(ends.ours, recording.id)
    with ends.ours.engine.connect() as connection:
        sent = sending.extents(connection, [recording.id])[recording.id]
    pusher = Pusher(ends.ours, ends.theirs)
    there = pusher.send_annotations([recording.id])
    newest = note(ends.ours, recording.id)
    assert not shed_recording(ends.ours, recording.id, sent)
    assert not shed_recording(ends.ours, recording.id, sent, there)
    assert {one.id for one in ends.ours.annotations()} == there | {newest.id}
    assert shed_recording(ends.ours, recording.id, sent, pusher.send_annotations([recording.id]))
    assert ends.ours.annotations() == []
    assert late in ends.theirs.annotations()
    assert newest in ends.theirs.annotations()


def test_of_a_recording_deleted_there(ends: Ends) -> None:
    """What is said of a recording that was deleted there holds up no shedding."""
    recording = add(ends.ours)
    assert ends.push() == []
    ends.theirs.delete(recording.id, "not wanted")
    said = note(ends.ours, recording.id)
    assert Pusher(ends.ours, ends.theirs).send_annotations([recording.id]) == {said.id}
    assert ends.push() == []
    assert ends.theirs.annotations() == []
