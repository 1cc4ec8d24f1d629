from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from phonobase.errors import InvalidDetails
from phonobase.store.coverage import UNRECORDED, Heard, Missed, account, summed
from tests.store.bulk import EPOCH, add_gap, add_many, add_recording, add_sources
from tests.store.spans import CAUSES, stretches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phonobase import Archive
    from tests.store.judge import Program, Raw

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, HOUR, MICROSECOND = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)


def _became(moment: float, recordings: Iterable[Heard], gaps: Iterable[Missed]) -> str | None:
    """Tells what became of one moment, by looking at every row."""
    there = [gap for gap in gaps if gap.start_us <= moment < gap.end_us]
    for recording in recordings:
        silent = any(gap.recording_id == recording.recording_id for gap in there)
        if recording.start_us <= moment < recording.end_us and not silent:
            return None
    return min(there, key=lambda gap: gap.start_us).cause if there else UNRECORDED


@settings(max_examples=500, deadline=None)
@given(rows=stretches(), since=st.integers(-3, 33), length=st.integers(0, 36))
def test_every_microsecond_becomes_one_thing(
    rows: tuple[list[Heard], list[Missed]], since: int, length: int
) -> None:
    """Whatever overlaps, the stretches fill the period in order, and each moment is what its rows say."""
    until = since + length

    found = list(account(*rows, since, until))

    assert [us for stretch in found for us in range(*stretch[:2])] == list(range(since, until))
    assert all(first.cause != second.cause for first, second in pairwise(found))
    assert {us: stretch.cause for stretch in found for us in range(*stretch[:2])} == {
        us: _became(us, *rows) for us in range(since, until)
    }
    heard_us, lost_us = summed(found)
    assert heard_us + sum(lost_us.values()) == length


def test_heard_and_lost_add_up_to_any_period(archive: Archive, raw: Raw) -> None:
    """Of rows of every kind, over weeks, both databases tell to the microsecond what was heard and lost."""
    chance = random.Random(7)
    add_sources(raw, "reef", "desk")
    recordings: list[Heard] = []
    gaps: list[Missed] = []
    for number in range(40):
        start = chance.choice([0, 1, chance.randrange(14 * 86_400_000_000)])
        end = start + chance.choice([0, 1, 86_400_000_000, chance.randrange(86_400_000_000)])
        recordings.append(Heard(start, end, add_recording(raw, number, "reef", _at(start), _at(end))))
    for number in range(80):
        inside = chance.choice(recordings) if number % 2 else None
        start = chance.randint(inside.start_us, inside.end_us) if inside else chance.randrange(10**12)
        longest = inside.end_us - start if inside else 3 * 86_400_000_000
        end = start + chance.choice([0, min(1, longest), chance.randint(0, longest)])
        gap = Missed(start, end, inside.recording_id if inside else None, chance.choice(CAUSES))
        add_gap(raw, number, "reef", _at(start), _at(end), gap.cause, gap.recording_id)
        gaps.append(gap)
    add_recording(raw, 999, "desk", _at(0), _at(86_400_000_000))
    add_gap(raw, 999, "desk", _at(0), _at(10**12), "overflow")
    gaps.sort(key=lambda gap: gap.start_us)
    starts = {row.start_us for row in recordings} | {row.start_us for row in gaps}
    edges = sorted(starts | {row.end_us for row in recordings} | {row.end_us for row in gaps})
    periods = [(-(10**11), 2 * 10**12), (edges[5], edges[-5]), (edges[40], edges[41]), (edges[9], edges[9])]
    for _ in range(20):
        since, until = sorted(chance.sample(range(-(10**10), 15 * 10**11), 2))
        periods.append((since, until))
    for since, until in periods:
        expected: dict[str | None, int] = {}
        places = [since, *(edge for edge in edges if since < edge < until), until]
        for start, end in pairwise(places):
            cause = _became((start + end) / 2, recordings, gaps)
            expected[cause] = expected.get(cause, 0) + end - start

        found = archive.coverage("reef", _at(since), _at(until))

        assert found.heard_us == expected.pop(None, 0)
        assert found.lost_us == {cause: us for cause, us in expected.items() if us}
        assert found.heard_us + sum(found.lost_us.values()) == until - since


def _at(us: int) -> datetime:
    return BEGAN + us * MICROSECOND


