"""Followers of an archive to which many write at once, in every order that commits can have."""

from __future__ import annotations

import contextlib
import random
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from phonobase import Archive, RecordingRepository
from phonobase.errors import DatabaseUnavailable, InvalidDetails, StoreError
from phonobase.store import schema
from phonobase.store.ids import uuid7
from phonobase.store.position import NOW, START, Position
from tests.store.both_ends import RATE
from tests.store.followed import Followed
from tests.store.judge import Program, Raw, frames_of, random_pcm, wait_until
from tests.store.storm import Storm

if TYPE_CHECKING:
    from phonobase.store.follow import Part
    from tests.support.postgres import PostgresServer

PCM = random_pcm(RATE, 1, "int16")


def test_a_storm(archive: Archive, archive_url: str, tmp_path: Path) -> None:
    """However many write, whatever they roll back, delete and push: every frame that stays comes once.

    The followers, of all sources and of one, are ended and begun again at random places all the while.
    """
    rnd, followers = random.Random(7), {source: Followed(archive, source=source) for source in (None, "0-1")}
    begun = 0
    with Storm(archive_url, tmp_path, seconds=2) as storm:
        while not storm.is_over:
            for followed in followers.values():
                followed.catch_up(at_most=rnd.randrange(1, 20), part_seconds=rnd.choice([0.3, 1, 60]))
                begun += 1
    for source, followed in followers.items():
        followed.catch_up()
        made = [recording.id for recording in archive.find(source=source, limit=None)]
        followed.assert_whole(*made)
        assert followed.catch_up() == 0
        print(
            f"{archive.engine.dialect.name}, {source}: {len(made)} recordings, followers begun {begun} times"
        )
        assert made


def test_what_is_committed_late(migrated_postgres_url: str) -> None:
    """What was written before and committed after something else comes after it, from every position."""
    with Archive(migrated_postgres_url) as archive, Session(archive.engine) as slow:
        _make_source(archive)
        followed = Followed(archive, archive.position())
        late = RecordingRepository(slow).add(PCM, RATE)
        early = [archive.add(PCM, RATE) for _ in range(3)]
        followed.catch_up(at_most=2)
        with Session(archive.engine) as slower:
            latest = RecordingRepository(slower).add(PCM, RATE)
            followed.catch_up()
            assert [one for one, *_ in followed.parts] == [one.id for one in early]
            slow.commit()
            followed.catch_up()
            early.append(archive.add(PCM, RATE))
            followed.catch_up()
            slower.commit()
        followed.catch_up()
        followed.assert_whole(late.id, latest.id, *(one.id for one in early))


def _make_source(archive: Archive) -> None:
    """Makes the row of the source, for which those that add its first sound wait for one another."""
    archive.add(PCM, RATE)


def test_a_batch_that_is_left_half_way(migrated_postgres_url: str) -> None:
    """What older transactions commit while a batch is half done is neither missed nor doubled."""
    with Archive(migrated_postgres_url) as archive:
        _make_source(archive)
        for middle in range(6):
            followed = Followed(archive, archive.position())
            with Session(archive.engine) as slow:
                RecordingRepository(slow).add(PCM, RATE)
                for _ in range(5):
                    archive.add(PCM, RATE)
                followed.catch_up(at_most=middle)
                slow.commit()
            archive.add(PCM, RATE)
            followed.catch_up(at_most=2)
            followed.catch_up()
            assert len({one for one, *_ in followed.parts}) == len(followed.parts) == 7


def test_it_wakes_up(archive: Archive, archive_url: str) -> None:
    """A follower that waits has a commit of another connection soon; how soon is printed."""
    came: list[tuple[Part, float]] = []
    parts = archive.follow(after=NOW)

    def follow() -> None:
        for part in parts:
            came.append((part, time.monotonic()))
            if len(came) == 10:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    latencies = []
    with Archive(archive_url) as other:
        for number in range(10):
            time.sleep(0.15)
            other.add(PCM, RATE)
            committed = time.monotonic()
            wait_until(lambda number=number: len(came) > number)  # type: ignore[misc]
            latencies.append(came[number][1] - committed)
    thread.join(60)
    parts.close()
    print(
        f"{archive.engine.dialect.name}: from commit to part in {statistics.median(latencies) * 1000:.0f} ms "
        f"(median), {max(latencies) * 1000:.0f} ms at most"
    )
    assert len({part.recording.id for part, _ in came}) == 10


def test_it_ends_when_nothing_comes(archive: Archive) -> None:
    """A follower that is told to ends once nothing came for so long, and not before."""
    archive.add(PCM, RATE)
    parts, began = archive.follow(after=START, idle_seconds=0.5), time.monotonic()
    assert len([next(parts)]) == 1
    archive.add(PCM, RATE)
    assert len(list(parts)) == 1
    assert time.monotonic() - began >= 0.5


def test_a_database_that_goes_away(own_postgres: PostgresServer) -> None:
    """A lost database ends the follower with one line; from the last position it goes on later."""
    own_postgres.create_database("away")
    url = own_postgres.url("away")
    engine = sa.create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    with Archive(url) as archive:
        made = [archive.add(PCM, RATE)]
        followed = Followed(archive)
        parts = archive.follow(after=START)
        followed.take(next(parts))
        own_postgres.kill()
        with pytest.raises(DatabaseUnavailable):
            next(parts)
        own_postgres.start()
        made.append(archive.add(PCM, RATE))
        followed.catch_up()
        followed.assert_whole(*(one.id for one in made))


