from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest

from phonobase import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.program import Program

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
PERIOD = ("--since", "2026-03-01T10:00Z", "--until", "2026-03-01T16:00Z")


@pytest.fixture
def local_time_is_calcutta() -> Iterator[None]:
    """A time zone whose days are not those of UTC."""
    with patch.dict(os.environ, {"TZ": "Asia/Kolkata"}):
        time.tzset()
        yield
    time.tzset()


def _fill(url: str) -> None:
    """Stores an hour of silence, a loss of a second in it, a pause behind it, and a source never heard."""
    with Archive(url) as archive:
        with archive.writer(100, source="desk", started_at=BEGAN) as writer:
            writer.lose(59 * 60 * 100, "overflow", "busy\n")
            writer.write(np.ones((6_000, 1), np.int16))
        archive.add_gap("desk", BEGAN + HOUR, BEGAN + 2 * HOUR, "paused", detail="card number")
        archive.add_gap("desk", BEGAN + 2 * HOUR, BEGAN + 2 * HOUR, "clock-step")
        archive.add_gap("new", BEGAN, BEGAN + HOUR, "device-lost")


def test_gaps_are_listed(phonobase_on_both: Program) -> None:
    """A table for people, with no line broken by a detail, and all that is known for programs."""
    phonobase = phonobase_on_both
    _fill(phonobase.url)
    recording = phonobase.one()

    heads, *lines = phonobase("gaps", "--source", "desk").ok().text.splitlines()

    assert heads.split() == ["source", "started", "duration", "cause", "recording", "detail"]
    assert [line.split()[3:] for line in lines] == [
        ["0:59:00.000", "overflow", recording.id.hex[-8:], "busy\N{REPLACEMENT CHARACTER}"],
        ["1:00:00.000", "paused", "card", "number"],
        ["-", "clock-step"],
    ]
    listed = phonobase("gaps", "--json").ok().json
    assert [gap["source"] for gap in listed] == ["desk", "new", "desk", "desk"]
    assert len(listed[1].pop("id")) == 32
    assert listed[1] == {
        "source": "new",
        "started_at": "2026-03-01T12:00:00+00:00",
        "ended_at": "2026-03-01T13:00:00+00:00",
        "seconds": 3600.0,
        "cause": "device-lost",
        "detail": None,
        "recording_id": None,
        "first_frame": None,
        "frame_count": None,
        "run_id": None,
    }
    assert (listed[0]["recording_id"], listed[0]["frame_count"]) == (recording.id.hex, 354_000)


def test_gaps_of_a_period(phonobase: Program) -> None:
    """With a beginning, what nobody accounts for is listed too; without one, only what was stored."""
    _fill(phonobase.url)

    def listed(*options: str) -> list[tuple[str, str]]:
        found: list[dict[str, Any]] = phonobase("gaps", "--source", "desk", "--json", *options).ok().json
        return [(gap["started_at"][11:16], gap["cause"]) for gap in found]

    assert listed(*PERIOD) == [
        ("10:00", "unrecorded"),
        ("12:00", "overflow"),
        ("13:00", "paused"),
        ("14:00", "clock-step"),
        ("14:00", "unrecorded"),
    ]
    assert listed("--until", "2026-03-01T12:30Z") == [("12:00", "overflow")]
    assert listed("--since", "2026-03-01T13:30Z", "--until", "2026-03-01T14:00Z") == [("13:00", "paused")]
    assert phonobase("gaps", "--until", "2000-01-01").ok().err == "no gaps\n"