def test_what_no_row_accounts_for_is_unrecorded(archive: Archive, raw: Raw) -> None:
    """The time before, between and behind all rows is listed on request, and all of that of a new source."""
    add_sources(raw, "reef", "new")
    add_recording(raw, 1, "reef", BEGAN, BEGAN + HOUR)
    add_gap(raw, 1, "reef", BEGAN + 2 * HOUR, BEGAN + 3 * HOUR, "paused")
    since, until = BEGAN - HOUR, BEGAN + 4 * HOUR

    found = archive.gaps("reef", since, until, unrecorded=True)

    assert [(gap.started_at - BEGAN, gap.ended_at - BEGAN, gap.cause, gap.id) for gap in found] == [
        (-HOUR, 0 * HOUR, UNRECORDED, None),
        (HOUR, 2 * HOUR, UNRECORDED, None),
        (2 * HOUR, 3 * HOUR, "paused", UUID(int=1)),
        (3 * HOUR, 4 * HOUR, UNRECORDED, None),
    ]
    assert archive.coverage("new", since, until).lost_us == {UNRECORDED: 5 * HOUR // MICROSECOND}
    assert [gap.source for gap in archive.gaps(None, since, until, unrecorded=True)].count("new") == 1


def test_gaps_that_reach_into_a_period(archive: Archive, raw: Raw) -> None:
    """A gap that began weeks before is found; one that only touches is not; a place counts at its moment."""
    add_sources(raw, "reef", "desk")
    for number, (source, start, end) in enumerate(
        [
            ("reef", BEGAN - 40 * DAY, BEGAN + MICROSECOND),
            ("reef", BEGAN - DAY, BEGAN),
            ("desk", BEGAN - HOUR, BEGAN + DAY),
            ("reef", BEGAN, BEGAN),
            ("reef", BEGAN + HOUR, BEGAN + 2 * HOUR),
            ("reef", BEGAN + DAY, BEGAN + DAY),
        ]
    ):
        add_gap(raw, number, source, start, end, "paused")

    def found(source: str | None, since: datetime | None, until: datetime | None) -> list[int]:
        return [gap.id.int for gap in archive.gaps(source, since, until) if gap.id]

    assert found(None, BEGAN, BEGAN + DAY) == [0, 2, 3, 4]
    assert found("reef", BEGAN, BEGAN + DAY) == [0, 3, 4]
    assert found("reef", BEGAN + MICROSECOND, None) == [4, 5]
    assert found("reef", None, BEGAN) == [0, 1]
    assert found(None, None, None) == [0, 1, 2, 3, 4, 5]
    assert found("nobody", None, None) == []


def test_parts_of_one_gap_are_one(archive: Archive, raw: Raw) -> None:
    """What was listed in parts is shown as one; another cause, a hole, or a loss of no length keeps apart."""
    add_sources(raw, "reef")
    for number, (start, end, cause) in enumerate(
        [
            (0, 10, "paused"),
            (10, 20, "paused"),
            (10, 15, "overflow"),
            (20, 20, "paused"),
            (20, 30, "paused"),
            (31, 40, "paused"),
            (40, 50, "deleted"),
        ]
    ):
        add_gap(raw, number, "reef", BEGAN + start * HOUR, BEGAN + end * HOUR, cause)

    found = archive.gaps("reef")

    assert [
        ((gap.started_at - BEGAN) // HOUR, (gap.ended_at - BEGAN) // HOUR, gap.cause, gap.id is None)
        for gap in found
    ] == [
        (0, 20, "paused", True),
        (10, 15, "overflow", False),
        (20, 20, "paused", False),
        (20, 30, "paused", False),
        (31, 40, "paused", False),
        (40, 50, "deleted", False),
    ]


@pytest.mark.parametrize(
    ("start", "end", "cause", "message"),
    [
        (0, -1, "paused", "cannot end at .* before it begins"),
        (0, 1, "", "not listed without a cause"),
        (0, 1, "a\0b", "the cause holds a character"),
        (0, 1, UNRECORDED, "stands for what no row accounts for"),
    ],
)
def test_gaps_that_say_nothing_are_refused(
    archive: Archive, start: int, end: int, cause: str, message: str
) -> None:
    """A gap that ends before it begins, or has no cause, is not listed."""
    with pytest.raises(InvalidDetails, match=message):
        archive.add_gap("reef", BEGAN + start * HOUR, BEGAN + end * HOUR, cause)
    assert archive.gaps() == []
    assert archive.sources() == []


def test_a_gap_makes_its_source(archive: Archive, program: Program) -> None:
    """A source that was only paused so far is there, with its gap and the run that it belongs to."""
    run_id = UUID(int=5)
    for _ in range(2):
        archive.add_gap("new", BEGAN, BEGAN + HOUR, "paused", detail="card", run_id=run_id)
    assert archive.sources() == ["new"]
    found = program.lines("SELECT source, seconds, cause, detail, run_id, recording_id FROM phono_gaps")
    assert [line.replace("3600.0", "3600").replace("-", "") for line in found] == [
        f"new|3600|paused|card|{run_id.hex}|"
    ] * 2
    with pytest.raises(InvalidDetails, match="cannot name a source"):
        archive.add_gap("", BEGAN, BEGAN, "paused")


def test_periods_that_are_none_are_refused(archive: Archive) -> None:
    """A period that ends before it begins, that has no zone, or no end where it needs one."""
    with pytest.raises(InvalidDetails, match=r"cannot end at .* swap the two"):
        archive.coverage("reef", BEGAN, BEGAN - HOUR)
    with pytest.raises(InvalidDetails, match="has no time zone"):
        archive.coverage("reef", BEGAN.replace(tzinfo=None), BEGAN)
    archive.add_gap("reef", BEGAN, BEGAN, "paused")
    with pytest.raises(InvalidDetails, match="has no time zone"):
        archive.gaps("reef", BEGAN.replace(tzinfo=None))
    with pytest.raises(InvalidDetails, match="pass since and until"):
        archive.gaps("reef", BEGAN, unrecorded=True)


def test_how_far_a_source_is_accounted_for(archive: Archive, raw: Raw) -> None:
    """The latest end counts, of a recording or a gap, whichever began last."""
    assert archive.accounted_until("reef") is None
    add_sources(raw, "reef", "desk")
    add_gap(raw, 1, "reef", BEGAN - 9 * DAY, BEGAN - 8 * DAY, "paused")
    assert archive.accounted_until("reef") == BEGAN - 8 * DAY
    add_recording(raw, 1, "reef", BEGAN, BEGAN + DAY)
    add_recording(raw, 2, "reef", BEGAN + DAY - HOUR, BEGAN + DAY - HOUR / 2)
    assert archive.accounted_until("reef") == BEGAN + DAY
    add_gap(raw, 2, "reef", BEGAN - 7 * DAY, BEGAN + 2 * DAY, "paused")
    add_gap(raw, 3, "reef", BEGAN + HOUR, BEGAN + 2 * HOUR, "paused")
    add_gap(raw, 4, "desk", BEGAN, BEGAN + 9 * DAY, "paused")
    assert archive.accounted_until("reef") == BEGAN + 2 * DAY


def test_a_look_at_a_day_of_years_reads_an_index(archive: Archive, raw: Raw) -> None:
    """Among many recordings and gaps, those of a period, and the end of all, are found by indexes."""
    add_many(raw, 20_000)
    raw.run(
        "INSERT INTO phono_gap (id, source, started_at, ended_at, cause)"
        " SELECT id, source, started_at, ended_at, 'paused' FROM phono_recording"
    )
    raw.run("ANALYZE")
    moment = EPOCH + timedelta(seconds=1_700_000_000 + 10_010 * 60)
    sent: list[tuple[str, Any]] = []

    @event.listens_for(archive.engine, "before_cursor_execute")
    def remember(_1: Any, _2: Any, sql: str, values: Any, _3: Any, _4: Any) -> None:  # noqa: ANN401
        sent.append((sql, values))

    assert archive.accounted_until("often") == EPOCH + timedelta(seconds=1_700_000_000 + 19_999 * 60 + 50)
    assert len(archive.gaps("often", moment, moment + HOUR)) == 60
    assert archive.coverage("often", moment, moment + HOUR).heard_us == 60 * 50_000_000
    assert len(archive.cut("often", moment, moment + HOUR).gaps) == 60
    selects = [(sql, values) for sql, values in sent if sql.startswith("SELECT")]
    assert len(selects) == 3 + 2 + 3 + 3
    how_far = [sql for sql, _ in selects[:3]]
    explain = "EXPLAIN QUERY PLAN " if raw.is_sqlite else "EXPLAIN "
    with archive.engine.connect() as connection:
        plans = [connection.exec_driver_sql(explain + sql, values).all() for sql, values in selects]
    for (sql, _), rows in zip(selects, plans, strict=True):
        plan = "\n".join(str(column) for row in rows for column in row)
        assert "ix_phono_recording_" in plan or "ix_phono_gap_" in plan, sql
        assert ("ix_phono_gap_source_ended_at" in plan) == (sql == how_far[-1]), plan
        assert "Seq Scan" not in plan, sql
        assert "SCAN phono" not in plan, sql
