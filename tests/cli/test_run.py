from __future__ import annotations

import configparser
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from phonobase.service.config import read_service
from tests.cli.program import PATIENCE_S, finished
from tests.cli.services import committed, running, written
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from tests.cli.program import Program


def _pid(status: dict[str, list[dict[str, int]]], index: int) -> int:
    return status["sources"][index]["pid"]


def test_a_recorder_is_killed(phonobase: Program) -> None:
    """`kill -9` of one recorder is a gap of its source alone, and an end of the service leaves all closed."""
    file = written(phonobase.folder, "a", "b")
    with running(phonobase, file) as service:
        first = _pid(service.until(committed), 0)
        os.kill(first, signal.SIGKILL)
        service.until(lambda status: committed(status) and _pid(status, 0) != first)
        assert service.end().code == 0

    recordings = phonobase.recordings()
    assert [recording.source for recording in recordings if recording.source == "b"] == ["b"]
    assert len(recordings) >= 3
    assert "recording" not in {str(recording.state) for recording in recordings}
    phonobase("verify").ok()
    database = phonobase.url.removeprefix("sqlite:///")
    query = "SELECT DISTINCT source || ' ' || cause FROM phono_gap"
    assert subprocess.check_output(["sqlite3", database, query], text=True).split("\n") == [
        "a process-down",
        "",
    ]


def test_the_supervisor_is_killed(phonobase: Program) -> None:
    """Recorders whose supervisor was killed end by themselves, cleanly: nobody else would end them."""
    file = written(phonobase.folder, "a", "b")
    with running(phonobase, file) as service:
        service.until(committed)
        service.end(signal.SIGKILL)

    ends = time.monotonic() + PATIENCE_S
    while {source["state"] for source in service.status()["sources"]} != {"stopped"}:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert [str(recording.state) for recording in phonobase.recordings()] == ["complete", "complete"]


def test_systemd_is_told(phonobase: Program, tmp_path: Path) -> None:
    """The manager of services hears that this one is ready, that frames arrive, how it does, and its end."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        phonobase.env["NOTIFY_SOCKET"] = str(address)
        file = written(phonobase.folder, "a")
        with running(phonobase, file) as service:
            systemd.settimeout(PATIENCE_S)
            told = [""]
            while "WATCHDOG=1" not in told or "READY=1" not in told:
                told.append(systemd.recv(65_536).decode())
            service.end()
        systemd.settimeout(0)
        while told[-1] != "STOPPING=1":
            told.append(systemd.recv(65_536).decode())

    assert "STATUS=1 of 1 sources are well" in told


def test_every_line_of_the_log_is_json(phonobase: Program) -> None:
    """With --log-format json, what the recorders say is JSON too, and also why one of them ended."""
    file = written(phonobase.folder, "a")
    with running(phonobase, file, "--log-format", "json") as service:
        service.until(committed)
        phonobase.env["PHONOBASE_LOG_FORMAT"] = "json"
        second = phonobase.call("run", file, "--only", "a")
        lines = [json.loads(line) for line in service.end().err.splitlines()]

    assert {"phonobase.supervisor", "phonobase.recorder"} <= {line["logger"] for line in lines}
    assert second.code == 1
    (line,) = (json.loads(line) for line in second.err.splitlines())
    assert line["level"] == "error"
    assert "a is being recorded already" in line["message"]


def test_an_archive_that_is_away(phonobase: Program) -> None:
    """With an archive that does not answer, sound is kept in the spool, and Prometheus is told of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    top = f"""
        archive = "postgresql://nobody@127.0.0.1:1/none"
        spool = "spool.db"
        metrics = "{address}"
        """
    file = written(phonobase.folder, "a", top=top)
    with running(phonobase, file) as service:
        status = service.until(committed)
        with urlopen(f"http://{address}/metrics", timeout=PATIENCE_S) as answer:
            served = answer.read().decode().splitlines()
        by_hand = phonobase("status", "--service", file, "--metrics").ok().text.splitlines()

    for line in ('phonobase_source_well{source="a"} 1.0', 'phonobase_source_paused{source="a"} 0.0'):
        assert line in served
        assert line in by_hand
    assert status["local"] == str(phonobase.folder / "spool.db")
    kept = phonobase("--db", f"sqlite:///{phonobase.folder}/spool.db", "list", "--json").ok().json
    assert [(recording["source"], recording["state"]) for recording in kept] == [("a", "complete")]


