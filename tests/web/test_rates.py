from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from phonobase.web import Limits
from phonobase.web.rates import Rates, TooMuch, network
from tests.web.guests import door, guest, logged

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program

on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


@on_sqlite
def test_who_asks_too_often_waits(archive: Archive, program: Program) -> None:
    """Beyond the rate everything is refused, with the time to wait; others are not concerned."""
    often, other = guest(archive, name="Often"), guest(archive, name="Other")
    with door(archive, limits=Limits(requests_per_minute=5)) as client:
        answers = [client.get("/api/me", headers=often.shows) for _ in range(8)]
        assert client.get("/api/me", headers=other.shows).status_code == 200
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert answers[-1].json()["title"] == "Too Many Requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 120
    # Said once: whoever goes on fills no disk.
    assert logged(program, "who, status, coalesce(detail, '')") == [
        *["Often|200|"] * 5,
        "Often|429|too much",
        "Other|200|",
    ]


@on_sqlite
def test_what_is_made_first_is_counted_apart(archive: Archive) -> None:
    """Cuts and spectrograms have a rate of their own; looking goes on."""
    archive.add(b"\0\1" * 8000, 8000, source="desk")
    shows = guest(archive).shows
    cut = "/api/cut?source=desk&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:01Z"
    with door(archive, limits=Limits(heavy_requests_per_minute=2)) as client:
        statuses = [client.get(cut, headers=shows).status_code for _ in range(4)]
        assert client.get("/api/me", headers=shows).status_code == 200
    assert 429 not in statuses[:2]
    assert statuses[2:] == [429, 429]


@on_sqlite
def test_guessing_is_slowed_down(archive: Archive, program: Program) -> None:
    """Beyond a number of wrong tokens an address is told to wait; who shows a good one is let in."""
    somebody = guest(archive)
    with door(archive, limits=Limits(refused_per_minute=4)) as client:
        statuses = [client.post("/api/session", json={"token": f"x{n}"}).status_code for n in range(7)]
        assert client.get("/api/me").status_code == 429
        assert client.get("/api/me", headers=somebody.shows).status_code == 200
    assert statuses == [401] * 4 + [429] * 3
    assert logged(program, "status") == ["401"] * 4 + ["429", "200"]


def test_addresses_are_refused_apart() -> None:
    """What comes from one address is not counted for another; an IPv6 network is one."""
    rates = Rates(Limits(refused_per_minute=1))
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", ""):
        rates.count_refused(address)
    for address in ("192.0.2.1", "2001:db8::ffff", "::ffff:192.0.2.2", ""):
        with pytest.raises(TooMuch):
            rates.count_refused(address)
    assert network("testclient") == "testclient"


@on_sqlite
def test_one_visitor_does_not_take_all_places(archive: Archive) -> None:
    """So many requests of somebody are answered at the same time, and the places are given back."""
    rates = Rates(Limits(requests_at_once=2))
    with (
        rates.open("Anna"),
        rates.open("Anna"),
        rates.open("Ben"),
        pytest.raises(TooMuch),
        rates.open("Anna"),
    ):
        pass
    with rates.open("Anna"), rates.open("Anna"):
        pass
    somebody = guest(archive)
    with door(archive, limits=Limits(requests_at_once=1)) as client:
        assert [client.get("/api/me", headers=somebody.shows).status_code for _ in range(5)] == [200] * 5


def test_many_addresses_leave_nothing_behind() -> None:
    """What was counted is forgotten: a thousand addresses take no room for good."""
    rates = Rates(Limits(refused_per_minute=1))
    before = threading.active_count()
    for number in range(1000):
        rates.count_refused(f"192.0.{number // 256}.{number % 256}")
    storage = rates._window.storage
    assert len(getattr(storage, "events")) == 0  # noqa: B009 - of this kind of storage only
    assert threading.active_count() <= before + 1


@on_sqlite
def test_nobody_fills_the_log_without_asking_anything(archive: Archive, program: Program) -> None:
    """Paths that are none, and methods that are none, give nothing and are not logged."""
    with door(archive) as client:
        for path in ("/api/", "/api/nothing", "/api/recordings/x/y/z", "/api/%00", "/api//me"):
            assert client.get(path).status_code == 404
        assert client.put("/api/me").status_code == 405
        assert client.get("/api/health").status_code == 200
        assert client.get("/api/openapi.json").status_code == 200
    assert logged(program) == []


@on_sqlite
def test_health_is_not_asked_for_all_the_time(archive: Archive) -> None:
    """Whoever nobody asks who they are may not ask more often than anybody else."""
    with door(archive, limits=Limits(requests_per_minute=3)) as client:
        statuses = [client.get("/api/health").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


_FOREIGN = [
    ("POST", "/api/recordings", {"Cookie": "a=b", "Origin": "http://evil.example"}, False, 403),
    ("DELETE", "/api/session", {"Sec-Fetch-Site": "cross-site"}, False, 403),
    ("DELETE", "/api/session", {"Cookie": "phonobase_session=x"}, False, 204),
    ("GET", "/api/sources", {"X-Forwarded-For": "192.0.2.1"}, True, 403),
    ("GET", "/api/sources", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, True, 403),
    ("GET", "/api/sources", {"Host": "evil.example"}, True, 403),
]


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "headers", "open_here", "status"),
    _FOREIGN,
    ids=["posted", "signed out", "junk", "forwarded", "page", "host"],
)
def test_who_is_refused_fills_no_log(
    archive: Archive,
    program: Program,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    *,
    open_here: bool,
) -> None:
    """What is refused whoever asks it is counted by address, and beyond the rate logged once."""
    if path == "/api/session" and "Cookie" in headers:
        headers = headers | {"Origin": "http://localhost:8123"}
    with door(archive, open_here=open_here, limits=Limits(refused_per_minute=4)) as client:
        statuses = [client.request(method, path, headers=headers).status_code for _ in range(8)]
    assert statuses == [status] * 4 + [429] * 4
    assert logged(program, "status") == [str(status)] * 4 + ["429"]
