"""A push whose every operation fails once: repeated, it leaves both ends the same."""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.errors import DatabaseUnavailable
from phonobase.recorder.feed import Feed
from tests.store.both_ends import SMALL, Ends, add, assert_same, open_recording, rows
from tests.store.faults import Faults
from tests.store.judge import Raw

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 1 if os.environ.get("TORTURE") else 6
"""Which operations fail, where every one takes minutes and the push to PostgreSQL tries them all."""

LONG_AGO = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with two closed recordings of a source, one with gaps, an open one, and gaps outside."""
    path = tmp_path_factory.mktemp("full") / "full.db"
    with Archive(f"sqlite:///{path}") as archive:
        recording = add(archive, seconds=1, source="desk")
        with archive.writing() as repository:
            for first_frame in (0, recording.frame_count):
                repository.add_gap(
                    "desk",
                    recording.started_at,
                    recording.started_at,
                    "overflow",
                    recording=recording,
                    first_frame=first_frame,
                    frame_count=0,
                )
        add(archive, seconds=1.5, seed=2, source="desk")
        archive.add_gap("quiet", LONG_AGO, LONG_AGO, "process-down")
        archive.add_gap("quiet", LONG_AGO, LONG_AGO + timedelta(hours=1), "paused")
        open_recording(archive, seconds=1, source="live").abandon()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def their_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty archive: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'theirs.db'}"
    url: str = request.getfixturevalue("migrated_postgres_url")
    return url


def test_operations_of_a_push_fail_once(full: Path, their_url: str) -> None:
    """Whatever fails, what is there is sound, and the next push completes it."""
    faults, number = Faults(), 0
    with Archive(f"sqlite:///{full}") as ours, Archive(their_url) as theirs:
        ends = Ends(ours, theirs, f"sqlite:///{full}", their_url)
        with faults.watching(ours.engine), faults.watching(theirs.engine):
            faults.failed = True
            while faults.failed:
                _empty(their_url)
                faults.fail(number)
                with contextlib.suppress(DatabaseUnavailable):
                    assert ends.push() == []
                faults.rest()
                if number % 5 == 0:
                    _assert_sound(theirs)
                assert ends.push() == []
                assert_same(ends.our_url, ends.their_url)
                number += 1 if theirs.path is None else EVERY
        ends.assert_equal()
    assert number > 50


def test_operations_of_forwarding_and_shedding_fail_once(full: Path, their_url: str, tmp_path: Path) -> None:
    """Whatever fails, everything is in the archive in the end, and the spool keeps what it must."""
    everything = rows(f"sqlite:///{full}")
    faults, number = Faults(), 0
    with Archive(their_url) as theirs, faults.watching(theirs.engine):
        faults.failed = True
        while faults.failed:
            _empty(their_url)
            our_url = f"sqlite:///{shutil.copyfile(full, tmp_path / f'{number}.db')}"
            with Archive(our_url) as ours, faults.watching(ours.engine):
                feed = Feed(ours)
                faults.fail(number)
                for _ in range(3):
                    with contextlib.suppress(DatabaseUnavailable):
                        _drain(feed, theirs)
                        break
                feed.close()
                faults.rest()
                left = sorted((one.source, one.state) for one in ours.find())
            assert left == [("desk", "complete"), ("live", "recording")]
            assert rows(their_url) == everything
            with Raw(our_url) as raw:
                assert raw.rows("SELECT cause FROM phono_gap WHERE source = 'quiet'") == [("paused",)]
            number += EVERY
        _assert_sound(theirs)
    assert number > 50


def _drain(feed: Feed, archive: Archive) -> None:
    """Forwards everything in a spool and takes out of it what may leave."""
    feed.look(fully=True)
    feed.connect(archive)
    while True:
        feed.look(fully=True)
        waiting = feed.live() + feed.backlogged()
        for recording_id in waiting:
            feed.send(recording_id, SMALL)
        if gaps := feed.gaps_waiting():
            feed.send_gaps(gaps)
        if not waiting and not gaps and not feed.shed(0):
            assert feed.backlog == (0, 0)
            assert feed.conflicts == []
            return


def _assert_sound(archive: Archive) -> None:
    for recording in archive.find():
        assert archive.verify(recording.id).faults == ()


def _empty(url: str) -> None:
    with Raw(url) as raw:
        for table in ("phono_gap", "phono_audio", "phono_chunk", "phono_recording", "phono_source"):
            raw.run(f"DELETE FROM {table}")
