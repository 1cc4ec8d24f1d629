from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.bulk import add_gap, add_sources
from tests.web.visitors import asking

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from phonobase import Archive
    from tests.store.judge import Raw

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PCM = bytes(16_000)
FROM, TO = "2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z"


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """Desk-3 is heard for a second from 12:00:00 and 12:00:05 on, and paused from 12:00:01 to 12:00:03."""
    for seconds in (0, 5):
        archive.add(PCM, 8000, source="desk-3", started_at=NOON + seconds * SECOND)
    archive.add_gap("desk-3", NOON + SECOND, NOON + 2 * SECOND, "paused", detail="lunch")
    archive.add_gap("desk-3", NOON + 2 * SECOND, NOON + 3 * SECOND, "paused", detail="lunch")
    archive.add_gap("reef", NOON + SECOND, NOON + 2 * SECOND, "device-lost")
    return archive


def _gaps(client: TestClient, **asked: object) -> list[tuple[str, str, float]]:
    answer = client.get("/api/gaps", params=asked)  # type: ignore[arg-type] # whatever is asked
    assert answer.status_code == 200, answer.text
    return [(each["source"], each["cause"], each["seconds"]) for each in answer.json()["gaps"]]


PAUSED, LOST = ("desk-3", "paused", 2.0), ("reef", "device-lost", 1.0)


@pytest.mark.parametrize(
    ("asked", "gaps"),
    [
        ({}, [PAUSED, LOST]),
        ({"source": "reef"}, [LOST]),
        ({"from": "2026-03-01T12:00:01.5Z"}, [PAUSED, LOST]),
        ({"from": "2026-03-01T12:00:02.5Z"}, [("desk-3", "paused", 1.0)]),
        ({"from": "2026-03-01T12:00:03Z"}, []),
        ({"to": "2026-03-01T12:00:01Z"}, []),
        ({"from": FROM, "to": TO}, [PAUSED, LOST]),
        (
            {"from": FROM, "to": TO, "unrecorded": "true", "source": "desk-3"},
            [PAUSED, ("desk-3", "unrecorded", 2.0), ("desk-3", "unrecorded", 4.0)],
        ),
    ],
    ids=str,
)
def test_gaps(
    filled: Archive, client: TestClient, asked: dict[str, str], gaps: list[tuple[str, str, float]]
) -> None:
    """What was not heard in a period is listed, its parts as one, and what nobody accounts for if asked."""
    assert filled.sources() == ["desk-3", "reef"]
    assert _gaps(client, **asked) == gaps


def test_a_gap_in_full(filled: Archive, client: TestClient) -> None:
    """A gap says when it was, why, and what people said of it."""
    (found,) = client.get("/api/gaps", params={"source": "reef"}).json()["gaps"]
    (row,) = filled.gaps("reef")
    assert row.id is not None
    assert found == {
        "id": row.id.hex,
        "source": "reef",
        "started_at": "2026-03-01T12:00:01Z",
        "ended_at": "2026-03-01T12:00:02Z",
        "seconds": 1.0,
        "cause": "device-lost",
        "detail": None,
        "recording_id": None,
        "first_frame": None,
        "frame_count": None,
        "run_id": None,
    }


def test_more_gaps_than_an_answer_holds(archive: Archive, client: TestClient, raw: Raw) -> None:
    """Ten thousand gaps are listed; of more it is said that a shorter period is to be asked for."""
    add_sources(raw, "desk-3")
    raw.run("BEGIN")
    for number in range(10_001):
        began = NOON + 2 * number * SECOND
        add_gap(raw, number + 1, "desk-3", began, began + SECOND, "paused")
    raw.run("COMMIT")
    answer = client.get("/api/gaps")
    assert (answer.status_code, "shorter period" in answer.json()["detail"]) == (422, True)
    end = (NOON + 20_000 * SECOND).isoformat()
    assert len(client.get("/api/gaps", params={"to": end}).json()["gaps"]) == 10_000
    assert archive.sources() == ["desk-3"]


def test_coverage(filled: Archive, client: TestClient) -> None:
    """What was heard and what was lost, and why, add up to the period, in whole microseconds."""
    asked = {"source": "desk-3", "from": FROM, "to": "2026-03-01T13:00:10+01:00"}
    assert filled.sources()
    assert client.get("/api/coverage", params=asked).json() == {
        "source": "desk-3",
        "since": FROM,
        "until": TO,
        "asked_us": 10_000_000,
        "heard_us": 2_000_000,
        "lost_us": {"paused": 2_000_000, "unrecorded": 6_000_000},
    }


def test_what_is_to_come_is_not_lost(filled: Archive, client: TestClient) -> None:
    """A period goes to now at the latest."""
    asked = {"source": "desk-3", "from": FROM, "to": "9000-01-01T00:00:00Z"}
    before = datetime.now(UTC)
    found = client.get("/api/coverage", params=asked).json()
    assert before <= datetime.fromisoformat(found["until"]) <= datetime.now(UTC)
    assert found["heard_us"] + sum(found["lost_us"].values()) == found["asked_us"]
    gaps = client.get("/api/gaps", params={"from": FROM, "unrecorded": 1, "source": "desk-3"}).json()["gaps"]
    assert before <= datetime.fromisoformat(gaps[-1]["ended_at"]) <= datetime.now(UTC)
    assert filled.sources()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("gaps", {"from": TO, "to": FROM}),
        ("gaps", {"unrecorded": "true"}),
        ("gaps", {"from": "9000-01-01T00:00:00Z", "unrecorded": "true"}),
        ("gaps", {"from": "yesterday"}),
        ("coverage", {"source": "desk-3"}),
        ("coverage", {"source": "desk-3", "from": TO, "to": FROM}),
        ("coverage", {"source": "desk-3", "from": "9000-01-01T00:00:00Z", "to": "9001-01-01T00:00:00Z"}),
    ],
    ids=str,
)
def test_a_period_that_is_none(filled: Archive, client: TestClient, path: str, asked: dict[str, Any]) -> None:
    """A period that ends before it begins, or has no beginning where it needs one, is refused."""
    assert filled.sources()
    answer = client.get(f"/api/{path}", params=asked)
    assert (answer.status_code, answer.json()["status"]) == (422, 422)


def test_a_visitor_sees_what_is_theirs(filled: Archive) -> None:
    """What another source lost is not theirs to know, nor whether there is such a source."""
    client = asking(filled, "reef")
    assert _gaps(client) == [LOST]
    period = {"from": FROM, "to": TO}
    for path in ("gaps", "coverage"):
        answers = [
            client.get(f"/api/{path}", params=period | {"source": each}) for each in ("desk-3", "desk-4")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text.replace("desk-4", "desk-3")
