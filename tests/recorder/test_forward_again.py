"""Forwarders that are started anew, and that wait."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from phonobase import Archive
from phonobase.recorder.forward import Forwarder, Pace
from phonobase.store.push import push
from tests.recorder.test_forward import Link
from tests.store.both_ends import add
from tests.store.judge import Raw, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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
        forwarder = Forwarder([link.spool], nobody, link.state)
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
