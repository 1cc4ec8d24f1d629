from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from phonobase import Archive
from phonobase.store.events import add_events, new_event
from tests.store.judge import Program as Judge

if TYPE_CHECKING:
    from tests.cli.program import Program

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def _filled(phonobase: Program, count: int = 5) -> Judge:
    with Archive(phonobase.url) as archive:
        add_events(
            archive,
            [
                new_event(
                    NOON + timedelta(minutes=number),
                    "get_audio",
                    206,
                    who=("Anna", "Ben")[number % 2],
                    address="192.0.2.7",
                    source="desk",
                    recording_id=ID if number == 3 else None,
                    detail="bytes 0-9\n\x1b[2J",
                )
                for number in range(count)
            ],
        )
    return Judge(phonobase.url)


def test_events_are_listed(phonobase_on_both: Program) -> None:
    """The newest first, narrowed by time, person and recording, as many as are asked for."""
    phonobase = phonobase_on_both
    assert phonobase("events").ok().err == "no events\n"
    _filled(phonobase)

    def minutes(*options: object) -> list[int]:
        events = phonobase("events", "--json", *options).ok().json
        return [int((datetime.fromisoformat(event["at"]) - NOON).total_seconds()) // 60 for event in events]

    assert minutes() == [4, 3, 2, 1, 0]
    assert minutes("--limit", 2) == [4, 3]
    assert minutes("--who", "Ben") == [3, 1]
    assert minutes("--recording", ID) == [3]
    assert minutes("--since", "2026-03-01T12:01:00Z", "--until", "2026-03-01T12:03:00Z") == [2, 1]
    (newest,) = phonobase("events", "--json", "--limit", 1).ok().json
    assert {name: newest[name] for name in ("who", "address", "action", "status", "source")} == {
        "who": "Anna",
        "address": "192.0.2.7",
        "action": "get_audio",
        "status": 206,
        "source": "desk",
    }


def test_an_event_is_one_line(phonobase_on_both: Program) -> None:
    """Whatever somebody asked for: nothing in it begins another line, or steers a terminal."""
    _filled(phonobase_on_both)
    lines = phonobase_on_both("events").ok().text.split("\n")
    assert len(lines) == 6
    assert all(line.isprintable() for line in lines)


def test_old_events_are_pruned(phonobase_on_both: Program) -> None:
    """Those before a time are gone, and no others; there are as many as fit into no single part."""
    judge = _filled(phonobase_on_both, 25_000)
    cut = (NOON + timedelta(minutes=24_000)).isoformat()
    assert phonobase_on_both("events", "prune", "--before", cut).ok().err == "24000 events deleted\n"
    assert judge.value("SELECT count(*) FROM phono_event") == "1000"
    phonobase_on_both("events", "prune").refused("--before")
