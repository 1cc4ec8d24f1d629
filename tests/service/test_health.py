from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phonobase.recorder.state import Pause, StateFolder
from phonobase.service.health import Health, examine
from phonobase.store.recover import lives, recorder_facts
from tests.service.statuses import NOW_US, SECOND_US, forwarding, said

MINUTE_US = 60 * SECOND_US


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """The folder of recorders beside a file that need not be there."""
    return StateFolder(tmp_path / "spool.db")


@pytest.fixture
def gone() -> dict[str, Any]:
    """What a process said of itself that has ended."""
    process = subprocess.Popen(["sleep", "60"])
    facts = recorder_facts()
    world = str(facts["process"]).rsplit("/", 2)[0]
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    told: dict[str, Any] = {"pid": process.pid, "process": f"{world}/{process.pid}/{started}"}
    assert lives(**told) is True
    process.kill()
    process.wait()
    return told


def _problems(health: Health) -> list[str]:
    sources = [problem for source in health.sources for problem in source.problems]
    return [*sources, *(health.forwarder.problems if health.forwarder else ()), *health.problems]


def test_a_recorder_that_hears_and_stores_is_well(state: StateFolder) -> None:
    """Frames that arrive, levels, commits and room on the disk: nobody needs to look."""
    state.say(said())
    state.say_forwarder(forwarding())

    health = examine(state, NOW_US)

    assert _problems(health) == []
    assert health.well
    assert health.free_bytes == 2_000_000_000
    assert health.hours_left == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"updated_us": NOW_US - 11 * SECOND_US}, "has said nothing for 11 s"),
        ({"heard_until_us": NOW_US - 11 * SECOND_US}, "no frames for 11 s"),
        ({"heard_until_us": None, "state_since_us": NOW_US - 20 * SECOND_US}, "no frames for 20 s"),
        ({"state": "quiet", "heard_until_us": NOW_US - 11 * SECOND_US}, "no frames for 11 s"),
        ({"zeros_since_us": NOW_US - 2 * MINUTE_US}, "only zeros for 120 s"),
        ({"committed_us": NOW_US - 6 * MINUTE_US}, "nothing was committed for 360 s"),
        ({"state": "starting", "state_since_us": NOW_US - MINUTE_US}, "has been starting for 60 s"),
        ({"state": "device-lost", "detail": "unplugged"}, "device-lost for 3600 s: unplugged"),
        ({"state": "disk-full"}, "disk-full for 3600 s"),
        ({"state": "database-down"}, "database-down for 3600 s"),
        ({"free_bytes": 1_010_000_000}, "the disk has room for 6 minutes"),
    ],
)
def test_what_is_wrong_with_a_recorder(state: StateFolder, changes: dict[str, Any], problem: str) -> None:
    """Each way not to record is told, and is the only thing told."""
    state.say(said(**changes))

    health = examine(state, NOW_US)

    (told,) = _problems(health)
    assert problem in told
    assert not health.well


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "quiet", "committed_us": NOW_US - 9 * 60 * MINUTE_US},
        {"state": "paused", "heard_until_us": NOW_US - 60 * MINUTE_US},
        {"state": "starting", "state_since_us": NOW_US - 5 * SECOND_US, "heard_until_us": None},
        {"zeros_since_us": NOW_US - 5 * SECOND_US},
        {"state": "stopped", "updated_us": NOW_US - 600 * MINUTE_US},
    ],
)
def test_what_is_not_wrong(state: StateFolder, changes: dict[str, Any]) -> None:
    """Quiet, a pause, a start, a moment of silence and an end on purpose alarm nobody."""
    state.say(said(**changes))

    assert examine(state, NOW_US).well


def test_a_dead_recorder_is_down(state: StateFolder, gone: dict[str, Any]) -> None:
    """A recorder whose process is gone is down at once, however fresh its last words are."""
    state.say(said(**gone))

    (source,) = examine(state, NOW_US).sources

    assert (source.state, source.alive) == ("down", False)
    assert source.problems


def test_a_number_that_another_process_has_now(state: StateFolder) -> None:
    """A process that has the number of the recorder, and is not the recorder, does not make it live."""
    mine = str(recorder_facts()["process"])
    state.say(said(process=mine.rpartition("/")[0] + "/1"))

    assert examine(state, NOW_US).sources[0].state == "down"


def test_a_recorder_of_another_machine_is_judged_by_what_it_says(state: StateFolder) -> None:
    """Where its process cannot be seen, as in another container, a recorder lives while it speaks."""
    state.say(said("a", process="another/pid:[1]/7/8", pid=7))
    state.say(said("b", process="another/pid:[1]/9/8", pid=9, updated_us=NOW_US - 2 * MINUTE_US))

    assert [source.state for source in examine(state, NOW_US).sources] == ["recording", "down"]