def test_a_replica(own_postgres: PostgresServer) -> None:
    """A server in recovery cannot tell what is still under way, so it is not followed; it reads as ever."""
    own_postgres.create_database("copied")
    url = own_postgres.url("copied")
    engine = sa.create_engine(url)
    schema.upgrade(engine)
    with Archive(engine) as archive:
        made = archive.add(PCM, RATE)
        data = Path(Program(url).value("SHOW data_directory"))
        engine.dispose()
        own_postgres.stop()
        (data / "standby.signal").touch()
        own_postgres.start()
        assert archive.read(made.id).tobytes() == PCM
        for look in (archive.follow, archive.position):
            with pytest.raises(StoreError, match="replica"):
                look()
    engine.dispose()


def test_nothing_is_left_behind(migrated_postgres_url: str) -> None:
    """A follower that was ended holds no connection, and what the pool gives out is told of no commits."""
    with Archive(migrated_postgres_url) as archive:
        archive.add(PCM, RATE)
        parts = archive.follow(after=START)
        next(parts)
        assert archive.engine.pool.status().endswith("Current Checked out connections: 0")
        parts.close()
        program = Program(migrated_postgres_url)
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'LISTEN'"
        )
        wait_until(lambda: program.value(f"{others} AND pid <> pg_backend_pid()") == "0")


@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda some: some.decode("latin-1")))
def test_no_text_is_taken_for_a_position(text: str) -> None:
    """What no part said is refused in a line."""
    with pytest.raises(InvalidDetails):
        Position.parse(text)


@given(
    source=st.none() | st.text(max_size=20),
    numbers=st.lists(st.integers(min_value=0, max_value=2**63), min_size=4, max_size=4),
    unfinished=st.dictionaries(st.uuids(), st.integers(min_value=0, max_value=2**40), max_size=5),
    place=st.integers(min_value=0),
    change=st.characters(categories=["L", "N"], max_codepoint=127),
)
def test_a_position_is_its_text(
    source: str | None, numbers: list[int], unfinished: dict[object, int], place: int, change: str
) -> None:
    """A position is read as it was written; of one that was changed on the way nothing is guessed."""
    seen, until = f"{numbers[0]}:{numbers[1]}:{numbers[2]}", str(numbers[3])
    position = Position("a/1", source, seen, until, 7, uuid7(0), unfinished)  # type: ignore[arg-type]
    text = str(position)
    assert Position.parse(text) == position
    assert text.isascii()
    at = place % len(text)
    changed = text[:at] + change + text[at + 1 :]
    if changed != text:
        with contextlib.suppress(InvalidDetails):
            assert Position.parse(changed) != position


def test_a_position_of_another_archive(archive: Archive, archive_url: str) -> None:
    """A position is good in its own archive alone, and not in an older state of it."""
    archive.add(PCM, RATE)
    parts = list(archive.follow(after=START, idle_seconds=0))
    ahead = Position.parse(parts[0].position)
    later = Position(ahead.archive, None, "9" * 15 if "sqlite" in archive_url else f"1:{'9' * 15}:")
    with pytest.raises(InvalidDetails, match="restored"):
        archive.follow(after=str(later))
    with archive.writer(RATE) as writer:
        writer.write(frames_of(PCM, 1, "int16"))
    more = replace(ahead, unfinished={writer.id: RATE + 1})
    with pytest.raises(InvalidDetails, match="restored"):
        archive.follow(after=str(more))
    turned = replace(ahead, seen=ahead.until, until=ahead.seen)
    with pytest.raises(InvalidDetails, match="is no position"):
        archive.follow(after=str(turned))
    foreign = Position("elsewhere", None, ahead.seen)
    with pytest.raises(InvalidDetails, match="another archive"):
        archive.follow(after=str(foreign))


@pytest.mark.parametrize(
    "changed",
    [
        *(
            {"seen": seen}
            for seen in ("of the other kind", "5:3:", "0:0:", "1:5:9,7", "1:9:3,2", "1:2:0", str(2**63))
        ),
        *({"until": until} for until in ("0:0:", "5:3:")),
        *({"place": place} for place in (10**40, -1)),
        {"unfinished": {UUID(int=0): -1}},
    ],
    ids=str,
)
def test_a_position_that_was_tampered_with(archive: Archive, changed: dict[str, Any]) -> None:
    """What no follower of this database was ever told is refused in a line."""
    archive.add(PCM, RATE)
    (part,) = archive.follow(after=START, idle_seconds=0)
    if "of the other kind" in changed.values():
        changed = {"seen": "1:1:" if archive.engine.dialect.name == "sqlite" else "1"}
    told = str(replace(Position.parse(part.position), **changed))
    with pytest.raises(InvalidDetails, match=r"is no position|restored"):
        archive.follow(after=told)


def test_a_dump_of_another_server(migrated_postgres_url: str) -> None:
    """Where the order of commits is another server's, one line says so, and the statement in it helps."""
    with Archive(migrated_postgres_url) as archive, Raw(migrated_postgres_url) as raw:
        archive.add(PCM, RATE)
        raw.run("UPDATE phono_commit SET place = 1000000000000000")
        with pytest.raises(StoreError, match="UPDATE phono_commit") as refused:
            archive.follow(after=START)
        raw.run(str(refused.value).rpartition("all of it new: ")[2])
        assert len(list(archive.follow(after=START, idle_seconds=0))) == 1
