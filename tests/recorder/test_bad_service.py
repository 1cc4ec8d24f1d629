"""What people, devices and disks do wrong: it costs what it must, and is said in plain words."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.engine import make_url

from phonobase import Archive
from phonobase.recorder.state import StateFolder
from tests.cli.program import Program
from tests.cli.services import committed, running, written
from tests.recorder.bad_inputs import IS_NONE, NOT_A_NUMBER, RAISES, VANISHED
from tests.store.judge import wait_until
from tests.support.world import environment

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

TONE = ("record", "--input", "tone", "--samplerate", "8000", "--duration", "1")


@pytest.fixture
def phonobase(sqlite_url: str, tmp_path: Path) -> Program:
    """The program on an SQLite file that is not there yet."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Program(sqlite_url, folder, BAD_INPUT_MARK=str(tmp_path / "vanished"), **environment())


def _sources(status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {source["source"]: source for source in status["sources"]}


def test_bad_inputs(phonobase: Program) -> None:
    """Inputs that vanish, give no numbers, raise or are none keep no other from being recorded.

    What they gave is kept, the rest is a gap to the frame, and who asks is told; nothing needs a restart.
    """
    kinds = {"gone": VANISHED, "nan": NOT_A_NUMBER, "raises": RAISES, "none": IS_NONE}
    file = written(phonobase.folder, "good")
    with file.open("a") as more:
        for name, kind in kinds.items():
            dtype = "float32" if name == "nan" else "int16"
            more.write(f'[[source]]\nname = "{name}"\ninput = "{kind}"\ndtype = "{dtype}"\n')
    with running(phonobase, file) as service:
        status = service.until(
            lambda status: (
                all(_sources(status)[name]["state"] == "device-lost" for name in ("gone", "none"))
                and all(_sources(status)[name]["gaps_today"] >= 2 for name in ("nan", "raises"))
                and _sources(status)["good"].get("committed_at")
            )
        )
        told = phonobase("status", "--service", file)
        pids = {source["pid"] for source in status["sources"]}
        assert {source["pid"] for source in service.status()["sources"]} == pids, "one was started again"
        ended = service.end()

    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert (status["well"], told.code) == (False, 1)
    assert "there is no such device any more" in told.err
    assert "'NoneType' object has no attribute" in told.err
    phonobase("verify").ok()
    frames = {
        name: [one.frame_count for one in phonobase.recordings() if one.source == name] for name in kinds
    }
    assert (frames["gone"], frames["none"], len(frames["nan"])) == ([12_000], [], 1)
    assert set(frames["raises"][:2]) == {12_000}, "what was heard before it failed is kept"
    with Archive(phonobase.url) as archive:
        causes = {name: {gap.cause for gap in archive.gaps(name)} for name in (*kinds, "good")}
        invalid = archive.gaps("nan")
        (nan,) = archive.find(source="nan")
        sound = archive.read(nan.id)
    lost = {"device-lost"}
    assert causes == {"gone": lost, "none": lost, "raises": lost, "nan": {"invalid"}, "good": set()}
    assert {gap.frame_count for gap in invalid} == {2}
    for gap in invalid:
        assert gap.first_frame is not None
        assert not sound[gap.first_frame : gap.first_frame + 2].any()
        sound[gap.first_frame : gap.first_frame + 2] = 0.25
    assert (sound == 0.25).all()


def test_two_recorders(phonobase: Program) -> None:
    """Whoever records a source that is being recorded is refused, and told by whom; the first goes on."""
    file = written(phonobase.folder, "desk")
    with running(phonobase, file) as service:
        status = service.until(committed)
        refused = phonobase.call(*TONE, "--source", "desk")
        refused.failed("desk is being recorded already", str(_sources(status)["desk"]["pid"]))
        after = service.until(
            lambda later: _sources(later)["desk"]["committed_at"] > _sources(status)["desk"]["committed_at"]
        )

    assert after["well"]
    assert [str(one.state) for one in phonobase.recordings()] == ["complete"]


def test_pauses_that_are_strange(phonobase: Program) -> None:
    """A reason may hold any character; a pause that cannot be read is one too, until it is resumed."""
    file = written(phonobase.folder, "desk")
    of_service = ("desk", "--service", file)
    reason = "Müller's \x00\x1b[2J\n\u202e 🎤 'quotes' \";--"
    state = StateFolder(Path(phonobase.url.removeprefix("sqlite:///")))
    with running(phonobase, file) as service:
        service.until(committed)
        phonobase("pause", *of_service, "--reason", reason).ok()
        (pause,) = state.path.glob("*.pause.json")
        pause.write_bytes(b'{"source": \xff')
        service.until(lambda status: _sources(status)["desk"]["frames_heard"] > 0)
        wait_until(lambda: "cannot be read" in str(state.said("desk")))
        told = phonobase("status", "--service", file)
        phonobase("resume", *of_service).ok()
        service.until(lambda status: _sources(status)["desk"]["state"] == "recording")

    assert "\x1b" not in told.text + told.err
    with Archive(phonobase.url) as archive:
        details = [gap.detail for gap in archive.gaps("desk")]
    assert len(details) == 2
    assert details[0] is not None
    assert details[0].startswith("Müller's ")
    assert details[0].endswith("🎤 'quotes' \";--")
    assert details[0].isprintable()
    phonobase("verify").ok()


def test_a_state_folder_that_cannot_be_made(phonobase: Program) -> None:
    """Where the folder beside the database cannot be made, one line says so, and nothing is recorded."""
    path = Path(phonobase.url.removeprefix("sqlite:///") + "-recorders")
    path.write_text("a file of that name")

    phonobase(*TONE).failed(str(path), "make it a folder")
    file = written(phonobase.folder, "desk")
    ended = phonobase.call("run", file, "--only", "desk")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert f"{path}: File exists; make it a folder" in ended.err


@pytest.mark.parametrize(
    ("top", "reason"),
    [
        ("archiv = 1\n", "archiv: there is no such key here; did you mean archive?"),
        ('archive = "postgresql:/me:secret@db"\n', "is not a database URL"),
    ],
)
def test_a_service_that_means_nothing(phonobase: Program, top: str, reason: str) -> None:
    """A file with an unknown key, or an archive that is no URL, is refused in a line, and nothing started."""
    file = written(phonobase.folder, "desk", top=top)

    assert "secret" not in phonobase.call("run", file).refused("service.toml", reason)
    assert list(phonobase.folder.iterdir()) == [file]


def test_a_spool_of_a_newer_phonobase(phonobase: Program, migrated_postgres_url: str) -> None:
    """A spool that only a newer program understands is left alone; sound is kept beside it and forwarded."""
    spool = phonobase.folder / "spool.db"
    with sqlite3.connect(spool) as newer:
        newer.execute("CREATE TABLE phono_version (version_num VARCHAR(32) NOT NULL)")
        newer.execute("INSERT INTO phono_version VALUES ('phonobase_9999')")
        newer.execute("CREATE TABLE phono_recording (something_new TEXT)")
    newer.close()
    before = _dump(spool)
    top = f'archive = "{migrated_postgres_url}"\nspool = "spool.db"\n'
    file = written(phonobase.folder, "desk", top=top)
    with running(phonobase, file) as service:
        service.until(lambda status: committed(status) and status["forwarder"].get("forwarded_at"))
        log = service.end().err

    assert "spool.db cannot be the spool" in log
    assert _dump(spool) == before
    with Archive(migrated_postgres_url) as archive:
        (there,) = archive.find()
        assert (there.source, str(there.state), archive.verify(there.id).faults) == ("desk", "complete", ())


@pytest.mark.parametrize("wrong", ["away", "password", "missing"])
def test_an_archive_that_does_not_take_it(
    phonobase: Program, wrong: str, own_postgres: PostgresServer
) -> None:
    """Where the archive cannot be reached, has another password or is missing, sound is kept in the spool.

    One line says what is wrong and how to send it; later it is sent as the line says.
    """
    url = make_url(own_postgres.url("archive"))
    spool = phonobase.folder / "spool.db"
    if wrong != "missing":
        own_postgres.create_database("archive")
    if wrong == "away":
        own_postgres.stop()
    if wrong == "password":
        _require_passwords(own_postgres)
        url = url.set(password="not-it")
    phonobase.env["PHONOBASE_DB"] = url.render_as_string(hide_password=False)

    line = phonobase.call(*TONE, "--source", "desk", "--spool", spool).failed(str(spool), "phonobase --db")

    words = {"away": "check that the server runs", "password": "authentication failed", "missing": "createdb"}
    assert words[wrong] in line
    assert "not-it" not in line
    kept = phonobase("--db", f"sqlite:///{spool}", "list", "--json").ok().json
    assert [(one["source"], one["state"], one["seconds"]) for one in kept] == [("desk", "complete", 1.0)]


def _require_passwords(server: PostgresServer) -> None:
    """Lets a server in nobody without the right password."""
    (server._directory / "data" / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: "reloading configuration files" in server.log())


def _dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as file:
        found = list(file.iterdump())
    file.close()
    return found
