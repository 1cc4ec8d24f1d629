from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phonobase.recorder.state import StateFolder
from tests.cli.services import committed, running, written
from tests.service.statuses import said

if TYPE_CHECKING:
    from tests.cli.program import Program


def _state(phonobase: Program) -> StateFolder:
    return StateFolder(Path(phonobase.url.removeprefix("sqlite:///")))


def _says(phonobase: Program, state: str) -> None:
    now_us = time.time_ns() // 1000
    times = dict.fromkeys(("updated_us", "heard_until_us", "state_since_us"), now_us)
    _state(phonobase).say(said("desk", state=state, **times))


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phonobase.cli.pause._PATIENCE_S", 0.2)


def test_pause_and_resume(phonobase: Program) -> None:
    """A pause has happened when the command returns, lasts over a restart, and is a gap with its reason."""
    file = written(phonobase.folder, "desk")
    of_service = ("--service", file)
    with running(phonobase, file) as service:
        service.until(committed)
        assert "desk is paused" in phonobase("pause", "desk", "--reason", "card", *of_service).ok().err
        assert [source["state"] for source in service.status()["sources"]] == ["paused"]
        frames = service.status()["sources"][0]["frames_heard"]
        service.until(lambda status: status["sources"][0]["frames_heard"] > frames + 4_000)
    with running(phonobase, file) as service:
        service.until(lambda status: status["sources"][0]["state"] == "paused")
        said_so = phonobase("resume", "desk", *of_service).ok().err
        assert "desk is heard again: recording" in said_so
        service.until(lambda status: status["sources"][0]["state"] == "recording")

    database = phonobase.url.removeprefix("sqlite:///")
    query = "SELECT DISTINCT source, detail FROM phono_gap WHERE cause = 'paused'"
    assert subprocess.check_output(["sqlite3", database, query], text=True) == "desk|card\n"


def test_a_pause_before_the_recorder(phonobase: Program) -> None:
    """A source may be paused before its recorder is started; asked again, the beginning stays."""
    phonobase("pause", "desk", "--reason", "not yet").refused(
        "no recorder of desk writes to", "phonobase resume desk"
    )

    first = _state(phonobase).paused("desk")
    assert first is not None
    phonobase("pause", "desk", "--reason", "for another reason").refused("no recorder of desk")
    second = _state(phonobase).paused("desk")
    assert second is not None
    assert (first.reason, second.reason) == ("not yet", "for another reason")
    assert second.since_us == first.since_us
    phonobase("resume", "desk").ok()
    assert _state(phonobase).paused("desk") is None
    phonobase("resume", "desk").refused("is not paused")


@pytest.mark.parametrize("state", ["recording", "quiet", "disk-full"])
@pytest.mark.usefixtures("_impatient")
def test_a_recorder_that_does_not_pause(phonobase: Program, state: str) -> None:
    """Where the recorder does not say in time that it paused, the command fails, and says so."""
    _says(phonobase, state)

    phonobase("pause", "desk", "--reason", "card").refused("does not say that it is paused", state, "process")


def test_a_device_that_gives_no_sound(phonobase: Program) -> None:
    """A source whose device is lost has nothing to pause now, and hears nothing when that is back."""
    _says(phonobase, "device-lost")

    told = phonobase("pause", "desk", "--reason", "card").ok().err

    assert "gives no sound now (device-lost), and will not be heard when it does" in told


@pytest.mark.usefixtures("_impatient")
def test_a_recorder_that_does_not_resume(phonobase: Program) -> None:
    """Where the recorder goes on saying that it is paused, resuming fails."""
    phonobase("pause", "desk", "--reason", "card").refused("no recorder of desk")
    _says(phonobase, "paused")

    phonobase("resume", "desk").refused("still says that it is paused")


def test_a_reason_that_is_no_text(phonobase: Program) -> None:
    """A source is paused also for a reason in bytes that are no text; it is kept as far as it is."""
    phonobase("pause", "desk", "--reason", "caf\udce9").refused("no recorder of desk")

    paused = _state(phonobase).paused("desk")
    assert paused is not None
    assert paused.reason == "caf\N{REPLACEMENT CHARACTER}"


def test_what_cannot_be_paused(phonobase: Program) -> None:
    """A reason is asked for, and a source of the service; a place that is not there is named."""
    file = written(phonobase.folder, "desk")

    phonobase("pause", "desk").refused("--reason")
    phonobase("pause", "desk", "--reason", " ").refused("say why")
    phonobase("pause", "caf\udce9", "--reason", "x").refused("cannot name a source")
    phonobase("resume", "caf\udce9").refused("cannot name a source")
    phonobase("pause", "hall", "--reason", "x", "--service", file).refused(
        "no source 'hall'; there are: desk"
    )
    phonobase("pause", "desk", "--reason", "x", "--db", "sqlite:////none/x.db").refused("no folder /none")


def test_the_spool_that_record_is_told_of(phonobase: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """PHONOBASE_SPOOL names to pause and status what it names to record."""
    phonobase.url = phonobase.env["PHONOBASE_DB"] = "postgresql://nobody@localhost:1/none"
    monkeypatch.setenv("PHONOBASE_SPOOL", str(phonobase.folder / "own.db"))

    phonobase("pause", "desk", "--reason", "card").refused(f"writes to {phonobase.folder / 'own.db'}")

    assert StateFolder(phonobase.folder / "own.db").paused("desk") is not None