def test_coverage_adds_up(phonobase_on_both: Program) -> None:
    """Heard and lost make the period, for every source, and the largest loss is named first."""
    phonobase = phonobase_on_both
    _fill(phonobase.url)

    found = phonobase("coverage", *PERIOD, "--json").ok().json

    assert found == [
        {
            "source": "desk",
            "since": "2026-03-01T10:00:00+00:00",
            "until": "2026-03-01T16:00:00+00:00",
            "asked_us": 6 * HOUR_US,
            "heard_us": HOUR_US // 60,
            "lost_us": {"overflow": 59 * HOUR_US // 60, "paused": HOUR_US, "unrecorded": 4 * HOUR_US},
        },
        {
            "source": "new",
            "since": "2026-03-01T10:00:00+00:00",
            "until": "2026-03-01T16:00:00+00:00",
            "asked_us": 6 * HOUR_US,
            "heard_us": 0,
            "lost_us": {"device-lost": HOUR_US, "unrecorded": 5 * HOUR_US},
        },
    ]
    heads, desk, _ = phonobase("coverage", *PERIOD).ok().text.splitlines()
    assert heads.split() == ["source", "asked", "heard", "lost", "of", "which"]
    assert desk.split(None, 4) == [
        *("desk", "6:00:00.000", "0:01:00.000", "5:59:00.000"),
        "unrecorded 4:00:00.000, paused 1:00:00.000, overflow 0:59:00.000",
    ]
    assert phonobase("coverage", *PERIOD, "--source", "new", "--json").ok().json == found[1:]


@pytest.mark.usefixtures("local_time_is_calcutta")
def test_the_day_so_far(phonobase: Program) -> None:
    """Without a period it is this machine's day until now, or the day of --until until then."""
    _fill(phonobase.url)
    before = datetime.now(UTC)

    (today,) = phonobase("coverage", "--source", "desk", "--json").ok().json
    (that_day,) = phonobase("coverage", "--source", "desk", "--until", "2026-03-02T01:00", "--json").ok().json
    (capped,) = (
        phonobase("coverage", "--source", "desk", "--since", "2026-03-01", "--until", "2999-01-01", "--json")
        .ok()
        .json
    )

    since, until = (datetime.fromisoformat(today[name]) for name in ("since", "until"))
    assert before <= until <= datetime.now(UTC)
    assert since.isoformat()[10:] == "T18:30:00+00:00"
    assert timedelta(0) <= until - since < timedelta(days=1)
    assert (that_day["since"], that_day["asked_us"]) == ("2026-03-01T18:30:00+00:00", HOUR_US)
    assert before <= datetime.fromisoformat(capped["until"]) <= datetime.now(UTC)


def test_periods_and_sources_that_are_none(phonobase: Program) -> None:
    """A period that is over before it begins, or a source nobody heard of, is refused in a line."""
    phonobase("gaps").refused("there is no archive at")
    _fill(phonobase.url)
    for name in ("gaps", "coverage"):
        phonobase(name, "--source", "dusk").refused("no source 'dusk'; there are: desk, new")
        phonobase(name, "--since", "2026-03-02", "--until", "2026-03-01").refused("--since comes before")
        phonobase(name, "--since", "2999-01-01").refused("and before now")
        phonobase(name, "--since", "yesterday").refused("no time")


def test_an_empty_archive_has_neither(phonobase_on_both: Program) -> None:
    """Where nothing was recorded yet, that is said, and programs get an empty list."""
    phonobase = phonobase_on_both
    Archive(phonobase.url).close()
    assert phonobase("gaps").ok().err == "no gaps\n"
    assert phonobase("coverage").ok().err == "no sources yet\n"
    assert phonobase("coverage", "--json").ok().json == phonobase("gaps", "--json").ok().json == []


def test_the_drift_of_a_recording_is_shown(phonobase: Program) -> None:
    """What was measured of the sample clock is among a recording's facts."""
    with Archive(phonobase.url) as archive:
        writer = archive.writer(8000)
        writer.write(np.ones((8_000, 1), np.int16))
        writer.close(drift_ppm=-12.34)
    assert "drift      -12.3 ppm" in phonobase("show", "last").ok().text
    assert phonobase("show", "last", "--json").ok().json["drift_ppm"] == -12.34
