from __future__ import annotations

import math
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonobase.errors import InvalidDetails
from phonobase.store import loudness
from phonobase.store.columns import from_us, to_us
from phonobase.store.coverage import Heard, Missed, summed
from phonobase.store.coverage import account as one_by_one
from phonobase.store.overview import overview
from phonobase.store.spans import HEARD, UNACCOUNTED, Spans, account
from tests.store.bulk import add_gap, add_many, add_recording, add_sources
from tests.store.spans import CAUSES, stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phonobase import Archive
    from tests.store.judge import Raw

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def _spans(rows: Sequence[Heard | Missed]) -> Spans:
    bounds = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
    return Spans(bounds[:, 0], bounds[:, 1])


@settings(max_examples=500, deadline=None)
@given(rows=stretches(), since=st.integers(-3, 33), length=st.integers(1, 36))
def test_the_same_account(rows: tuple[list[Heard], list[Missed]], since: int, length: int) -> None:
    """Made of arrays, the account of any rows is the one that is made row by row."""
    recordings, gaps = rows
    numbers = {recording.recording_id: number for number, recording in enumerate(recordings)}
    until = since + length

    found = account(
        _spans(recordings),
        _spans(gaps),
        np.array([-1 if gap.recording_id is None else numbers[gap.recording_id] for gap in gaps], np.int64),
        since,
        until,
    )

    became = {HEARD: None, UNACCOUNTED: "unrecorded"} | {n: gap.cause for n, gap in enumerate(gaps)}
    assert {
        us: became[int(what)]
        for what, start, end in zip(found.what, found.edges_us[:-1], found.edges_us[1:], strict=True)
        for us in range(start, end)
    } == {us: stretch.cause for stretch in one_by_one(*rows, since, until) for us in range(*stretch[:2])}
    moments = np.arange(since, until + 1)
    assert found.heard_us(moments).tolist() == [
        summed(one_by_one(*rows, since, int(moment)))[0] for moment in moments
    ]


