"""From the spool to the archive, whatever happens to the archive, the spool and the forwarder."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from phonobase import Archive, State
from phonobase.recorder.forward import Forwarder, Pace
from phonobase.recorder.spool import Spools, open_spool
from phonobase.recorder.state import StateFolder
from phonobase.store import schema
from phonobase.store.engine import create_engine
from phonobase.store.push import push
from tests.store.both_ends import add, assert_same, go_on, open_recording, rows
from tests.store.judge import Program, Raw, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.recorder.state import ForwarderStatus
    from phonobase.store.writer import RecordingWriter
    from tests.support.postgres import PostgresServer

QUICK = Pace(first_wait_s=0.05, longest_wait_s=0.2, answer_s=1.0, last_attempt_s=5.0)
LONG_AGO = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Link:
    """A spool, an archive, and a forwarder between them."""

    def __init__(self, spool: Path, url: str, pace: Pace = QUICK) -> None:
        self.path, self.url = spool, url
        self.our_url = f"sqlite:///{spool}"
        self.state = StateFolder(spool)
        self.spool, self.spools = open_spool(spool), Spools(spool)
        self._pace = pace
        self.forwarder: Forwarder | None = None
        self._thread: threading.Thread | None = None
        self._failed: list[BaseException] = []

    def start(self) -> None:
        """Starts a forwarder in a thread of its own."""
        self.forwarder = Forwarder(self.spools, self.url, self.state, self._pace)
        self._thread = threading.Thread(target=self._run, args=[self.forwarder])
        self._thread.start()

    def stop(self) -> None:
        """Stops it, and fails where it failed."""
        if self.forwarder is not None and self._thread is not None:
            self.forwarder.stop()
            self._thread.join(60)
            assert not self._thread.is_alive(), "the forwarder does not end"
            assert self._failed == []
            self.forwarder = None

    def close(self) -> None:
        """Stops it and closes the spool."""
        try:
            self.stop()
        finally:
            self.spool.close()
            self.spools.close()

    def status(self) -> ForwarderStatus:
        """Returns what the forwarder said last."""
        wait_until(lambda: self.state.forwarder() is not None)
        status = self.state.forwarder()
        assert status is not None
        return status

    def arrived(self) -> bool:
        """Tells whether both hold the same rows."""
        return rows(self.our_url) == rows(self.url)

    def _run(self, forwarder: Forwarder) -> None:
        try:
            forwarder.run()
        except BaseException as error:  # noqa: BLE001 - said by stop()
            self._failed.append(error)


@pytest.fixture
def link(tmp_path: Path, migrated_postgres_url: str) -> Iterator[Link]:
    """A spool and an archive in PostgreSQL; the forwarder is not started yet."""
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url)) as made:
        yield made


@pytest.fixture
def own_link(tmp_path: Path, own_postgres: PostgresServer) -> Iterator[Link]:
    """A spool and an archive on a server that the test may stop."""
    own_postgres.create_database("archive")
    with contextlib.closing(Link(tmp_path / "spool.db", own_postgres.url("archive"))) as made:
        _upgrade(made.url)
        yield made


def _upgrade(url: str) -> None:
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()


def test_it_follows(link: Link) -> None:
    """What is committed in the spool is in the archive soon after, and says so."""
    link.start()
    add(link.spool, source="closed")
    writer = open_recording(link.spool, source="open")
    link.spool.add_gap("quiet", LONG_AGO, LONG_AGO + timedelta(hours=1), "process-down")
    wait_until(link.arrived)
    go_on(writer, 3, 2)
    wait_until(link.arrived)
    writer.close()
    wait_until(link.arrived)
    wait_until(lambda: link.status().state == "forwarding" and link.status().backlog_bytes == 0)
    status = link.status()
    assert (status.backlog_us, status.conflicts, status.pid) == (0, [], os.getpid())
    assert status.forwarded_us is not None


def test_it_brings_everything_before_it_ends(link: Link) -> None:
    """Asked to stop, it first sends what was committed until then."""
    link.start()
    wait_until(lambda: link.status().state == "forwarding")
    for number in range(5):
        add(link.spool, source=f"s{number}", seed=number + 1)
    link.stop()
    assert_same(link.our_url, link.url)


def test_an_archive_that_is_not_there_at_first(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """The forwarder waits while the server, the database or its tables are missing, and says for what."""
    with contextlib.closing(Link(tmp_path / "spool.db", own_postgres.url("archive"))) as link:
        own_postgres.stop()
        add(link.spool)
        link.start()
        wait_until(lambda: "check that the server runs" in link.status().detail)
        status = link.status()
        assert status.state == "waiting"
        assert status.backlog_us == 5_000_000
        own_postgres.start()
        wait_until(lambda: "does not exist" in link.status().detail)
        own_postgres.create_database("archive")
        wait_until(lambda: "has no phonobase tables" in link.status().detail)
        _upgrade(link.url)
        wait_until(link.arrived)
        wait_until(lambda: link.status().state == "forwarding")


def test_a_server_that_freezes(own_link: Link, own_postgres: PostgresServer) -> None:
    """A server that answers nothing and closes nothing is waited for, not for ever, and costs nothing."""
    for number in range(3):
        add(own_link.spool, seconds=30, source=f"s{number}", seed=number)
    writer = open_recording(own_link.spool, source="live")
    own_link.start()
    for seed in (5, 6):
        _signal_all(own_postgres, signal.SIGSTOP)
        try:
            go_on(writer, 3, seed)
            wait_until(lambda: own_link.status().state == "waiting")
        finally:
            _signal_all(own_postgres, signal.SIGCONT)
        wait_until(lambda: own_link.status().state == "forwarding")
    _assert_whole(own_link, writer)


@pytest.mark.parametrize(
    ("how", "moment"), [("kill", "before"), ("kill", "after"), ("refuse", "before"), ("stop", "after")]
)
def test_a_server_that_goes_away_amid_a_commit(
    how: str, moment: str, own_link: Link, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, stopped or refusing connections just before or after a commit, it costs nothing."""
    for number in range(3):
        add(own_link.spool, seconds=30, source=f"s{number}", seed=number)
    writer = open_recording(own_link.spool, source="live")
    commit, left = PGDialect_psycopg.do_commit, [2, 2]
    gone = threading.Event()

    def go_away() -> None:
        if left:
            left[0] -= 1
            if left[0] == 0:
                left.pop(0)
                _go_away(own_postgres, how)
                gone.set()

    def do_commit(dialect: PGDialect_psycopg, connection: Any) -> None:  # noqa: ANN401 - a driver's
        if moment == "before":
            go_away()
        commit(dialect, connection)  # type: ignore[no-untyped-call] # SQLAlchemy's
        if moment == "after":
            go_away()

    monkeypatch.setattr(PGDialect_psycopg, "do_commit", do_commit)
    own_link.start()
    for seed in (5, 6):
        assert gone.wait(60)
        go_on(writer, 3, seed)
        wait_until(lambda: own_link.status().state == "waiting")
        gone.clear()
        _come_back(own_postgres, how)
    assert left == []
    _assert_whole(own_link, writer)