def test_an_archive_on_a_server(phonobase: Program, migrated_postgres_url: str) -> None:
    """What a service records is in the archive while it goes on, and all of it when it has ended."""
    top = f'archive = "{migrated_postgres_url}"\nspool = "spool.db"\n'
    file = written(phonobase.folder, "a", "b", top=top)
    with running(phonobase, file) as service:
        service.until(lambda status: (status["forwarder"] or {}).get("forwarded_at"))
        service.until(lambda status: status["well"] and committed(status))

    phonobase.env["PHONOBASE_DB"] = migrated_postgres_url
    there = phonobase("list", "--json").ok().json
    here = phonobase("--db", f"sqlite:///{phonobase.folder}/spool.db", "list", "--json").ok().json
    assert sorted((clip["source"], clip["state"]) for clip in there) == [("a", "complete"), ("b", "complete")]
    assert {clip["pcm_sha256"] for clip in there} == {clip["pcm_sha256"] for clip in here}
    phonobase("verify").ok()


def test_one_source_alone(phonobase: Program) -> None:
    """--only records one source in this process, and Ctrl-C ends it with its recording complete."""
    file = written(phonobase.folder, "a", "b")
    process = phonobase.start("run", file, "--only", "b")
    try:
        ends = time.monotonic() + PATIENCE_S
        while not phonobase.recordings():
            assert time.monotonic() < ends
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
    assert finished(process).code == 0

    assert (phonobase.one().source, str(phonobase.one().state)) == ("b", "complete")


def test_check(phonobase: Program) -> None:
    """--check says what a file means, and records nothing."""
    file = written(phonobase.folder, "a", "b")

    assert phonobase("run", file, "--check").ok().text.endswith("is right: 2 sources from 2 inputs")
    assert phonobase.recordings() == []


@pytest.mark.parametrize(
    ("top", "reason"),
    [
        ("archiv = 1\n", "archiv: there is no such key here; did you mean archive?"),
        ("[[[\n", "is no TOML"),
        ('[[source]]\nname = "x"\ndetector = "json:none"\n', "cannot be imported"),
        ('[[source]]\nname = "x"\ndetector = "json.tool:__name__"\n', "nothing that can be called"),
    ],
)
def test_a_wrong_file(phonobase: Program, top: str, reason: str) -> None:
    """A file that means nothing is refused in one line, before anything is started."""
    file = phonobase.folder / "wrong.toml"
    file.write_text(top)

    phonobase("run", file, "--check").refused("wrong.toml" if "detector" not in top else "json", reason)
    assert phonobase.recordings() == []


def test_the_example_is_right() -> None:
    """The example of a service is one, and shows every key that a file may have."""
    path = ROOT / "contrib/service.toml"

    service = read_service(path, "")

    assert [input_.name for input_ in service.inputs] == ["desk", "studio-a", "door"]
    assert service.spool == Path("/var/lib/phonobase/spool.db")


def test_the_unit_is_right(tmp_path: Path) -> None:
    """The manager of services finds no fault with the unit, and it says what the supervisor relies on."""
    text = (ROOT / "contrib/phonobase.service").read_text()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names differ by their case
    unit.read_string(text)

    service = unit["Service"]
    assert (service["Type"], service["KillMode"], service["Restart"]) == ("notify", "mixed", "always")
    assert service["ExecStart"].split()[1:] == ["run", "/etc/phonobase/service.toml"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    if shutil.which("systemd-analyze"):
        copy = tmp_path / "phonobase.service"
        copy.write_text(text.replace("/usr/local/bin/phonobase", "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_service_is_run_once(phonobase: Program) -> None:
    """The second supervisor of a file is refused, by the number of the first's process."""
    file = written(phonobase.folder, "a")
    with running(phonobase, file) as service:
        service.until(committed)
        second = phonobase.call("run", str(file))
        assert second.code == 1
        assert f"{file} is run already, by process" in second.err
        assert service.end().code == 0


def test_a_service_whose_archive_cannot_be(phonobase: Program) -> None:
    """What never can work is said once, in one line, and nothing is started."""
    file = written(phonobase.folder, "a")
    said = phonobase.call("--db", "sqlite:////nowhere/at/all.db", "run", str(file))
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "check that the folder exists" in said.err
