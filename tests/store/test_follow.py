"""Following an archive: every frame once, whatever happens meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from phonobase import Archive, State
from phonobase.errors import InvalidDetails
from phonobase.store.follow import next_recordings, unfinished_in
from phonobase.store.position import NOW, START, Position
from phonobase.store.push import push
from tests.store.both_ends import RATE, add, dead, go_on, open_recording
from tests.store.bulk import add_many
from tests.store.followed import Followed
from tests.store.judge import Program, Raw, random_pcm

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from phonobase.store.follow import Part

PCM = random_pcm(RATE, 1, "int16")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def there(archive: Archive, after: str = START, **how: Any) -> list[Part]:  # noqa: ANN401 - any argument
    """Returns the parts that are there."""
    return list(archive.follow(after=after, idle_seconds=0, **how))


def spans(parts: list[Part]) -> list[tuple[int, int, bool]]:
    """Returns where parts begin and end, and whether they are the last."""
    return [(part.first_frame, part.end_frame, part.ends) for part in parts]


def test_what_is_there(archive: Archive) -> None:
    """From the start everything comes that is there, whole, in the order of its commits; from now nothing."""
    made = [archive.add(PCM, RATE, started_at=NOON - n * timedelta(days=1)) for n in range(3)]
    parts = there(archive)
    assert [part.recording for part in parts] == made
    assert spans(parts) == [(0, RATE, True)] * 3
    assert all(part.read().tobytes() == PCM for part in parts)
    assert there(archive, NOW) == []
    assert there(archive, archive.position()) == []


def test_going_on_behind_each(archive: Archive) -> None:
    """From every part's position exactly the parts behind it come, also those that were committed since."""
    for _ in range(5):
        archive.add(PCM, RATE)
    parts = there(archive)
    for number, part in enumerate(parts):
        assert there(archive, part.position) == parts[number + 1 :]
    late = archive.add(PCM, RATE, started_at=NOON - timedelta(days=3000))
    for number, part in enumerate(parts):
        rest = there(archive, part.position)
        assert [one.recording.id for one in rest] == [
            *(one.recording.id for one in parts[number + 1 :]),
            late.id,
        ]


def test_long_parts_are_cut(archive: Archive) -> None:
    """No part is longer than asked for, and one goes on between the parts of a recording."""
    recording = add(archive, 3)
    parts = there(archive, part_seconds=0.7)
    assert spans(parts) == [(n * 5600, min((n + 1) * 5600, recording.frame_count), n == 4) for n in range(5)]
    for number, part in enumerate(parts):
        again = there(archive, part.position, part_seconds=0.7)
        assert [(one.recording.id, *span) for one, span in zip(again, spans(again), strict=True)] == [
            (recording.id, *span) for span in spans(parts[number + 1 :])
        ]
    for wrong in (0, -1, 86_401):
        with pytest.raises(InvalidDetails):
            archive.follow(part_seconds=wrong)


def test_a_recording_that_grows(archive: Archive) -> None:
    """Of an open recording comes what is committed, then what is new, and at last that it ended."""
    followed = Followed(archive)
    writer = open_recording(archive, 3)
    followed.catch_up()
    first = archive.get(writer.id).frame_count
    assert followed.spans() == [(0, first, False)]
    assert followed.catch_up() == 0
    go_on(writer, 2, seed=2)
    second = archive.get(writer.id).frame_count
    followed.catch_up()
    assert followed.spans()[1:] == [(first, second, False)]
    whole = writer.close()
    followed.catch_up()
    assert followed.spans()[2:] == [(second, whole.frame_count, True)]
    followed.assert_whole(writer.id)


def test_an_end_without_frames(archive: Archive, raw: Raw) -> None:
    """Where a recording is closed whose frames all came, that comes as a part without frames, once."""
    writer = open_recording(archive, 3)
    followed = Followed(archive)
    followed.catch_up()
    count = archive.get(writer.id).frame_count
    writer.abandon()
    archive.close_as_stored(writer.id)
    followed.catch_up()
    assert followed.spans() == [(0, count, False), (count, count, True)]
    for change in ("title = 'x'", "state = state, chunk_count = chunk_count"):
        raw.run(f"UPDATE phono_recording SET {change}")
    assert followed.catch_up() == 0


def test_from_now_in_the_middle_of_a_recording(archive: Archive) -> None:
    """Who begins now gets of an open recording what comes from now on."""
    writer = open_recording(archive, 3)
    position, before = archive.position(), archive.get(writer.id).frame_count
    whole = writer.close()
    assert spans(there(archive, position)) == [(before, whole.frame_count, True)]


