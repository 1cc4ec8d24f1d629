"""Recordings from one archive into another: between two SQLite files, and to and from PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase import Archive, State
from phonobase.errors import CorruptRecording, RecordingConflict
from phonobase.store.push import push
from phonobase.store.pusher import Pusher, Standing, Step
from tests.store.both_ends import SMALL, Ends, add, assert_same, dead, go_on, open_recording, rows, sound
from tests.store.judge import Program, Raw, checks_md5, flac_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer

LONG_AGO = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture(params=["sqlite-postgresql", "postgresql-sqlite"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """Two empty archives: the test runs once from SQLite to PostgreSQL, and once the other way."""
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(_empty(request, kind, tmp_path / f"{number}.db"))
            for number, kind in enumerate(request.param.split("-"))
        ]
        ours, theirs = (stack.enter_context(Archive(url)) for url in urls)
        yield Ends(ours, theirs, *urls)


@pytest.fixture
def both_sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """Two empty archives in SQLite files."""
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(_empty(request, "sqlite", tmp_path / f"{n}.db")) for n in range(2)]
        ours, theirs = (stack.enter_context(Archive(url)) for url in urls)
        yield Ends(ours, theirs, *urls)


@contextlib.contextmanager
def _empty(request: pytest.FixtureRequest, kind: str, path: Path) -> Iterator[str]:
    if kind == "sqlite":
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"phonobase_test_{uuid.uuid4().hex[:16]}"
    server.create_database(name, request.getfixturevalue("_postgres_template"))
    yield server.url(name)
    server.drop_database(name)


def test_everything_arrives(ends: Ends, tmp_path: Path) -> None:
    """Recordings, gaps and sources of every kind are there as they were here, and play with their MD5."""
    add(ends.ours, source="desk-1", title="ä", notes="n", tags={"b": 1, "a": [2.5, None]}, external_id="x")
    add(ends.ours, source="desk-2", encoding="pcm", started_at=LONG_AGO)
    ends.ours.add(np.zeros(40_000, dtype="<f4").tobytes(), 8000, 1, "float32", source="silence")
    with ends.ours.writing() as repository:
        repository.add_gap("desk-1", LONG_AGO, LONG_AGO + timedelta(days=3), "process-down", detail="why")
    assert ends.push() == []
    ends.assert_equal()
    program = Program(ends.their_url)
    path = program.write_clip(tmp_path / "clip.flac", "source = 'desk-1'")
    assert checks_md5(path)
    assert flac_pcm(path) == sound(5).tobytes()


def test_a_push_again_does_nothing(ends: Ends) -> None:
    """What is there is neither sent again nor touched."""
    add(ends.ours)
    assert push(ends.ours, ends.theirs).recordings == 1
    before = rows(ends.their_url)
    again = push(ends.ours, ends.theirs)
    assert (again.recordings, again.already, again.bytes) == (0, 1, 0)
    assert rows(ends.their_url) == before


def test_a_recording_that_grows_while_it_is_pushed(ends: Ends, tmp_path: Path) -> None:
    """An open recording is there as far as it is committed, playable, and ends there when it ends here."""
    program, writer = Program(ends.their_url), open_recording(ends.ours, source="live")
    for seed in (2, 3):
        assert ends.push() == []
        ends.assert_equal()
        pcm = flac_pcm(program.write_clip(tmp_path / "open.flac"))
        assert len(pcm) == writer.frames_committed * 4
        assert program.value("SELECT state FROM phono_clips") == "recording"
        go_on(writer, 3, seed)
    writer.close()
    assert ends.push() == []
    ends.assert_equal()
    assert program.value("SELECT state FROM phono_clips") == "complete"
    assert checks_md5(program.write_clip(tmp_path / "whole.flac"))


def test_every_step_leaves_a_sound_recording(ends: Ends, tmp_path: Path) -> None:
    """After each transaction the other archive holds a playable, verified beginning of the recording."""
    recording = add(ends.ours, seconds=8)
    pusher, program, whole = Pusher(ends.ours, ends.theirs), Program(ends.their_url), sound(8).tobytes()
    standings: list[Standing] = []
    while not standings or standings[-1] is Standing.MORE:
        step = pusher.advance(recording.id, SMALL)
        standings.append(step.standing)
        assert ends.theirs.verify(recording.id).faults == ()
        pcm = flac_pcm(program.write_clip(tmp_path / "part.flac"))
        assert pcm == whole[: len(pcm)]
        assert len(pcm) == step.frames_there * 4
    assert standings[-1] is Standing.DONE
    assert len(standings) > 3
    ends.assert_equal()


def test_loud_sound_goes_in_parts(both_sqlite: Ends) -> None:
    """A recording clipped in every frame can be there in part: no more clipped frames than frames."""
    full = np.full((40_000, 1), 32_767, dtype="<i2")
    recording = both_sqlite.ours.add(full.tobytes(), 8000, encoding="pcm")
    Pusher(both_sqlite.ours, both_sqlite.theirs).advance(recording.id, 1)
    part = both_sqlite.theirs.get(recording.id)
    assert part.frame_count < recording.frame_count
    assert part.clipped_frames <= part.frame_count
    assert both_sqlite.push() == []
    both_sqlite.assert_equal()


def test_gaps_inside_go_with_their_sound(ends: Ends) -> None:
    """A gap is there as soon as the frames that stand for it, and never before its recording."""
    recording = add(ends.ours, seconds=8)
    for first_frame in (0, 20_000, 40_000, recording.frame_count):
        moment = recording.started_at + timedelta(microseconds=first_frame * 125)
        with ends.ours.writing() as repository:
            repository.add_gap(
                recording.source,
                moment,
                moment,
                "overflow",
                recording=recording,
                first_frame=first_frame,
                frame_count=0,
            )
    pusher, program = Pusher(ends.ours, ends.theirs), Program(ends.their_url)
    assert pusher.send_gaps([uuid.UUID(row[5]) for row in rows(ends.our_url)["phono_gap"]]) == {}
    assert program.value("SELECT count(*) FROM phono_gap") == "0"
    step = pusher.advance(recording.id, SMALL)
    while step.standing is Standing.MORE:
        inside = program.value("SELECT count(*) FROM phono_gap")
        assert int(inside) == sum(frame < step.frames_there for frame in (0, 20_000, 40_000))
        step = pusher.advance(recording.id, SMALL)
    ends.assert_equal()


def test_other_sound_under_one_id_is_left_alone(ends: Ends) -> None:
    """Where the archive holds something else, that recording stops, named, and the others are pushed."""
    bad, good = add(ends.ours, seed=1), add(ends.ours, seed=2)
    assert ends.push() == []
    with Raw(ends.their_url) as raw:
        raw.run("UPDATE phono_chunk SET chain = sha256 WHERE recording_id = ? AND seq = 9", bad.id.hex)
        raw.run("UPDATE phono_recording SET chain_head = ? WHERE id = ?", bytes(32), bad.id.hex)
        for table in ("phono_audio", "phono_chunk", "phono_recording"):
            key = "id" if table == "phono_recording" else "recording_id"
            raw.run(f"DELETE FROM {table} WHERE {key} = ?", good.id.hex)
    before = [row for row in rows(ends.their_url)["phono_recording"] if bad.id.hex in row]
    result = push(ends.ours, ends.theirs)
    (error,) = result.failed
    assert isinstance(error, RecordingConflict)
    assert bad.id.hex in str(error)
    assert result.recordings == 1
    assert [row for row in rows(ends.their_url)["phono_recording"] if bad.id.hex in row] == before
    assert ends.theirs.verify(good.id).ok


@pytest.mark.parametrize("column", ["sha256", "chain"])
def test_another_ending_under_one_id(both_sqlite: Ends, column: str) -> None:
    """A beginning that is the same does not make two recordings one, whichever is longer."""
    recording = add(both_sqlite.ours)
    assert both_sqlite.push() == []
    shorter = both_sqlite.ours if column == "sha256" else both_sqlite.theirs
    url = both_sqlite.our_url if column == "sha256" else both_sqlite.their_url
    with Raw(url) as raw:
        last = recording.chunk_count - 1
        raw.run("DELETE FROM phono_audio WHERE seq = ?", last)
        raw.run("DELETE FROM phono_chunk WHERE seq = ?", last)
        raw.run("UPDATE phono_recording SET chunk_count = ?, chain_head = ?", last, bytes(32))
    assert shorter.get(recording.id).chunk_count == last
    (error,) = both_sqlite.push()
    assert "are others there" in error


def test_a_gap_that_says_something_else(ends: Ends) -> None:
    """A gap that was changed at one end is named; the other gaps arrive, and it stays as it is there."""
    add(ends.ours, source="desk")
    for number in range(3):
        with ends.ours.writing() as repository:
            repository.add_gap("desk", LONG_AGO, LONG_AGO, "overflow", detail=str(number))
        if not number:
            assert ends.push() == []
            with Raw(ends.their_url) as raw:
                raw.run("UPDATE phono_gap SET cause = 'other'")
    (error,) = ends.push()
    assert "says something else" in error
    assert Program(ends.their_url).lines("SELECT cause FROM phono_gap ORDER BY detail") == [
        *("other", "overflow", "overflow")
    ]


def test_rotten_sound_does_not_spread(ends: Ends) -> None:
    """A byte that changed at rest stops its recording, after its sound beginning; others go on."""
    bad, good = add(ends.ours, seed=1), add(ends.ours, seed=2)
    with Raw(ends.our_url) as raw:
        data = raw.value("SELECT data FROM phono_audio WHERE recording_id = ? AND seq = 7", bad.id.hex)
        changed = bytes(data[:-1]) + bytes([data[-1] ^ 1])
        raw.run("UPDATE phono_audio SET data = ? WHERE recording_id = ? AND seq = 7", changed, bad.id.hex)
    result = push(ends.ours, ends.theirs)
    (error,) = result.failed
    assert isinstance(error, CorruptRecording)
    assert "chunk 7" in str(error)
    assert bad.id.hex in str(error)
    there = ends.theirs.get(bad.id)
    assert (there.state, there.chunk_count) == (State.RECORDING, 7)
    assert [ends.theirs.verify(recording.id).faults for recording in (bad, good)] == [(), ()]
    with Raw(ends.our_url) as raw:  # from a backup
        raw.run("UPDATE phono_audio SET data = ? WHERE recording_id = ? AND seq = 7", bytes(data), bad.id.hex)
    assert ends.push() == []
    ends.assert_equal()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM phono_audio WHERE seq = 3",
        "DELETE FROM phono_chunk WHERE seq = 3",
        "UPDATE phono_chunk SET frame_count = frame_count + 1 WHERE seq = 3",
        "UPDATE phono_chunk SET first_byte = first_byte + 1 WHERE seq = 3",
        "UPDATE phono_recording SET header = zeroblob(150)",
        "UPDATE phono_recording SET chain_head = zeroblob(32)",
    ],
)
def test_no_damage_spreads(both_sqlite: Ends, damage: str) -> None:
    """Whatever is missing or changed here stops the recording and leaves a sound beginning there."""
    recording = add(both_sqlite.ours)
    with Raw(both_sqlite.our_url) as raw:
        raw.run(damage)
    (error,) = both_sqlite.push()
    assert recording.id.hex in error
    for there in both_sqlite.theirs.find():
        assert there.state is State.RECORDING
        assert both_sqlite.theirs.verify(there.id).faults == ()


def test_what_was_deleted_there_stays_deleted(ends: Ends) -> None:
    """A recording that somebody deleted at the archive is never sent again, and counts as arrived."""
    recording = add(ends.ours)
    assert ends.push() == []
    ends.theirs.delete(recording.id, "the customer asked")
    before = rows(ends.their_url)
    assert push(ends.ours, ends.theirs).deleted == 1
    assert rows(ends.their_url) == before
    assert Pusher(ends.ours, ends.theirs).is_done(recording.id)


def test_a_deletion_elsewhere_at_that_moment_does_not_count(ends: Ends) -> None:
    """Only the gap that names the recording keeps it from being sent."""
    other = add(ends.theirs, source="desk", started_at=LONG_AGO)
    ends.theirs.delete(other.id, "a mistake")
    recording = add(ends.ours, source="desk", started_at=LONG_AGO)
    assert ends.push() == []
    assert ends.theirs.get(recording.id) == recording


def test_closed_there_for_dead_while_it_went_on_here(ends: Ends) -> None:
    """A recording that `recover` closed at the archive is opened again when more of it comes."""
    writer = open_recording(ends.ours, capture=dead())
    assert ends.push() == []
    with ends.theirs.writing() as repository:
        repository.close_as_stored(writer.id)
    assert ends.push() == []
    assert ends.theirs.get(writer.id).state is State.INTERRUPTED
    go_on(writer, 3, 2)
    assert ends.push() == []
    assert ends.theirs.get(writer.id).state is State.RECORDING
    with ends.theirs.writing() as repository:
        repository.close_as_stored(writer.id)
    writer.close()
    assert ends.push() == []
    ends.assert_equal()


def test_closed_there_for_dead_when_it_had_ended_here(ends: Ends) -> None:
    """Closed as interrupted there and complete here with the same sound, it is complete at both."""
    recording = add(ends.ours)
    pusher = Pusher(ends.ours, ends.theirs)
    with Raw(ends.our_url) as raw:
        raw.run("UPDATE phono_recording SET state = 'recording'")
    assert pusher.advance(recording.id).standing is Standing.LEVEL
    with ends.theirs.writing() as repository:
        repository.close_as_stored(recording.id)
    with Raw(ends.our_url) as raw:
        raw.run("UPDATE phono_recording SET state = 'complete'")
    assert not pusher.is_done(recording.id)
    assert ends.push() == []
    ends.assert_equal()
    assert pusher.is_done(recording.id)


def test_an_older_copy_takes_nothing_back(ends: Ends) -> None:
    """Where the archive has more of a recording, as pushed by whoever has all, it keeps that."""
    recording = add(ends.ours)
    assert ends.push() == []
    whole = rows(ends.their_url)
    for state in ("recording", "interrupted"):
        with Raw(ends.our_url) as raw:
            raw.run("DELETE FROM phono_audio WHERE seq >= 4")
            raw.run("DELETE FROM phono_chunk WHERE seq >= 4")
            head = raw.value("SELECT chain FROM phono_chunk WHERE seq = 3")
            raw.run("UPDATE phono_recording SET chunk_count = 4, chain_head = ?, state = ?", head, state)
        assert ends.push() == []
        assert rows(ends.their_url) == whole
    assert Pusher(ends.ours, ends.theirs).is_done(recording.id)


def test_what_people_changed_there_stays(ends: Ends) -> None:
    """Title, notes and tags at the archive are not overwritten once they are there."""
    writer = open_recording(ends.ours, title="first")
    assert ends.push() == []
    with Raw(ends.their_url) as raw:
        raw.run("UPDATE phono_recording SET title = 'better', notes = 'n', external_id = 'e'")
    go_on(writer, 2, 2)
    writer.close()
    assert ends.push() == []
    there = ends.theirs.get(writer.id)
    assert (there.title, there.notes, there.external_id) == ("better", "n", "e")
    assert there.state is State.COMPLETE


def test_two_pushers_at_once(ends: Ends) -> None:
    """Two that push the same at the same time send every chunk once, and both succeed."""
    for seed in range(3):
        add(ends.ours, seconds=6, seed=seed + 1, source=f"s{seed}")
    for number in range(50):
        with ends.ours.writing() as repository:
            repository.add_gap("s0", LONG_AGO, LONG_AGO, "overflow", detail=str(number))
    failed: list[object] = []

    def push_all() -> None:
        try:
            with Archive(ends.our_url) as ours, Archive(ends.their_url) as theirs:
                failed.extend(push(ours, theirs, batch_bytes=SMALL).failed)
        except BaseException as error:  # noqa: BLE001 - said by the assertion
            failed.append(error)

    threads = [threading.Thread(target=push_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    ends.assert_equal()


def test_a_row_that_the_archive_refuses(both_sqlite: Ends) -> None:
    """What breaks a rule of the other archive's tables stops that recording only."""
    bad, good = add(both_sqlite.ours, seed=1), add(both_sqlite.ours, seed=2)
    with Raw(both_sqlite.their_url) as raw:
        raw.run(
            "CREATE TRIGGER refuse BEFORE INSERT ON phono_recording WHEN NEW.id = '"
            + bad.id.hex
            + "' BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    (error,) = both_sqlite.push()
    assert "not this one" in error
    assert [recording.id for recording in both_sqlite.theirs.find()] == [good.id]


def test_there_and_on(both_sqlite: Ends, tmp_path: Path) -> None:
    """From a field recorder's card over a laptop into the office, everything is what it was."""
    add(both_sqlite.ours)
    with both_sqlite.ours.writing() as repository:
        repository.add_gap("default", LONG_AGO, LONG_AGO, "quiet")
    assert both_sqlite.push() == []
    third = f"sqlite:///{tmp_path / 'third.db'}"
    with Archive(third) as office:
        assert push(both_sqlite.theirs, office).recordings == 1
    assert_same(both_sqlite.our_url, third)


def test_half_sent_in_small_and_large_chunks(both_sqlite: Ends) -> None:
    """A batch is never more than asked for and one chunk, whatever the chunks before were like."""
    sizes = [np.zeros((8000 * 60, 2), dtype="<i2"), sound(20)]
    with both_sqlite.ours.writer(8000, 2, chunk_seconds=0.5) as writer:
        for block in sizes:
            writer.write(block)
    pusher = Pusher(both_sqlite.ours, both_sqlite.theirs)
    sent: list[Step] = []
    while not sent or sent[-1].standing is Standing.MORE:
        sent.append(pusher.advance(writer.id, SMALL))
    with Raw(both_sqlite.our_url) as raw:
        largest = raw.value("SELECT max(byte_count) FROM phono_chunk")
    assert max(step.bytes for step in sent) <= max(SMALL, largest)
    both_sqlite.assert_equal()


def test_gaps_that_are_refused_stop_no_others(ends: Ends) -> None:
    """Each gap that the archive does not take is named, and all others are there."""
    for number in range(5):
        moment = LONG_AGO + timedelta(hours=number)
        detail = "holiday" if number in (1, 4) else "weekend"
        ends.ours.add_gap("desk", moment, moment, "paused", detail=detail)
    with Raw(ends.their_url) as raw:
        raw.run("CREATE UNIQUE INDEX one_holiday ON phono_gap (cause) WHERE detail = 'holiday'")
    add(ends.ours)
    (failed,) = ends.push()
    with Raw(ends.their_url) as raw:
        assert raw.value("SELECT count(*) FROM phono_recording WHERE state = 'complete'") == 1
        assert raw.value("SELECT count(*) FROM phono_gap WHERE detail = 'weekend'") == 3
        raw.run("DROP INDEX one_holiday")
    refused = [row for row in rows(ends.our_url)["phono_gap"] if row not in rows(ends.their_url)["phono_gap"]]
    assert len(refused) == 1
    assert refused[0][5] in failed
    assert ends.push() == []
    ends.assert_equal()
