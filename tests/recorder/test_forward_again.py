"""Forwarders that are started anew, that wait, and whose spools come and fail."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from phonobase import Archive, State
from phonobase.errors import DatabaseUnavailable
from phonobase.recorder.forward import Forwarder, Pace
from phonobase.recorder.spool import open_spool
from phonobase.store import sending
from phonobase.store.push import push
from tests.recorder.test_forward import QUICK, Link
from tests.store.both_ends import add
from tests.store.judge import Raw, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    import sqlalchemy as sa

LONG_AGO = datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_the_grace_time_outlives_a_forwarder(tmp_path: Path, migrated_postgres_url: str) -> None:
    """What the archive had before it started leaves by when it was recorded; what it sent stays its time."""
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, Pace())) as link:
        old, fresh = (add(link.spool, seed=seed, started_at=_hour(seed)) for seed in range(2))
        for hour in range(2):
            link.spool.add_gap("desk", _hour(hour), _hour(hour), "paused")
        with Archive(link.url) as archive, Raw(link.our_url) as raw:
            _stored_long_ago(raw, old.id.hex)
            push(link.spool, archive)
            late = add(link.spool, seed=3, started_at=_hour(3))
            _stored_long_ago(raw, late.id.hex)
            link.spool.add_gap("desk", _hour(3), _hour(3), "paused")
            last = add(link.spool, seed=4)
            link.start()
            wait_until(lambda: len(archive.find()) == 4)
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_recording") == 3)
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_gap") == 1)
            link.stop()
            assert {one.id for one in link.spool.find()} == {fresh.id, late.id, last.id}
            assert {one.id for one in archive.find()} == {old.id, fresh.id, late.id, last.id}
            assert len(archive.gaps()) == 3


def test_an_archive_that_is_back_is_noticed_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the archive was away, it is tried again every ten seconds at least."""
    nobody = "postgresql://nobody@127.0.0.1:1/none"
    with contextlib.closing(Link(tmp_path / "spool.db", nobody)) as link:
        forwarder = Forwarder(link.spools, nobody, link.state)
        waits: list[float] = []

        def wait(seconds: float) -> bool:
            waits.append(seconds)
            if len(waits) == 30:
                forwarder.stop()
            return forwarder._stop.is_set()

        monkeypatch.setattr(forwarder._stop, "wait", wait)
        forwarder.run()
    assert len(waits) == 30
    assert min(waits[-20:]) > 1
    assert max(waits) <= 10


def _stored_long_ago(raw: Raw, recording_id: str) -> None:
    raw.run(
        "UPDATE phono_recording SET committed_at = '2026-03-01 10:00:00.000000' WHERE id = ?", recording_id
    )


def _hour(number: int) -> datetime:
    return LONG_AGO + timedelta(hours=number)


def test_a_spool_that_comes_while_it_runs(tmp_path: Path, migrated_postgres_url: str) -> None:
    """Where a spool works no more, it is named, and the one that a recorder begins beside it is forwarded."""
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, QUICK)) as link:
        first = add(link.spool)
        link.start()
        with Archive(link.url) as archive:
            wait_until(lambda: [one.id for one in archive.find()] == [first.id])
            with Raw(link.our_url) as raw:
                raw.run("DROP TABLE phono_gap")
                raw.run("UPDATE phono_alembic_version SET version_num = 'phonobase_9999'")
            with open_spool(link.path) as beside:
                assert beside.path != link.path
                second = add(beside, seed=2)
                wait_until(lambda: archive.find(state=State.COMPLETE)[0].id == second.id)
                assert archive.verify(second.id).ok
                wait_until(lambda: any(str(link.path) in line for line in link.status().conflicts))
                wait_until(lambda: link.status().state == "forwarding")
                link.path.rename(tmp_path / "away")
                wait_until(lambda: link.status().conflicts == [])
    assert not link.path.exists()


def test_a_spool_that_cannot_be_used_at_the_start(tmp_path: Path, migrated_postgres_url: str) -> None:
    """It is named for as long as it lies there, and what is beside it is forwarded."""
    path = tmp_path / "spool.db"
    path.write_bytes(b"no database" * 1000)
    with contextlib.closing(Link(path, migrated_postgres_url, QUICK)) as link:
        recording = add(link.spool)
        link.start()
        with Archive(link.url) as archive:
            wait_until(lambda: [one.id for one in archive.find(state=State.COMPLETE)] == [recording.id])
        wait_until(lambda: any(str(path) in line for line in link.status().conflicts))


def test_a_recording_that_cannot_be_read(
    tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk does not give some of a spool, that is named and the rest is forwarded."""
    monkeypatch.setattr("phonobase.recorder.feed._READ_AGAIN_S", 0.5)
    with contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, QUICK)) as link:
        bad, good = (add(link.spool, seed=seed, started_at=_hour(seed)) for seed in range(2))
        read, broken = sending.checked_chunks, [True]

        def checked_chunks(connection: sa.Connection, row: sending.Columns, *more: Any) -> Any:  # noqa: ANN401 - chunks
            if row["id"] == bad.id and broken:
                raise DatabaseUnavailable("disk I/O error")
            return read(connection, row, *more)

        monkeypatch.setattr(sending, "checked_chunks", checked_chunks)
        link.start()
        with Archive(link.url) as archive:
            wait_until(lambda: [one.id for one in archive.find(state=State.COMPLETE)] == [good.id])
            wait_until(lambda: link.status().conflicts == ["disk I/O error"])
            wait_until(lambda: link.status().state == "forwarding")
            broken.clear()
            wait_until(link.arrived)
            wait_until(lambda: link.status().conflicts == [])
