from __future__ import annotations

import time
from typing import TYPE_CHECKING

from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.torture.outages import Victim
from tests.torture.service import FACTOR, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.postgres import PostgresServer

SOURCES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
RATE = 8000 if FACTOR == 1 else 48_000
SHORT_S, LONG_S = 0.7 * FACTOR, 1.5 * FACTOR**2
DATABASE = "torture"


def test_outages_of_the_archive_cost_nothing(tmp_path: Path, own_postgres: PostgresServer) -> None:
    """Whatever happens to its server, the archive has every frame of every source in the end, once."""
    own_postgres.create_database(DATABASE)
    victim = Victim(own_postgres, DATABASE)
    engine = create_engine(own_postgres.url(DATABASE))
    schema.upgrade(engine)
    engine.dispose()
    service = Service(tmp_path, own_postgres.url(DATABASE), SOURCES, RATE)
    outages = {
        victim.stopped: LONG_S,
        victim.cut_at_work: SHORT_S,
        victim.cut_when_committed: SHORT_S,
        victim.killed: SHORT_S,
        victim.forbidden: SHORT_S,
        victim.paused: LONG_S,
        victim.killed_when_committed: SHORT_S,
        victim.crowded: SHORT_S,
        victim.closed: SHORT_S,
        victim.restarted: SHORT_S,
    }
    with service.running():
        for outage, seconds in outages.items():
            _measured(service, outage, seconds)
        service.settle()

    lost = service.lost()
    for held in service.judged().values():
        assert held.holes(0) == []
        assert held.lost == ()
    assert list(lost.values()) == [0] * len(SOURCES)


def _measured(service: Service, outage: Callable[[float], None], seconds: float) -> None:
    """Lets the archive be away, and says how fast what was recorded meanwhile arrives afterwards."""
    print(f"{outage.__name__}", end=": ")
    there = service.frames(service.url)
    outage(seconds)
    ended = time.monotonic()
    wanted = service.frames(service.spool_url)
    service.until(lambda: service.frames(service.url) > there)
    noticed = time.monotonic()
    service.until(lambda: service.frames(service.url) >= wanted, patience_s=600)
    backlog_s, first_s, all_s = (wanted - there) / service.rate, noticed - ended, time.monotonic() - ended
    print(f"{backlog_s:.1f} s of sound waited, some of it there after {first_s:.2f} s", end=", ")
    print(f"all after {all_s:.2f} s: {backlog_s / all_s:.0f} times as fast as a source")
