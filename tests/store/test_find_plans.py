from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from phonobase import Archive, Query, State
from phonobase.store.cursor import Cursor
from tests.store.bulk import EPOCH, add_many
from tests.store.judge import Raw
from tests.store.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 30_000
FIRST = EPOCH + timedelta(seconds=1_700_000_000)
MINUTE = timedelta(minutes=1)
ANNOTATE = """
INSERT INTO phono_annotation (id, recording_id, first_frame, frame_count, kind, author, created_at)
SELECT id, id, 0, 1, ?, 'test', started_at FROM phono_recording WHERE external_id LIKE ?
"""
STARTED, BY_SOURCE = "ix_phono_recording_started_at", "ix_phono_recording_source_started_at"


@pytest.fixture(scope="module")
def many(shared_url: str) -> Iterator[Watched]:
    """An archive of thirty thousand recordings of fifty seconds, one a minute."""
    with Raw(shared_url) as raw:
        add_many(raw, MANY)
        tagged = (
            """UPDATE phono_recording SET tags = '{"queue": {"name": "x"}, "n": 1}' WHERE external_id = ?"""
        )
        raw.run(tagged, "case-7")
        raw.run("""UPDATE phono_recording SET tags = '{"n": 2}' WHERE external_id LIKE 'case-%99'""")
        raw.run(ANNOTATE, "speech", "case-%5")
        raw.run(ANNOTATE, "alarm", "case-2")
        raw.run("ANALYZE")
    with Archive(shared_url) as archive:
        yield Watched(archive)


def _behind(number: int) -> str:
    return str(Cursor(FIRST + number * MINUTE, UUID(int=number)))


@pytest.mark.parametrize(
    ("conditions", "index", "expected"),
    [
        ({"after": _behind(20_000), "limit": 3}, STARTED, [19_999, 19_998, 19_997]),
        ({"after": _behind(20_003), "limit": 2, "source": "rare"}, BY_SOURCE, [19_003, 18_003]),
        (
            {"after": _behind(20_003), "limit": 2, "since": FIRST + 20_001 * MINUTE},
            STARTED,
            [20_002, 20_001],
        ),
        ({"after": _behind(20_000), "limit": 1, "until": FIRST + 10 * MINUTE}, STARTED, [9]),
        ({"heard_at": FIRST + 20_000.5 * MINUTE}, STARTED, [20_000]),
        ({"heard_at": FIRST + 20_000.9 * MINUTE}, STARTED, []),
        ({"heard_at": FIRST + 20_003 * MINUTE, "source": "rare"}, BY_SOURCE, [20_003]),
        (
            {"heard_since": FIRST + 9.8 * MINUTE, "heard_until": FIRST + 12 * MINUTE},
            STARTED,
            [11, 10, 9],
        ),
    ],
)
def test_every_search_by_time_takes_an_index(
    many: Watched, conditions: dict[str, Any], index: str, expected: list[int]
) -> None:
    """A place in the list, a moment and a period are edges of an index, on both databases."""
    assert many.ids(**conditions) == expected
    assert index in many.plan
    assert "SCAN phono_recording\n" not in many.plan
    assert "Seq Scan" not in many.plan
    assert "phono_audio" not in many.plan


@pytest.mark.parametrize(
    ("conditions", "index", "expected"),
    [
        ({"run_id": UUID(int=4711)}, "ix_phono_recording_run_id", [4711]),
        ({"external_id": "case-777", "source": "often"}, "ix_phono_recording_external_id", [777]),
        ({"state": State.RECORDING}, "ix_phono_recording_open", []),
        ({"annotation_kind": "alarm"}, "ix_phono_annotation_", [2]),
        ({"annotation_kind": "speech", "limit": 2}, "ix_phono_annotation_", [MANY - 5, MANY - 15]),
    ],
)
def test_a_search_by_name_takes_an_index(
    many: Watched, conditions: dict[str, Any], index: str, expected: list[int]
) -> None:
    """A run, a name elsewhere, what is still open and a kind of annotation are looked up."""
    assert many.ids(**conditions) == expected
    assert index in many.plan
    assert "Seq Scan" not in many.plan
    # SQLite takes the recordings in their order and looks up what is said of each.
    assert many.work < (500_000 if conditions == {"annotation_kind": "alarm"} and many.is_sqlite else 1000)


def test_tags_have_an_index_on_postgresql(many: Watched) -> None:
    """On PostgreSQL tags are found by an index, at any depth; on SQLite each recording is looked at."""
    for tags, found in (({"queue": {"name": "x"}}, [7]), ({"n": 1.0}, [7]), ({"queue": "x"}, [])):
        assert many.ids(tags=tags) == found
        assert ("ix_phono_recording_tags" in many.plan) == (not many.is_sqlite)
        assert (many.work < 1000) == (not many.is_sqlite)


@pytest.mark.parametrize("conditions", [{}, {"source": "often"}], ids=str)
def test_a_page_costs_the_same_at_any_depth(many: Watched, conditions: dict[str, Any]) -> None:
    """The last page of a list makes the database work no more than the second, however deep it lies."""
    works = []
    for number in (MANY - 100, MANY // 2, 200):
        found = many.ids(after=_behind(number), limit=50, **conditions)
        assert found[0] == number - 1
        works.append(many.work)
    assert max(works) <= 1.2 * min(works) + 4, works


def test_a_page_of_some_sources_passes_over_all_others(many: Watched) -> None:
    """What is found of a few sources costs the same, however much others heard in between."""
    assert many.ids(source="rare", limit=5) == [MANY - 997 - number * 1000 for number in range(5)]
    alone = many.work
    assert many.ids(sources=["rare", "never"], limit=5) == [MANY - 997 - number * 1000 for number in range(5)]
    assert many.work <= 3 * alone + 100
    assert many.plan.count(BY_SOURCE) == 2
    assert many.ids(sources=["rare", "often"], after=_behind(20_004), limit=3) == [20_003, 20_002, 20_001]
    assert many.work <= 3 * alone + 100


def test_a_moment_costs_the_same_at_any_time(many: Watched) -> None:
    """What was heard at a moment is found among a day's recordings, not among all of the past."""
    works = []
    for number in (3_000, MANY - 1):
        assert many.ids(heard_at=FIRST + number * MINUTE) == [number]
        works.append(many.work)
    assert max(works) <= 1.2 * min(works) + 4, works
    assert many.ids(heard_at=FIRST + 10 * MINUTE) == [10]
    assert many.work < works[0]


def test_the_pages_are_the_list(many: Watched) -> None:
    """Page after page, each recording is found once, in the order of the whole list."""
    query: Query | None = Query(source="rare", limit=4)
    pages = []
    while query is not None:
        page = many.archive.find(query)
        pages.append([recording.id.int for recording in page])
        query = page.next
    assert [len(page) for page in pages] == [4] * 7 + [2]
    assert [number for page in pages for number in page] == list(range(MANY - 997, 2, -1000))