def _assert_whole(link: Link, writer: RecordingWriter) -> None:
    writer.close()
    wait_until(link.arrived)
    link.stop()
    with Archive(link.url) as archive:
        found = archive.find()
        assert [archive.verify(one.id).faults for one in found] == [()] * 4
        assert {one.state for one in found} == {State.COMPLETE}


def _go_away(server: PostgresServer, how: str) -> None:
    if how != "refuse":
        getattr(server, how)()
        return
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER DATABASE archive ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'archive'")


def _come_back(server: PostgresServer, how: str) -> None:
    if how != "refuse":
        server.start()
        return
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER DATABASE archive ALLOW_CONNECTIONS true")


def _signal_all(server: PostgresServer, number: int) -> None:
    """Sends a signal to a server and all its children."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [*map(int, children), server.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_what_stops_is_said_once_and_stops_nothing_else(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    """Other sound under an id and a rotten chunk are errors in the log, once, and in the status."""
    other, rotten = add(link.spool, seed=1, source="a"), add(link.spool, seed=2, source="b")
    with Archive(link.url) as archive:
        push(link.spool, archive)
    with Raw(link.url) as raw:
        raw.run("UPDATE phono_recording SET chain_head = ? WHERE id = ?", bytes(32), other.id.hex)
        for table in ("phono_audio", "phono_chunk", "phono_recording"):
            key = "id" if table == "phono_recording" else "recording_id"
            raw.run(f"DELETE FROM {table} WHERE {key} = ?", rotten.id.hex)
    with Raw(link.our_url) as raw:
        raw.run("UPDATE phono_audio SET data = zeroblob(9) WHERE recording_id = ?", rotten.id.hex)
    with caplog.at_level(logging.ERROR, "phonobase.forward"):
        link.start()
        wait_until(lambda: len(link.status().conflicts) == 2)
        good = add(link.spool, seed=3, source="c")
        with Archive(link.url) as archive:
            wait_until(lambda: [one.state for one in archive.find(source="c")] == [State.COMPLETE])
            assert archive.verify(good.id).ok
        wait_until(lambda: link.status().backlog_us >= 5_000_000)
        link.stop()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert sorted(link.status().conflicts) == sorted(said)
    assert all(any(id_.hex in line for line in said) for id_ in (other.id, rotten.id))


def test_what_the_archive_has_leaves_the_spool(tmp_path: Path, migrated_postgres_url: str) -> None:
    """After the grace time only the newest of each source is left, and the archive still has all."""
    pace = Pace(grace_s=0.5, first_wait_s=0.05, longest_wait_s=0.2)
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, pace)) as link:
        for seed in range(3):
            add(link.spool, seconds=2 + seed, seed=seed, source="a", started_at=_hour(seed))
        add(link.spool, source="b")
        writer = open_recording(link.spool, source="a")
        for hour in range(3):
            link.spool.add_gap("a", _hour(hour), _hour(hour, minutes=30), "process-down")
        everything = rows(link.our_url)
        link.start()
        with Raw(link.our_url) as raw:
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_recording") == 2)
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_gap") == 1)
            link.stop()
            left = [str(source) for (source,) in raw.rows("SELECT source FROM phono_recording")]
            assert sorted(left) == ["a", "b"]
            assert raw.value("SELECT count(*) FROM phono_audio") == raw.value(
                "SELECT sum(chunk_count) FROM phono_recording"
            )
            assert raw.value("SELECT started_at FROM phono_gap") == "2026-03-01 12:00:00.000000"
        assert rows(link.url) == everything
        writer.abandon()


def test_nothing_leaves_before_its_time(link: Link) -> None:
    """Within the grace time the spool keeps everything, though the archive has it."""
    for seed in range(3):
        add(link.spool, seed=seed)
    link.start()
    wait_until(link.arrived)
    time.sleep(1.5)
    link.stop()
    assert_same(link.our_url, link.url)


def test_an_archive_that_lost_what_it_had(tmp_path: Path, migrated_postgres_url: str) -> None:
    """What an archive has no more, as after an older backup came back, is sent again and kept until then."""
    pace = Pace(grace_s=1.5, first_wait_s=0.05, longest_wait_s=0.2)
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, pace)) as link:
        first = add(link.spool, seed=1, started_at=_hour(0))
        add(link.spool, seed=2)
        everything = rows(link.our_url)
        link.start()
        wait_until(link.arrived)
        with Raw(link.url) as raw:
            for table in ("phono_audio", "phono_chunk", "phono_recording"):
                key = "id" if table == "phono_recording" else "recording_id"
                raw.run(f"DELETE FROM {table} WHERE {key} = ?", first.id.hex)
        with Raw(link.our_url) as raw:
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_recording") == 1)
        assert rows(link.url) == everything


def test_what_was_deleted_at_the_archive_leaves_the_spool_too(
    tmp_path: Path, migrated_postgres_url: str
) -> None:
    """A recording that was deleted there is not sent again, and leaves the spool in its time."""
    pace = Pace(grace_s=0.2, first_wait_s=0.05, longest_wait_s=0.2)
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, pace)) as link:
        first = add(link.spool, seed=1, started_at=_hour(0))
        last = add(link.spool, seed=2)
        with Archive(link.url) as archive:
            push(link.spool, archive)
            archive.delete(first.id, "as the customer asked")
            link.start()
            wait_until(lambda: [one.id for one in link.spool.find()] == [last.id])
            assert [one.id for one in archive.find()] == [last.id]


def test_a_spool_gives_room_back(
    tmp_path: Path, migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What left the spool leaves its file too, but for some room that the next sound takes."""
    monkeypatch.setattr("phonobase.recorder.feed._FREE_KEPT_BYTES", 4 * 1024 * 1024)
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_sqlite_url, Pace(grace_s=0))) as link:
        sound = np.random.default_rng(1).integers(-(2**15), 2**15, 6_000_000, dtype="<i2").tobytes()
        for hour in range(2):
            link.spool.add(sound, 48_000, 2, encoding="pcm", started_at=_hour(hour))
        add(link.spool)
        with Raw(link.our_url) as raw:
            before = raw.value("PRAGMA page_count")
            link.start()
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_recording") == 1)
            wait_until(lambda: raw.value("PRAGMA page_count") < before - 1024)
            link.stop()


