from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from phonobase import Archive

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def _timeline(client: TestClient, start: float, end: float, width: int) -> dict[str, Any]:
    answer = client.get(
        "/api/timeline",
        params={
            "source": "desk-3",
            "from": (BEGAN + start * SECOND).isoformat(),
            "to": (BEGAN + end * SECOND).isoformat(),
            "width": width,
        },
    )
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_minute(archive: Archive, client: TestClient) -> None:
    """Each column has the share that was heard and its peak; gaps have causes, recordings their names."""
    recording = archive.add(
        b"\0\x40" * 160_000, 8000, source="desk-3", started_at=BEGAN, title="a call", encoding="pcm"
    )
    archive.add_gap("desk-3", BEGAN + 20 * SECOND, BEGAN + 35 * SECOND, "paused")
    archive.add(bytes(160_000), 8000, source="desk-3", started_at=BEGAN + 50 * SECOND)

    told = _timeline(client, -10, 70, 8)

    assert (told["source"], told["columns"], told["recording_count"]) == ("desk-3", 8, 2)
    assert datetime.fromisoformat(told["from"]) == BEGAN - 10 * SECOND
    assert datetime.fromisoformat(told["to"]) == BEGAN + 70 * SECOND
    assert told["heard"] == [0, 1, 1, 0, 0, 0, 1, 0]
    assert [level and round(level, 2) for level in told["peak_dbfs"]] == [None, -6.02, -6.02, *[None] * 5]
    assert told["peaks_by_chunk"] is True
    assert [
        (gap["cause"], gap["count"], (datetime.fromisoformat(gap["started_at"]) - BEGAN) / SECOND)
        for gap in told["gaps"]
    ] == [("unrecorded", 1, -10), ("paused", 1, 20), ("unrecorded", 1, 35), ("unrecorded", 1, 60)]
    assert [(each["title"], each["state"]) for each in told["recordings"]] == [
        ("a call", "complete"),
        (None, "complete"),
    ]
    assert told["recordings"][0]["id"] == recording.id.hex


def test_no_share_of_less_than_all_is_one(archive: Archive, client: TestClient) -> None:
    """A column of which a microsecond is missing was not heard as a whole."""
    archive.add(bytes(2 * 3600 * 8000), 8000, source="desk-3", started_at=BEGAN)
    assert _timeline(client, 0, 3600, 1)["heard"] == [1]
    (share,) = _timeline(client, 0, 3600.000001, 1)["heard"]
    assert 0.999999 < share < 1


def test_a_column_is_a_microsecond_at_least(archive: Archive, client: TestClient) -> None:
    """A stretch of three microseconds has three columns, however many are asked for."""
    archive.add(bytes(16), 8000, source="desk-3", started_at=BEGAN - timedelta(microseconds=998))
    told = _timeline(client, 0, 0.000003, 1000)
    assert (told["columns"], told["heard"]) == (3, [1, 1, 0])


def test_what_is_to_come_is_not_missing(archive: Archive, client: TestClient) -> None:
    """What lies ahead was not heard, but nothing says that it will be missing."""
    archive.add(bytes(16), 8000, source="desk-3", started_at=BEGAN)
    ahead = datetime.now(UTC) + timedelta(days=1)
    told = _timeline(client, (ahead - BEGAN) / SECOND, (ahead - BEGAN) / SECOND + 60, 4)
    assert (told["heard"], told["gaps"]) == ([0, 0, 0, 0], [])


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"source": "desk-4"}, 404),
        ({"to": "2026-03-01T11:00:00Z"}, 422),
        ({"from": "2026-03-01T13:00:00"}, 422),
        ({"width": 0}, 422),
        ({"width": 8193}, 422),
    ],
    ids=["unknown", "backwards", "naive", "none", "many"],
)
def test_what_has_no_timeline(
    archive: Archive, client: TestClient, changed: dict[str, Any], status: int
) -> None:
    """A source that is not there, and a period that is none, are refused in words."""
    archive.add(bytes(16), 8000, source="desk-3", started_at=BEGAN)
    asked = {"source": "desk-3", "from": "2026-03-01T12:00:00Z", "to": "2026-03-01T13:00:00Z", **changed}
    answer = client.get("/api/timeline", params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