def test_each_column_is_covered_as_coverage_says(archive: Archive, raw: Raw) -> None:
    """Whatever overlaps, and however the columns lie, in each was heard what coverage says.

    There are recordings at the same time, one that is still open, gaps inside recordings and across others,
    and time to come.
    """
    add_sources(raw, "desk-3")
    first = add_recording(raw, 1, "desk-3", BEGAN, BEGAN + HOUR)
    add_recording(raw, 2, "desk-3", BEGAN + 0.5 * HOUR, BEGAN + 2 * HOUR)
    second = add_recording(raw, 3, "desk-3", BEGAN + 3 * HOUR, BEGAN + 27 * HOUR)
    add_recording(raw, 4, "desk-3", BEGAN - 23 * HOUR, BEGAN - 0.01 * HOUR)
    raw.run(
        "UPDATE phono_recording SET state = 'recording' WHERE id = ?",
        second if not raw.is_sqlite else second.hex,
    )
    for number, (start, end, cause, inside) in enumerate(
        [
            (0.1, 0.2, "overflow", first),
            (0.4, 0.8, "overflow", first),
            (1.9, 2.5, "paused", None),
            (2.2, 2.9, "device-lost", None),
            (5, 5.0001, "overflow", second),
            (6, 6, "overflow", second),
            (26.5, 28, "process-down", second),
            (30, 80, "disk-full", None),
            (-100, -22.5, "paused", None),
        ],
        10,
    ):
        add_gap(raw, number, "desk-3", BEGAN + start * HOUR, BEGAN + end * HOUR, cause, inside)
    for since, until, columns in (
        (BEGAN - 2 * DAY, BEGAN + 5 * DAY, 97),
        (BEGAN - 0.05 * HOUR, BEGAN + 3.1 * HOUR, 41),
        (BEGAN + 5 * HOUR, BEGAN + 5 * HOUR + SECOND, 13),
        (BEGAN + 0.09 * HOUR, BEGAN + 0.09 * HOUR + timedelta(microseconds=5), 9),
    ):
        found = overview(archive, "desk-3", since, until, columns)
        edges = [from_us(int(edge)) for edge in found.edges_us]
        assert (edges[0], edges[-1]) == (since, until)
        assert found.heard_us.tolist() == [
            archive.coverage("desk-3", *edges[column : column + 2]).heard_us
            for column in range(found.columns)
        ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(since=st.integers(-200, 1200), length=st.integers(1, 400), columns=st.integers(1, 60))
def test_gaps_add_up(archive: Archive, raw: Raw, since: int, length: int, columns: int) -> None:
    """With columns as fine as the rows, gaps and what was heard are the period."""
    if not raw.value("SELECT count(*) FROM phono_source"):
        add_sources(raw, "desk-3")
        for number in range(20):
            start = BEGAN + number * 50 * SECOND
            add_recording(raw, number + 1, "desk-3", start, start + 30 * SECOND)
            if number % 3:
                add_gap(
                    raw, number + 100, "desk-3", start + 30 * SECOND, start + 45 * SECOND, CAUSES[number % 2]
                )
    begin = BEGAN + since * SECOND
    end = begin + length * SECOND

    found = overview(archive, "desk-3", begin, end, columns * length)  # a second is a column, or several

    covered = archive.coverage("desk-3", begin, end)
    lost: dict[str, int] = {}
    for gap in found.gaps:
        lost[gap.cause] = lost.get(gap.cause, 0) + to_us(gap.ended_at) - to_us(gap.started_at)
    assert int(found.heard_us.sum()) == covered.heard_us
    assert lost == dict(covered.lost_us)


def test_gaps_nearer_than_a_column(archive: Archive, raw: Raw) -> None:
    """Gaps of one cause are one where less than a column is between them, and it says how many they are."""
    add_sources(raw, "desk-3")
    add_recording(raw, 1, "desk-3", BEGAN, BEGAN + HOUR)
    for number, second in enumerate((10, 20, 50, 2000)):
        add_gap(
            raw,
            number + 10,
            "desk-3",
            BEGAN + second * SECOND,
            BEGAN + (second + 1) * SECOND,
            "overflow",
            UUID(int=1),
        )
    add_gap(raw, 20, "desk-3", BEGAN + 30 * SECOND, BEGAN + 30 * SECOND, "device-lost", UUID(int=1))
    for columns, expected in (
        (100, [(10, 51, "overflow", 3), (30, 30, "device-lost", 1), (2000, 2001, "overflow", 1)]),
        (
            360,
            [
                (10, 21, "overflow", 2),
                (30, 30, "device-lost", 1),
                (50, 51, "overflow", 1),
                (2000, 2001, "overflow", 1),
            ],
        ),
    ):
        found = overview(archive, "desk-3", BEGAN, BEGAN + HOUR, columns)
        assert [
            ((gap.started_at - BEGAN) / SECOND, (gap.ended_at - BEGAN) / SECOND, gap.cause, gap.count)
            for gap in found.gaps
        ] == expected


def test_what_is_to_come(archive: Archive, raw: Raw) -> None:
    """Behind what is known nothing is missing, unless a gap says so."""
    add_sources(raw, "desk-3")
    add_recording(raw, 1, "desk-3", BEGAN, BEGAN + HOUR)
    add_gap(raw, 2, "desk-3", BEGAN + 3 * HOUR, BEGAN + 4 * HOUR, "paused")
    found = overview(archive, "desk-3", BEGAN, BEGAN + 5 * HOUR, 50, known_until=BEGAN + 2 * HOUR)
    assert [
        (gap.cause, (gap.started_at - BEGAN) / HOUR, (gap.ended_at - BEGAN) / HOUR) for gap in found.gaps
    ] == [
        ("unrecorded", 1, 2),
        ("paused", 3, 4),
    ]


def _loud(amplitudes: list[int], frames: int) -> bytes:
    return np.repeat(np.array(amplitudes, np.int16), frames).tobytes()


@pytest.mark.parametrize("asked", ["many at once", "one by one"])
@pytest.mark.parametrize(("since_s", "until_s"), [(-5.0, 40.0), (3.3, 21.7), (3.999999, 26.000001)])
@pytest.mark.parametrize("columns", [1, 7, 60, 997])
def test_levels(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    since_s: float,
    until_s: float,
    asked: str,
) -> None:
    """A column has the peak of the loudest chunk that reaches into it; of too many, of the recording."""
    if asked == "one by one":
        monkeypatch.setattr(loudness, "MANY_CHUNKS", 0)
    loud = [1000 * (1 + number * 7 % 31) for number in range(15)]
    recording = archive.add(_loud(loud, 16384), 8192, source="desk-3", started_at=BEGAN)
    archive.add(_loud([30], 8192), 8192, source="desk-3", started_at=BEGAN + 10 * SECOND)
    assert recording.chunk_count == len(loud)
    period = BEGAN + since_s * SECOND, BEGAN + until_s * SECOND

    found = overview(archive, "desk-3", *period, columns)

    assert found.by_chunk
    expected = []
    for start, end in zip(found.edges_us[:-1] - to_us(BEGAN), found.edges_us[1:] - to_us(BEGAN), strict=True):
        there = [
            value for number, value in enumerate(loud) if 2e6 * number < end and 2e6 * (number + 1) > start
        ]
        expected.append(20 * math.log10(max(there) / 32768) if there else -math.inf)
    assert found.peak_dbfs.tolist() == pytest.approx(expected)

    monkeypatch.setattr(loudness, "CHUNKS_AT_MOST", 0)
    coarse = overview(archive, "desk-3", *period, columns)
    assert coarse.by_chunk is (columns == 1 and since_s < 0)
    whole = 20 * math.log10(max(loud) / 32768)
    assert coarse.peak_dbfs.tolist() == pytest.approx(
        [whole if level > -math.inf else level for level in expected]
    )


def test_a_chunk_that_ends_as_a_period_begins_is_not_in_it(archive: Archive, raw: Raw) -> None:
    """Although its last frame is, in part, where a microsecond is less than the rest of that frame."""
    archive.add(_loud([3000, 20], 90_112), 44_100, source="desk-3", started_at=BEGAN)
    assert [row[0] for row in raw.rows("SELECT first_frame FROM phono_chunk ORDER BY seq")] == [0, 90_112]
    end = BEGAN + timedelta(microseconds=90_112 * 1_000_000 // 44_100)
    found = overview(archive, "desk-3", end, end + SECOND, 10)
    assert found.peak_dbfs.tolist() == pytest.approx([20 * math.log10(20 / 32768)] * 10)


def test_many_at_once_take_no_room_each(archive: Archive, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many recordings lie over each other, and however fine the columns are."""
    monkeypatch.setattr(loudness, "CHUNKS_AT_MOST", 0)
    add_sources(raw, "crowd")
    for number in range(600):
        add_recording(raw, number, "crowd", BEGAN + timedelta(milliseconds=number), BEGAN + 2 * SECOND)
    tracemalloc.start()
    found = overview(archive, "crowd", BEGAN, BEGAN + SECOND, 8192)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.recording_count == 600
    assert peak_bytes < 16 * 1024**2


def test_levels_of_all_time(archive: Archive) -> None:
    """Where columns are too many microseconds for a database's numbers, whole recordings have to do."""
    archive.add(_loud([20, 30], 16384), 8192, source="desk-3", started_at=BEGAN)
    since = datetime(1000, 1, 1, tzinfo=UTC)
    found = overview(archive, "desk-3", since, BEGAN + SECOND, 1000)
    assert not found.by_chunk
    assert found.peak_dbfs[-1] == pytest.approx(20 * math.log10(30 / 32768))


def test_few_are_listed(archive: Archive, raw: Raw) -> None:
    """Recordings are listed in the order of their start where they are few, and only counted where not."""
    add_many(raw, 600)
    start = datetime.fromtimestamp(1_700_000_000, UTC)
    found = overview(archive, "often", start, start + 10 * HOUR, 100)
    assert (found.recording_count, found.recordings) == (599, ())
    found = overview(archive, "often", start + timedelta(seconds=40), start + timedelta(minutes=5), 100)
    assert [recording.id.int for recording in found.recordings] == [0, 1, 2, 4]
    assert [recording.started_at for recording in found.recordings] == [
        start + timedelta(minutes=minute) for minute in (0, 1, 2, 4)
    ]


def test_no_period(archive: Archive) -> None:
    """A period that ends before it begins, or as it does, is refused; an unknown source heard nothing."""
    for until in (BEGAN - HOUR, BEGAN):
        with pytest.raises(InvalidDetails, match="name an end behind"):
            overview(archive, "desk-3", BEGAN, until, 10)
    found = overview(archive, "desk-3", BEGAN, BEGAN + HOUR, 4)
    assert found.heard_us.tolist() == [0, 0, 0, 0]
    assert [(gap.cause, gap.count) for gap in found.gaps] == [("unrecorded", 1)]
