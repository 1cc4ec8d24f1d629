from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.recorder.state import Pause, StateFolder
from tests.cli.services import written
from tests.service.statuses import forwarding, said

if TYPE_CHECKING:
    from tests.cli.program import Program


def _now_us() -> int:
    return time.time_ns() // 1000


def _fresh() -> dict[str, int]:
    now_us = _now_us()
    times = dict.fromkeys(("updated_us", "heard_until_us", "committed_us", "state_since_us"), now_us)
    return times | {"started_us": now_us - 3_600_000_000}


@pytest.fixture
def state(recorded: Program) -> StateFolder:
    """The folder of the recorders beside an archive that holds a recording."""
    return StateFolder(Path(recorded.url.removeprefix("sqlite:///")))


def _rows(text: str) -> dict[str, list[str]]:
    """Returns the cells of a table's rows, which at least two spaces part, by the first of them."""
    rows = [[cell for cell in line.split("  ") if cell] for line in text.splitlines()]
    return {row[0]: [cell.strip() for cell in row[1:]] for row in rows}


def test_all_is_well(recorded: Program, state: StateFolder) -> None:
    """What hears and stores is shown with its level, the disk and the forwarder, and the exit code is 0."""
    state.say(said("desk", drift_ppm=-3.25, **_fresh()))
    state.say(said("hall", peak_dbfs=None, zeros_since_us=_now_us(), **_fresh()))
    state.say_forwarder(forwarding(updated_us=_now_us(), backlog_us=75_000_000, backlog_bytes=3 * 2**20))

    shown = recorded("status").ok()

    rows = _rows(shown.text)
    assert rows["desk"] == ["recording", "0 s", "0 s ago", "-12.5 dBFS", "0 s ago", "-3.2 ppm", "0"]
    assert rows["hall"][3] == "zeros"
    assert "forwarder: forwarding to postgresql://phonobase@db/phonobase, 75 s, 3.0 MiB behind" in shown.text
    assert "disk: 1.9 GiB above the floor, enough for 10 hours" in shown.text
    assert shown.err == ""


def test_what_is_wrong_is_an_exit_code(recorded: Program, state: StateFolder) -> None:
    """Monitoring needs only the exit code; people get a line for each thing that is wrong."""
    state.say(said("desk", **_fresh()))
    state.say(said("hall", **_fresh() | {"state": "device-lost", "detail": "unplugged\x1b[2J"}))

    shown = recorded("status")

    assert shown.code == 1
    (line,) = shown.err.splitlines()
    assert line.startswith("hall: device-lost for 0 s: unplugged")
    assert "\x1b" not in shown.err
    assert recorded("status", "desk").code == 0


def test_status_as_json(recorded: Program, state: StateFolder) -> None:
    """Programs get the same, with moments in ISO 8601 and amounts in their units."""
    state.say(said("desk", zeros_since_us=None, **_fresh()))
    state.pause(Pause("desk", "card", _now_us()))
    state.say_forwarder(forwarding(updated_us=_now_us(), backlog_us=1_500_000))

    status = recorded("status", "--json").ok().json

    assert status["well"] is True
    (desk,) = status["sources"]
    assert (desk["source"], desk["state"], desk["well"], desk["problems"]) == ("desk", "recording", True, [])
    assert (desk["paused"], desk["pause_reason"], desk["gaps_today"]) == (True, "card", 0)
    assert abs(datetime.fromisoformat(desk["heard_until"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (desk["zeros_since"], desk["peak_dbfs"]) == (None, -12.5)
    assert status["forwarder"]["backlog_seconds"] == 1.5
    assert status["disk"]["free_bytes"] == 2_000_000_000


def test_gaps_of_today(recorded: Program, state: StateFolder) -> None:
    """The gaps since midnight are counted and added up, as far as they lie in this day."""
    state.say(said("desk", **_fresh()))
    now = datetime.now(UTC)
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    with Archive(recorded.url) as archive:
        archive.add_gap("desk", midnight - timedelta(hours=3), midnight - timedelta(hours=2), "paused")
        archive.add_gap("desk", midnight - timedelta(hours=1), midnight, "paused")
        archive.add_gap("desk", midnight - timedelta(hours=1), midnight + timedelta(seconds=7), "quiet")

    (desk,) = recorded("status", "--json").ok().json["sources"]

    assert (desk["gaps_today"], desk["gap_seconds_today"]) == (1, 7)


def test_a_database_that_does_not_answer(recorded: Program, state: StateFolder) -> None:
    """Recorders are shown though their database cannot be read, without a count of gaps."""
    state.say(said("desk", **_fresh()))
    Path(recorded.url.removeprefix("sqlite:///")).write_bytes(b"no database at all" * 1000)

    shown = recorded("status").ok()

    assert _rows(shown.text)["desk"][-1] == "?"


def test_nothing_was_ever_recorded(phonobase: Program) -> None:
    """Where no recorder ever was, the answer says where it looked, and makes nothing."""
    phonobase("status").refused("nothing was ever recorded beside", "--service")
    assert phonobase("status", "--json").code == 1
    phonobase("status", "--service", "none.toml").refused("there is no file none.toml")

    assert list(phonobase.folder.iterdir()) == []


def test_a_service_expects_its_sources(phonobase: Program) -> None:
    """A source of the service is not well where it was stopped, even on purpose, or never begun."""
    file = written(phonobase.folder, "desk", "hall")
    state = StateFolder(Path(phonobase.url.removeprefix("sqlite:///")))
    state.say(said("desk", **_fresh() | {"state": "stopped"}))
    state.say(said("other", **_fresh() | {"state": "device-lost"}))

    status = phonobase("status", "--service", file, "--json")

    assert status.code == 1
    assert {source["source"]: source["problems"] for source in status.json["sources"]} == {
        "desk": ["is stopped"],
        "hall": ["was never recorded here"],
    }
    phonobase.env["PHONOBASE_SERVICE"] = str(file)
    assert phonobase("status", "--json").json == status.json


def test_forget(recorded: Program, state: StateFolder) -> None:
    """A source that is recorded no more can be taken off the list, so that it alarms nobody for ever."""
    state.say(said("desk", **_fresh()))
    state.say(said("old", **_fresh() | {"state": "device-lost"}))
    assert recorded("status").code == 1

    recorded("status", "--forget", "old").ok()

    assert [source["source"] for source in recorded("status", "--json").ok().json["sources"]] == ["desk"]
    recorded("status", "--forget", "old").refused("nothing is known of 'old'")
