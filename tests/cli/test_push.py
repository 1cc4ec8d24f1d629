"""``phonobase push``."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive, State
from phonobase.recorder.spool import open_spool
from tests.cli.program import Program, finished
from tests.store.both_ends import add, assert_same
from tests.store.judge import Raw, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_by_hand(recorded: Program, tmp_path: Path) -> None:
    """Everything goes into the named archive, which is made; a second time there is nothing to do."""
    url = f"sqlite:///{tmp_path / 'office.db'}"
    assert "pushed 1 recording" in recorded("push", url).ok().err
    assert_same(recorded.url, url)
    assert "pushed 0 recordings, 0 B; 1 were there already" in recorded("push", url).ok().err


def test_conflicts_are_named(recorded: Program, tmp_path: Path) -> None:
    """Each recording that is other there is one line, and the exit code is 1."""
    url = f"sqlite:///{tmp_path / 'office.db'}"
    recorded("record", "--input", "tone", "--no-realtime", "--duration", "1").ok()
    recorded("push", url).ok()
    with Raw(url) as raw:
        raw.run("UPDATE phono_recording SET chain_head = zeroblob(32)")
    failed = recorded("push", url)
    assert failed.code == 1
    lines = [line for line in failed.err.splitlines() if line.startswith("phonobase: ")]
    assert len(lines) == 3
    for recording in recorded.recordings():
        assert sum(recording.id.hex in line for line in lines) == 1


@pytest.mark.parametrize("url", ["nothing", "postgresql://nobody@127.0.0.1:1/none"])
def test_an_archive_that_is_none(recorded: Program, url: str) -> None:
    """A wrong address is one line."""
    recorded("push", url).refused(url.partition("?")[0].rpartition("/")[2])


@pytest.mark.parametrize("how", ["SIGTERM", "end of stdin"])
def test_following(how: str, folder: Path, sqlite_url: str, migrated_postgres_url: str) -> None:
    """It forwards until it is told to stop or its parent is gone; then it brings the last there, and ends."""
    program = Program(sqlite_url, folder, PHONOBASE_PUSH_TO=migrated_postgres_url)
    process = program.start("push", "--follow", "--grace", "1h", stdin=subprocess.PIPE)
    with Archive(sqlite_url) as spool, Archive(migrated_postgres_url) as archive:
        first = add(spool)
        wait_until(lambda: [one.id for one in archive.find()] == [first.id])
        second = add(spool, seed=2)
        if how == "SIGTERM":
            os.kill(process.pid, signal.SIGTERM)
        else:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        finished(process).ok()
        assert archive.get(second.id) == second
    assert_same(sqlite_url, migrated_postgres_url)


def test_following_finds_a_spool_that_comes(
    folder: Path, sqlite_url: str, migrated_postgres_url: str
) -> None:
    """What a recorder writes beside a spool that it cannot use is forwarded by the one that runs already."""
    program = Program(sqlite_url, folder, PHONOBASE_PUSH_TO=migrated_postgres_url)
    process = program.start("push", "--follow", stdin=subprocess.PIPE)
    with Archive(sqlite_url) as spool, Archive(migrated_postgres_url) as archive:
        first = add(spool)
        wait_until(lambda: [one.id for one in archive.find()] == [first.id])
        assert spool.path is not None
        with Raw(sqlite_url) as raw:
            raw.run("UPDATE phono_alembic_version SET version_num = 'phonobase_9999'")
        with open_spool(spool.path) as beside:
            second = add(beside, seed=2)
            wait_until(lambda: archive.find(state=State.COMPLETE)[0].id == second.id)
        os.kill(process.pid, signal.SIGTERM)
        finished(process).ok()


def test_following_what_is_on_a_server(phonobase: Program, migrated_postgres_url: str) -> None:
    """Only a file on this machine is followed."""
    outcome = phonobase("push", "--follow", "--db", migrated_postgres_url, "sqlite:///x.db")
    outcome.refused("--follow forwards an SQLite file")
