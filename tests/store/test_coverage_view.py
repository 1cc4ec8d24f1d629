from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.store.bulk import EPOCH, add_gap, add_many, add_recording, add_sources
from tests.store.judge import Raw, random_pcm

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase import Archive
    from tests.store.judge import Program

MICROSECOND, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)

Days = dict[tuple[str, date], tuple[int, dict[str, int]]]
"""What was heard and what was lost for each cause, in microseconds, by source and day."""


def of_the_view(program: Program, condition: str = "true") -> Days:
    """Returns the rows of phono_coverage by the database's own program."""
    integer = "INTEGER" if program.is_sqlite else "BIGINT"
    found = {}
    for line in program.lines(
        f"SELECT source, day, CAST(round(heard_seconds * 1000000) AS {integer}),"
        f" CAST(round(lost_seconds * 1000000) AS {integer}), lost_by_cause"
        f" FROM phono_coverage WHERE {condition}"
    ):
        source, day, heard, lost, causes = line.split("|", 4)
        by_cause = {cause: round(seconds * 1_000_000) for cause, seconds in json.loads(causes).items()}
        assert int(lost) == sum(by_cause.values())
        found[source, date.fromisoformat(day)] = (int(heard), by_cause)
    return found


def of_the_archive(archive: Archive, source: str, since: datetime, until: datetime) -> Days:
    """Returns what Archive.coverage says of each day of a period."""
    found = {}
    while since < until:
        midnight = datetime.combine(since.date() + DAY, datetime.min.time(), UTC)
        coverage = archive.coverage(source, since, min(midnight, until))
        found[source, since.date()] = (coverage.heard_us, dict(coverage.lost_us))
        since = midnight
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_day_is_what_the_archive_says(archive: Archive, program: Program, raw: Raw, seed: int) -> None:
    """Of rows that overlap in every way, over weeks, the view says of each day what Archive.coverage says."""
    chance = random.Random(seed)
    ends: dict[str, list[datetime]] = {"reef": [], "it's": []}
    add_sources(raw, *ends, "new")
    start = datetime(1969, 12, 27, tzinfo=UTC)
    recordings: list[tuple[UUID, str, datetime, datetime]] = []

    def any_length(longest_us: int) -> timedelta:
        lengths = [0, 1, 999_499, DAY_US, chance.randrange(longest_us + 1), chance.randrange(HOUR_US)]
        return MICROSECOND * min(chance.choice(lengths), longest_us)

    for number in range(60):
        source = chance.choice(list(ends))
        began = start + chance.choice(
            [DAY * chance.randrange(20), MICROSECOND * chance.randrange(20 * DAY_US)]
        )
        ended = began + any_length(DAY_US)
        recordings.append((add_recording(raw, number, source, began, ended), source, began, ended))
        ends[source] += [began, ended]
    for number in range(120):
        cause = chance.choice(["overflow", "deleted", 'the "cable"'])
        inside = None
        if number % 2:
            inside, source, first, last = chance.choice(recordings)
            began = first + any_length((last - first) // MICROSECOND)
            ended = began + any_length((last - began) // MICROSECOND)
        else:
            source = chance.choice(list(ends))
            began = start + DAY * chance.randrange(20) + any_length(DAY_US)
            ended = began + any_length(5 * DAY_US)
        add_gap(raw, number, source, began, ended, cause, inside)
        ends[source] += [began, ended]

    assert of_the_view(program) == {
        place: row
        for source, moments in ends.items()
        for place, row in of_the_archive(archive, source, min(moments), max(moments)).items()
    }


def test_a_day_cut_at_midnight(program: Program, raw: Raw) -> None:
    """What was heard and lost is told by day in UTC, to the microsecond, and what no row accounts for too."""
    add_sources(raw, "reef")
    noon = MIDNIGHT - 12 * HOUR
    night = add_recording(raw, 1, "reef", noon, MIDNIGHT + HOUR)
    add_recording(raw, 2, "reef", MIDNIGHT + 2 * HOUR, MIDNIGHT + 2 * HOUR + timedelta(seconds=1))
    add_recording(raw, 3, "reef", MIDNIGHT - 2 * DAY, MIDNIGHT - DAY)
    add_gap(raw, 1, "reef", MIDNIGHT - MICROSECOND, MIDNIGHT + MICROSECOND, "overflow", night)
    add_gap(raw, 2, "reef", noon, noon, "overflow", night)
    add_gap(raw, 3, "reef", MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, "process-down")
    add_gap(raw, 4, "reef", MIDNIGHT + 2 * DAY, MIDNIGHT + 4 * DAY, "device-lost")

    assert of_the_view(program) == {
        ("reef", date(2026, 2, 28)): (DAY_US, {}),
        ("reef", date(2026, 3, 1)): (12 * HOUR_US - 1, {"overflow": 1, "unrecorded": 12 * HOUR_US}),
        ("reef", date(2026, 3, 2)): (
            HOUR_US - 1 + 1_000_000,
            {"overflow": 1, "process-down": HOUR_US, "unrecorded": 22 * HOUR_US - 1_000_000},
        ),
        ("reef", date(2026, 3, 3)): (0, {"unrecorded": DAY_US}),
        ("reef", date(2026, 3, 4)): (0, {"device-lost": DAY_US}),
        ("reef", date(2026, 3, 5)): (0, {"device-lost": DAY_US}),
    }


def test_time_that_two_hold_counts_once(program: Program, raw: Raw) -> None:
    """Where recordings or gaps overlap each microsecond is heard, or given to the gap that began first."""
    add_sources(raw, "reef")
    one = add_recording(raw, 1, "reef", MIDNIGHT, MIDNIGHT + 2 * HOUR)
    add_recording(raw, 2, "reef", MIDNIGHT + HOUR, MIDNIGHT + 3 * HOUR)
    add_gap(raw, 1, "reef", MIDNIGHT, MIDNIGHT + 2 * HOUR, "overflow", one)
    add_gap(raw, 2, "reef", MIDNIGHT + 2 * HOUR, MIDNIGHT + 6 * HOUR, "paused")
    add_gap(raw, 3, "reef", MIDNIGHT + 4 * HOUR, MIDNIGHT + 7 * HOUR, "deleted")

    assert of_the_view(program) == {
        ("reef", date(2026, 3, 2)): (
            2 * HOUR_US,
            {"overflow": HOUR_US, "paused": 3 * HOUR_US, "deleted": HOUR_US},
        )
    }


@pytest.mark.parametrize("us", [0, 1, 499, 500, 999, 500_000, 999_499, 999_500, 999_999])
def test_a_gap_is_as_long_as_it_was(program: Program, raw: Raw, us: int) -> None:
    """The length of a gap is exact, wherever within a second it begins or ends."""
    add_sources(raw, "reef")
    moment = MIDNIGHT - 12 * HOUR
    add_gap(raw, 1, "reef", moment, moment + us * MICROSECOND, "overflow")
    add_gap(raw, 2, "reef", moment + us * MICROSECOND, moment + timedelta(seconds=2), "paused")

    found = program.lines("SELECT cast(round(seconds * 1000000) AS int) FROM phono_gaps ORDER BY cause")
    assert found == [str(us), str(2_000_000 - us)]
    causes = {"overflow": us, "paused": 2_000_000 - us}
    assert of_the_view(program) == {
        ("reef", date(2026, 3, 1)): (0, {cause: us for cause, us in causes.items() if us})
    }


def test_a_tape_of_before_1970(program: Program, raw: Raw) -> None:
    """A tape of 1965 is on the days it was recorded."""
    add_sources(raw, "tape")
    began = datetime(1965, 7, 9, 23, 0, tzinfo=UTC)
    add_recording(raw, 1, "tape", began, began + 2 * HOUR)

    assert of_the_view(program) == {
        ("tape", date(1965, 7, 9)): (HOUR_US, {}),
        ("tape", date(1965, 7, 10)): (HOUR_US, {}),
    }


def test_a_deleted_recording_is_lost_time(archive: Archive, program: Program) -> None:
    """The seconds of a recording that was deleted are lost on the days they lay in."""
    recording = archive.add(
        random_pcm(8000, 1, "int16"), 8000, source="desk", started_at=MIDNIGHT - HOUR / 7200
    )
    archive.delete(recording.id, "asked for by the caller")

    assert of_the_view(program) == {
        ("desk", date(2026, 3, 1)): (0, {"deleted": 500_000}),
        ("desk", date(2026, 3, 2)): (0, {"deleted": 500_000}),
    }


def test_one_day_of_one_source_reads_no_other(program: Program, raw: Raw) -> None:
    """A day of a source is found by indexes, and neither other days nor other sources are computed."""
    add_many(raw, 50_000)
    raw.run(
        "INSERT INTO phono_gap (id, source, started_at, ended_at, cause)"
        " SELECT id, source, started_at, ended_at, 'paused' FROM phono_recording"
    )
    raw.run("ANALYZE")
    day = (EPOCH + timedelta(seconds=1_700_000_000 + 20_000 * 60)).date()
    condition = f"source = 'rare' AND day = '{day}'"

    assert of_the_view(program, condition) == {
        ("rare", day): (100_000_000, {"unrecorded": DAY_US - 100_000_000})
    }
    plan = program.plan(f"SELECT * FROM phono_coverage WHERE {condition}")
    assert "SCAN phono" not in plan
    assert "SCAN r" not in plan
    assert "Seq Scan on phono_recording" not in plan
    assert "Seq Scan on phono_gap" not in plan
    assert "ix_phono_gap_long" in plan
    assert raw.is_sqlite or _rows_of_recordings(raw, condition) < 100


def _rows_of_recordings(raw: Raw, condition: str) -> int:
    """Returns how many rows of phono_recording and phono_gap PostgreSQL says that it has looked at."""
    (plan,) = raw.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM phono_coverage WHERE {condition}")[0]
    todo, rows = [plan[0]["Plan"]], 0
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if node.get("Relation Name", "").startswith("phono_") and node["Relation Name"] != "phono_source":
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            rows += int(read * node["Actual Loops"])
    return rows