def test_a_second_forwarder_waits_for_the_first(link: Link) -> None:
    """Two of one spool do not get into each other's way: the second goes on when the first has ended."""
    link.start()
    wait_until(lambda: link.status().state == "forwarding")
    second = Link(link.path, link.url)
    second.start()
    add(link.spool)
    wait_until(link.arrived)
    link.stop()
    add(second.spool, seed=2)
    wait_until(second.arrived)
    second.close()


def test_an_older_spool_beside_is_emptied_too(tmp_path: Path, migrated_postgres_url: str) -> None:
    """Several spools are forwarded by one forwarder, all of them."""
    path = tmp_path / "spool.db"
    for seed, name in enumerate(("spool.db", "spool-phonobase_0001.db")):
        with open_spool(tmp_path / name) as spool:
            add(spool, seed=seed)
    with contextlib.closing(Spools(path)) as spools:
        forwarder = Forwarder(spools, migrated_postgres_url, StateFolder(path), QUICK)
        forwarder.stop()
        forwarder.run()
        with Archive(migrated_postgres_url) as archive:
            assert len(archive.find(state=State.COMPLETE)) == 2


def _hour(number: int, minutes: int = 0) -> datetime:
    return LONG_AGO + timedelta(hours=number, minutes=minutes)


REFUSALS = {
    "constraint": (
        "ALTER TABLE phono_gap ADD CONSTRAINT no_holiday CHECK (detail <> 'holiday');",
        "ALTER TABLE phono_gap DROP CONSTRAINT no_holiday;",
    ),
    "trigger": (
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.detail = 'holiday' THEN RAISE EXCEPTION 'no holidays'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON phono_gap FOR EACH ROW EXECUTE FUNCTION refuse();
        """,
        "DROP TRIGGER refuse ON phono_gap;",
    ),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_gap_that_the_archive_refuses(how: str, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named and stops nothing else; once the archive takes it, it arrives and is named no more."""
    monkeypatch.setattr("phonobase.recorder.feed._TRY_AGAIN_S", 0.5)
    refuse, take = REFUSALS[how]
    Program(link.url).run_script(refuse)
    for number in range(20):
        detail = "holiday" if number in (3, 4, 17) else "weekend"
        link.spool.add_gap("desk", _hour(number), _hour(number, 30), "paused", detail=detail)
    closed = [add(link.spool, seed=seed, source="closed") for seed in range(2)]
    live = open_recording(link.spool, source="live")
    link.start()
    wait_until(lambda: len(link.status().conflicts) == 3)
    go_on(live, 3, 2)
    live.close()
    with Archive(link.url) as archive:
        wait_until(lambda: len(archive.find(state=State.COMPLETE)) == 3)
        assert all(archive.verify(one.id).ok for one in closed)
        wait_until(lambda: len(archive.gaps()) == 17)
    with Raw(link.our_url) as raw:
        refused = {id_ for (id_,) in raw.rows("SELECT id FROM phono_gap WHERE detail = 'holiday'")}
    assert {line.split()[1] for line in link.status().conflicts} == refused
    assert link.status().state == "forwarding"
    Program(link.url).run_script(take)
    wait_until(lambda: link.status().conflicts == [])
    wait_until(link.arrived)