def test_one_source(archive: Archive) -> None:
    """Of one source only its parts come, and its positions are good for it alone."""
    for source in "xyxy":
        archive.add(PCM, RATE, source=source)
    parts = there(archive, source="x")
    assert [part.recording.source for part in parts] == ["x", "x"]
    assert there(archive, parts[0].position, source="x") == parts[1:]
    assert there(archive, source="nobody") == []
    for source in ("y", "z"):
        with pytest.raises(InvalidDetails, match="'x'"):
            there(archive, parts[0].position, source=source)
    with pytest.raises(InvalidDetails, match="all sources"):
        there(archive, archive.position(), source="x")


def test_what_was_deleted(archive: Archive) -> None:
    """What is deleted before it came does not come, and nothing else is missed: not even behind the last."""
    made = [archive.add(PCM, RATE) for _ in range(4)]
    parts = there(archive)
    for one in (made[1], made[3]):
        archive.delete(one.id, "not wanted")
    assert [part.recording for part in there(archive)] == [made[0], made[2]]
    assert [part.recording for part in there(archive, parts[0].position)] == [made[2]]
    new = archive.add(PCM, RATE)
    assert [part.recording for part in there(archive, parts[3].position)] == [new]


def test_what_was_deleted_while_it_was_open(archive: Archive) -> None:
    """A recording that was taken back is not remembered any more."""
    followed = Followed(archive)
    writer = open_recording(archive, 3)
    followed.catch_up()
    long = len(followed.position)
    writer.discard()
    archive.add(PCM, RATE)
    followed.catch_up()
    assert len(followed.position) < long


def test_pushed_recordings(archive: Archive, migrated_sqlite_url: str, tmp_path: Path) -> None:
    """What is pushed comes as it arrives, also of one that was taken for dead and then goes on."""
    del migrated_sqlite_url  # only its file's name is taken
    followed = Followed(archive)
    with Archive(f"sqlite:///{tmp_path / 'spool.db'}") as spool:
        writer = open_recording(spool, 3, capture=dead())
        push(spool, archive, batch_bytes=1)
        followed.catch_up()
        sent = archive.get(writer.id).frame_count
        archive.recover(certain=True)
        followed.catch_up()
        assert followed.spans()[-1] == (sent, sent, True)
        assert archive.get(writer.id).state is State.INTERRUPTED
        go_on(writer, 2, seed=2)
        writer.close()
        push(spool, archive, batch_bytes=1)
        followed.catch_up()
        assert archive.get(writer.id).state is State.COMPLETE
        followed.assert_whole(writer.id)
        assert followed.spans()[-1][2]


def test_many_recordings_are_paged(archive: Archive, raw: Raw) -> None:
    """Recordings that share a place, as after an upgrade, come all, once each, however many they are."""
    add_many_at_once(raw)
    ids = [part.recording.id for part in there(archive)]
    assert len(set(ids)) == len(ids) == 1000
    met: list[UUID] = []
    parts = archive.follow(after=START, idle_seconds=0)
    for part in parts:
        met.append(part.recording.id)
        if len(met) == 450:
            break
    parts.close()
    assert met + [part.recording.id for part in there(archive, part.position)] == ids


def add_many_at_once(raw: Raw) -> None:
    """Adds a thousand recordings that share a place."""
    add_many(raw, 1000)
    place = 1 if raw.is_sqlite else raw.value("SELECT pg_current_xact_id()::text::bigint")
    raw.run("DELETE FROM phono_commit")
    raw.run("INSERT INTO phono_commit (recording_id, place) SELECT id, ? FROM phono_recording", place)
    raw.run("ANALYZE")


def test_an_index_finds_what_is_new(archive: Archive, raw: Raw, program: Program) -> None:
    """However much is old, a look reads what is new by an index, in its order; likewise who begins now."""
    add_many_at_once(raw)
    position = Position.parse(archive.position())
    with archive.one_moment() as session:
        page = next_recordings(session, replace(position, until=position.seen))
    open_, interrupted = (unfinished_in(state) for state in ("recording", "interrupted"))
    plans = [
        program.plan(str(one.compile(dialect=archive.engine.dialect, compile_kwargs={"literal_binds": True})))
        for one in (page, open_, interrupted)
    ]
    assert "ix_phono_commit_place_recording_id" in plans[0]
    if program.is_sqlite:  # where in the index the page begins
        assert "((place,recording_id)>(" in plans[0]
    else:
        assert "ROW(place, recording_id) > ROW(" in plans[0].partition("Index Cond:")[2]
    assert "sort" not in plans[0].lower()
    assert "b-tree" not in plans[0].lower()
    assert "ix_phono_recording_open" in plans[1]
    assert "ix_phono_recording_interrupted" in plans[2]
