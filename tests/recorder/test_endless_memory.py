"""Neither recording nor forwarding takes more memory for a day than for two hours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from phonobase import Archive, State
from phonobase.recorder.state import StateFolder
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.recorder.day import BEGAN_US, HOUR_US
from tests.recorder.peak import PROGRAM_SAYING_ITS_PEAK
from tests.store.judge import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer

BEGAN = datetime.fromtimestamp(BEGAN_US / 1_000_000, UTC)
SHORT, LONG = 2, 24
GROWTH = 1.25
"""The longer outage makes larger batches, up to 8 MiB, of which some are held at once."""

_PATIENCE_S = 120


class _Said(TypedDict):
    """What a recorder says of its run."""

    us: dict[str, int]
    peak_kib: int


@dataclass(frozen=True)
class Peaks:
    """The most memory that each process had, in KiB."""

    recorder: int
    forwarder: int


def test_a_day_takes_no_more_memory_than_two_hours(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """Rollovers, losses, a device that comes and goes and an archive that is away leave nothing behind.

    And what was heard and what was lost add up to the day, to the microsecond, in the archive.
    """
    short, long = (_hours(hours, tmp_path, own_postgres) for hours in (SHORT, LONG))
    print(short, long)

    assert long.recorder <= GROWTH * short.recorder
    assert long.forwarder <= GROWTH * short.forwarder


def _hours(hours: int, folder: Path, server: PostgresServer) -> Peaks:
    """Records some hours while they are forwarded, with an outage amid them, and judges the archive."""
    spool, name = folder / f"{hours}.db", f"hours_{hours}"
    server.create_database(name)
    url = server.url(name)
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    with _forwarder(spool, url) as forwarder:
        said = _record(spool, hours, server)
        wait_until(lambda: _is_forwarded(spool, url, hours))
        forwarder.send_signal(signal.SIGTERM)
        _, log = forwarder.communicate(timeout=_PATIENCE_S)
        assert forwarder.returncode == 0, log
    with Archive(url) as archive:
        covered = archive.coverage("day", BEGAN, BEGAN + timedelta(hours=hours))
        assert {"heard": covered.heard_us, **covered.lost_us} == said["us"]
        assert sum(said["us"].values()) == hours * HOUR_US
    return Peaks(said["peak_kib"], int(log.split()[-1]))


def _is_forwarded(spool: Path, url: str, hours: int) -> bool:
    status = StateFolder(spool).forwarder()
    assert status is not None
    assert status.conflicts == []
    with Archive(url) as archive:
        until = archive.accounted_until("day")
        is_open = archive.find(state=State.RECORDING)
    return status.backlog_us == 0 and until == BEGAN + timedelta(hours=hours) and not is_open


def _record(spool: Path, hours: int, server: PostgresServer) -> _Said:
    """Records; in the middle the archive's server is killed, and started a quarter later."""
    command = [sys.executable, "-m", "tests.recorder.day", str(spool), str(hours)]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as recorder:
        assert recorder.stdout is not None
        for line in recorder.stdout:
            if line == f"{hours // 2}\n":
                server.kill()
            elif line == f"{hours * 3 // 4}\n":
                server.start()
            last = line
    assert recorder.returncode == 0
    server.start()  # where the last quarter was too short for that
    said: _Said = json.loads(last)
    return said


@contextlib.contextmanager
def _forwarder(spool: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    words = ["--db", f"sqlite:///{spool}", "push", url, "--follow", "--grace", "0s"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM_SAYING_ITS_PEAK, *words],
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _environment() -> dict[str, str]:
    # Few arenas: how many threads met the allocator at once must not decide what is measured.
    return {**os.environ, "MALLOC_ARENA_MAX": "2"}
