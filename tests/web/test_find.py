from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from phonobase import Archive, Query
from phonobase.web import create_app
from phonobase.web.finding import Search
from tests.web.visitors import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATE = 1000


@pytest.fixture(scope="module")
def filled(shared_url: str) -> Iterator[Archive]:
    """Five recordings of two sources, the first one silent, each a second longer than the one before."""
    with Archive(shared_url) as archive:
        _fill(archive)
        yield archive


@pytest.fixture(scope="module")
def finder(filled: Archive) -> Iterator[TestClient]:
    """Somebody who may find all of them."""
    with TestClient(create_app(filled)) as client:
        yield client


def _fill(archive: Archive) -> None:
    for number, amplitude in enumerate((0, 32, 16_500, 32_767, 500)):
        made = archive.add(
            amplitude.to_bytes(2, "little") * RATE * (number + 1),
            RATE,
            source="desk" if number % 2 else "o'door",
            started_at=NOON + 10 * number * SECOND,
            title=f"Größe {number}",
            tags={"number": number, "queue": ["a", {"b": None}]},
            external_id=f"case-{number}",
        )
        archive.annotate(made.id, 0, 1, "note", f"said {number}", number / 10, author="test")


def _numbers(client: TestClient, **asked: object) -> list[int]:
    answer = client.get("/api/recordings", params=asked)  # type: ignore[arg-type] # whatever is asked
    assert answer.status_code == 200, answer.text
    return [each["tags"]["number"] for each in answer.json()["recordings"]]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"source": "desk"}, [3, 1]),
        ({"sources": ["desk", "o'door"], "limit": 3}, [4, 3, 2]),
        ({"sources": ["o'door"]}, [4, 2, 0]),
        ({"sources": ["o'door"], "source": "desk"}, []),
        ({"state": "complete"}, [4, 3, 2, 1, 0]),
        ({"state": "interrupted"}, []),
        ({"since": "2026-03-01T13:00:20+01:00"}, [4, 3, 2]),
        ({"until": "2026-03-01T12:00:20Z"}, [1, 0]),
        ({"heard_since": "2026-03-01T12:00:22.999999Z"}, [4, 3, 2]),
        ({"heard_since": "2026-03-01T12:00:23Z"}, [4, 3]),
        ({"heard_until": "2026-03-01T12:00:00.000001Z"}, [0]),
        ({"heard_at": "2026-03-01T12:00:12Z"}, []),
        ({"heard_at": "2026-03-01T12:00:11.5Z"}, [1]),
        ({"min_seconds": 4}, [4, 3]),
        ({"max_seconds": 1.0}, [0]),
        ({"level": "silent"}, [1, 0]),
        ({"level": "loud"}, [3, 2]),
        ({"level": "clipped"}, [3]),
        ({"min_peak_dbfs": -6.3}, [3, 2]),
        ({"max_peak_dbfs": "-inf"}, [0]),
        ({"tags": '{"number": 3.0}'}, [3]),
        ({"tags": '{"queue": [{"b": null}]}'}, [4, 3, 2, 1, 0]),
        ({"text": "GRÖSSE 2"}, []),
        ({"text": "gröẞe 2"}, [2]),
        ({"external_id": "case-4"}, [4]),
        ({"run_id": "0" * 32}, []),
        ({"annotation_kind": "note", "annotation_min_score": 0.3}, [4, 3]),
        ({"annotation_text": "SAID 1"}, [1]),
        ({"limit": 2}, [4, 3]),
    ],
    ids=str,
)
def test_recordings_are_found(finder: TestClient, asked: dict[str, Any], numbers: list[int]) -> None:
    """Each condition finds the recordings that meet it, the newest first."""
    assert _numbers(finder, **asked) == numbers


def test_the_conditions_are_those_of_python() -> None:
    """What can be asked for has the names that it has in Python."""
    assert list(Search.model_fields) == list(Query.__dataclass_fields__)


def test_page_after_page(filled: Archive, finder: TestClient) -> None:
    """Each page names the next one, the last one none, and what is recorded meanwhile moves nothing."""
    first = finder.get("/api/recordings", params={"limit": 2}).json()
    new = filled.add(b"\0\1", RATE, source="desk", tags={"number": 5})
    second = finder.get("/api/recordings", params={"limit": 2, "after": first["next"]}).json()
    third = finder.get("/api/recordings", params={"limit": 2, "after": second["next"]}).json()
    filled.delete(new.id, "seen")
    pages = [[each["tags"]["number"] for each in page["recordings"]] for page in (first, second, third)]
    assert pages == [[4, 3], [2, 1], [0]]
    assert third["next"] is None


@pytest.mark.parametrize("condition", [{}, {"limit": 1}, {"source": "desk"}, {"text": "größe"}], ids=str)
def test_a_visitor_finds_what_is_theirs(filled: Archive, condition: dict[str, Any]) -> None:
    """Whatever is asked for, nothing is found of sources that are not theirs, page after page."""
    client, seen = asking(filled, "desk", "never-heard"), []
    after: str | None = ""
    while after is not None:
        asked = condition | ({"after": after} if after else {})
        answer = client.get("/api/recordings", params=asked).json()
        seen += [each["tags"]["number"] for each in answer["recordings"]]
        after = answer["next"]
    assert seen == [3, 1]


def test_another_source_is_as_one_that_is_not_there(filled: Archive) -> None:
    """A source that is not theirs is answered to, word for word, as one that nobody has heard of."""
    client = asking(filled, "desk")
    for name in ("source", "sources"):
        answers = [client.get("/api/recordings", params={name: source}) for source in ("o'door", "o'doo_")]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].text == answers[1].text.replace("o'doo_", "o'door")
    assert asking(filled).get("/api/recordings").json() == {"recordings": [], "next": None}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"soruce": "desk"}, "query.soruce"),
        ({"since": "2026-03-01T12:00:00"}, "timezone"),
        ({"since": "1772366400"}, "ISO 8601"),
        ({"since": "2026-03-01T12:00:00 01:00"}, "%2B"),
        ({"since": "0001-01-01T00:00:00Z"}, "check the year"),
        ({"since": "9999-12-31T23:59:59-12:00"}, "check the year"),
        ({"since": "2026-03-01T12:00:01Z", "until": "2026-03-01T12:00:00Z"}, "swap them"),
        ({"limit": "0"}, "greater than or equal to 1"),
        ({"limit": "1001"}, "less than or equal to 1000"),
        ({"min_seconds": "nan"}, "min_seconds is not a number"),
        ({"state": "done"}, "recording"),
        ({"tags": "[1]"}, "JSON object"),
        ({"tags": "{"}, "JSON object"),
        ({"tags": "{" * 5000}, "JSON object"),
        ({"tags": json.dumps({"a": [[[[[[]]]]]]})}, "6 levels deep"),
        ({"text": "x" * 201}, "at most 200"),
        ({"source": "\0"}, "holds a character"),
        ({"run_id": "x"}, "query.run_id"),
        ({"after": "x"}, "no place in a list"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_means_nothing_is_refused(finder: TestClient, asked: dict[str, str], said: str) -> None:
    """A slip is not taken for a question: it is refused, and named."""
    answer = finder.get("/api/recordings", params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": answer.json()["detail"],
    }