def test_sources_that_must_be_recorded(state: StateFolder) -> None:
    """A source that is asked for by name must be recorded, be it stopped on purpose or never begun."""
    state.say(said("a"))
    state.say(said("b", state="stopped"))
    state.say(said("c", state="device-lost"))

    health = examine(state, NOW_US, expected=["a", "b", "new"])

    assert [(source.source, bool(source.problems)) for source in health.sources] == [
        ("a", False),
        ("b", True),
        ("new", True),
    ]


def test_a_pause_is_shown_with_its_source(state: StateFolder) -> None:
    """Whoever looks sees why a source is not heard."""
    state.say(said(state="paused"))
    state.pause(Pause("desk", "card number", NOW_US))

    pause = examine(state, NOW_US).sources[0].pause

    assert pause is not None
    assert pause.reason == "card number"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"state": "waiting", "detail": "refused"}, "the archive has been away for 3600 s: refused"),
        ({"updated_us": NOW_US - 2 * MINUTE_US}, "has said nothing for 120 s"),
        ({"conflicts": ["0123: other sound"]}, "conflict: 0123: other sound"),
    ],
)
def test_what_is_wrong_with_forwarding(state: StateFolder, changes: dict[str, Any], problem: str) -> None:
    """An archive that is away for long, a forwarder that hangs and a conflict are told."""
    state.say(said())
    state.say_forwarder(forwarding(**changes))

    (told,) = _problems(examine(state, NOW_US))

    assert problem in told


def test_a_short_outage_of_the_archive_alarms_nobody(state: StateFolder) -> None:
    """The spool is there for an archive that is away for a moment."""
    state.say(said())
    state.say_forwarder(forwarding(state="waiting", state_since_us=NOW_US - 20 * SECOND_US))

    assert examine(state, NOW_US).well


def test_a_forwarder_that_is_missed(state: StateFolder, gone: dict[str, Any]) -> None:
    """A forwarder must live while something is recorded, and where the service has one; else it need not."""
    state.say_forwarder(forwarding(**gone))
    alone = examine(state, NOW_US)
    state.say(said())
    beside_a_recorder = examine(state, NOW_US)
    state.say(said(state="stopped"))
    in_a_service = examine(state, NOW_US, forwarding=True)

    assert [bool(_problems(health)) for health in (alone, beside_a_recorder, in_a_service)] == [
        False,
        True,
        True,
    ]
    assert _problems(examine(StateFolder(state.path / "other.db"), NOW_US, forwarding=True)) == [
        "nothing is forwarded"
    ]


def test_a_later_version_is_understood(state: StateFolder) -> None:
    """A status with fields that this version does not know is read by those that it knows."""
    state.say(said())
    (path,) = state.path.glob("*.status.json")
    path.write_text(path.read_text().replace('{"source"', '{"moon_phase": 0.5, "source"'))

    assert state.said("desk") == said()


@pytest.mark.parametrize(("field", "value"), [("updated_us", None), ("frames_heard", "7"), ("state", 3)])
def test_a_status_of_another_meaning_is_none(state: StateFolder, field: str, value: object) -> None:
    """A status whose fields have come to mean something else is not taken for one of ours."""
    state.say(said())
    (path,) = state.path.glob("*.status.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    assert state.said("desk") is None


@pytest.mark.parametrize("content", ["", "[]", "3", "{", '{"source": "desk"}', "\x00" * 40])
def test_a_broken_status_is_none(state: StateFolder, content: str) -> None:
    """What a power failure left of a status, or an older version wrote, stops nobody."""
    state.say(said())
    (path,) = state.path.glob("*.status.json")
    path.write_text(content)

    assert (state.said("desk"), state.sources()) == (None, [])


def test_asking_leaves_nothing_behind(state: StateFolder) -> None:
    """Who only asks makes no folder, so a mistaken --db leaves no trace."""
    assert (state.said("desk"), state.paused("desk"), state.sources(), state.forwarder()) == (
        None,
        None,
        [],
        None,
    )
    assert not state.path.exists()


def test_what_a_killed_recorder_began_to_write_is_cleared_away(state: StateFolder) -> None:
    """A status that was half written when its recorder was killed is removed by the next one."""
    state.say(said())
    (path,) = state.path.glob("*.status.json")
    half = path.with_name(f".{path.name}.12345")
    half.write_text("{")

    with state.lock("desk"):
        assert not half.exists()
    assert state.said("desk") == replace(said(), pid=os.getpid())
