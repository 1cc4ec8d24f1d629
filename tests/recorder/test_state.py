"""The folder in which recorders say how they do: what others may make of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from phonobase.errors import RecorderRunning
from phonobase.recorder.state import Pause, StateFolder
from tests.service.statuses import forwarding, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GARBAGE = [
    b"",
    b"[]",
    b"3",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"source":' * 100_000,
    b"9" * 5000,
]
IMPLAUSIBLE: list[dict[str, Any]] = [
    {"updated_us": 10**30},
    {"updated_us": 253_402_300_800_000_000},
    {"heard_until_us": -1},
    {"started_us": True},
    {"pid": 10**30},
    {"frames_heard": 10**400},
    {"free_bytes": "many"},
    {"drift_ppm": float("nan")},
    {"peak_dbfs": float("inf")},
    {"rms_dbfs": 10**400},
    {"source": "caf\udce9"},
    {"detail": None},
]


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """A folder in which nobody said anything."""
    return StateFolder(tmp_path / "a.db")


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _file(folder: StateFolder, kind: str) -> Path:
    (path,) = folder.path.glob(f"*.{kind}")
    return path


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_file_that_says_nothing(folder: StateFolder, garbage: bytes) -> None:
    """What is no status is none; what is no pause is one all the same."""
    folder.say(said())
    folder.say_forwarder(forwarding())
    folder.pause(Pause("desk", "card", 1))
    for kind in ("status.json", "pause.json"):
        _file(folder, kind).write_bytes(garbage)
    (folder.path / "forwarder.json").write_bytes(garbage)

    assert folder.said("desk") is None
    assert folder.sources() == []
    assert folder.forwarder() is None
    paused = folder.paused("desk")
    assert paused is not None
    assert paused.reason == "a pause that cannot be read"


@pytest.mark.parametrize("change", IMPLAUSIBLE)
def test_a_status_that_cannot_be(folder: StateFolder, change: dict[str, Any]) -> None:
    """A status of numbers that nothing has, or of another type, is none."""
    folder.say(said())
    assert folder.said("desk") == said()

    _file(folder, "status.json").write_text(json.dumps(dataclasses.asdict(said()) | change))

    assert folder.said("desk") is None


def test_a_pause_that_cannot_be(folder: StateFolder) -> None:
    """A pause since a time that no calendar has is a pause."""
    folder.pause(Pause("desk", "card", 1))

    _file(folder, "pause.json").write_text('{"source": "desk", "reason": "card", "since_us": 1e400}')

    paused = folder.paused("desk")
    assert paused is not None
    assert paused.since_us == 0


def test_pauses_that_say_nothing(folder: StateFolder) -> None:
    """A line of garbage among the pauses that ended hides none of the others."""
    folder.pause(Pause("desk", "card", 1))
    folder.resume("desk", 2)
    with _file(folder, "pauses.jsonl").open("ab") as file:
        file.write(b'\xff\n{"source": "desk", "reason": "x", "since_us": 1e400}\n' + b"[" * 100_000 + b"\n")
    folder.pause(Pause("desk", "lunch", 3))
    folder.resume("desk", 4)

    assert folder.pauses("desk") == [Pause("desk", "card", 1, 2), Pause("desk", "lunch", 3, 4)]


def test_what_nobody_can_print(folder: StateFolder) -> None:
    """Half a character in what a recorder says is replaced, so that every terminal takes it."""
    folder.say(said(detail="caf\udce9"))

    status = folder.said("desk")

    assert status is not None
    assert status.detail == "caf?"


def test_a_source_that_no_file_names(folder: StateFolder) -> None:
    """Whoever asks for a source with a name that none can have learns that there is none."""
    assert folder.said("caf\udce9") is None
    assert folder.paused("caf\udce9") is None


@pytest.mark.usefixtures("_open_umask")
def test_it_is_private(folder: StateFolder) -> None:
    """The folder and what is in it are only the owner's, whatever the umask."""
    with folder.lock("desk"):
        folder.say(said())
        folder.say_forwarder(forwarding())
        folder.pause(Pause("desk", "card", 1))
        folder.resume("desk", 2)
        folder.pause(Pause("desk", "card", 1))

        paths = list(folder.path.iterdir())

    assert len(paths) == 5
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_a_second_recorder(folder: StateFolder) -> None:
    """The second recorder of a source is refused, with the number of the first; another source is not."""
    with folder.lock("desk") as lock:
        assert lock.is_held()
        with pytest.raises(RecorderRunning, match=f"by process {os.getpid()}"), folder.lock("desk"):
            pass
        with folder.lock("hall"):
            pass
    with folder.lock("desk"):
        pass


def test_a_folder_that_is_removed(folder: StateFolder) -> None:
    """Where the folder is removed, the recorder that looks first stays the only one."""
    with folder.lock("desk") as lock:
        shutil.rmtree(folder.path)
        assert lock.is_held()
        with pytest.raises(RecorderRunning), folder.lock("desk"):
            pass
        assert lock.is_held()


def test_somebody_was_faster(folder: StateFolder) -> None:
    """A recorder whose lock was removed, and taken by another, learns that it is not the only one."""
    with folder.lock("desk") as lock:
        shutil.rmtree(folder.path)
        take = "import sys; from pathlib import Path; from phonobase.recorder.state import StateFolder\n"
        take += "with StateFolder(Path(sys.argv[1])).lock('desk'): print('taken', flush=True); input()"
        database = folder.path.with_name("a.db")
        with subprocess.Popen(
            [sys.executable, "-c", take, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"taken\n"
            assert not lock.is_held()
            assert not lock.is_held()
            other.communicate(b"\n")
        assert lock.is_held()
