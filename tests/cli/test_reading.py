from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from phonobase import Archive
from phonobase.store import schema
from tests.cli.program import Program, finished
from tests.store.judge import ffmpeg_pcm, flac_test
from tests.support.require import require

if TYPE_CHECKING:
    import numpy.typing as npt

TONE = ("record", "--input", "tone", "--no-realtime")


def _noise(frames: int, channels: int = 1) -> npt.NDArray[np.int16]:
    random = np.random.default_rng(1)
    return random.integers(-(2**15), 2**15, (frames, channels), dtype=np.int16)


def test_list_shows_the_newest_first(phonobase_on_both: Program) -> None:
    """A table for people, with the short ids that every command takes, and the same for programs."""
    phonobase = phonobase_on_both
    for source in ("desk", "door"):
        phonobase(*TONE, "--duration", "0.1", "--source", source).ok()
    door, desk = phonobase.recordings()[::-1]

    heads, *lines = phonobase("list").ok().text.splitlines()

    assert heads.split() == ["id", "source", "started", "duration", "peak", "state", "title"]
    assert [line.split()[:2] for line in lines] == [
        [door.id.hex[-8:], "door"],
        [desk.id.hex[-8:], "desk"],
    ]
    listed = phonobase("list", "--json").ok().json
    assert [recording["id"] for recording in listed] == [door.id.hex, desk.id.hex]
    places = [facts.pop("cursor") for facts in listed]
    assert len(set(places)) == len(listed)
    assert phonobase("show", desk.id.hex[-8:], "--json").ok().json == listed[1]
    assert datetime.fromisoformat(listed[1]["started_at"]) == desk.started_at
    assert listed[1]["peak_dbfs"] == pytest.approx(-12, abs=0.01)


def test_list_narrows_down(phonobase: Program) -> None:
    """By source, state, time and number; a time without an offset is this machine's."""
    for source in ("desk", "door", "desk"):
        phonobase(*TONE, "--duration", "0.1", "--source", source).ok()
    first, second, third = (recording.id.hex for recording in phonobase.recordings())
    local = phonobase.recordings()[1].started_at.astimezone().replace(tzinfo=None).isoformat()

    def listed(*options: str) -> list[str]:
        return [recording["id"] for recording in phonobase("list", "--json", *options).ok().json]

    assert listed("--source", "desk") == [third, first]
    assert listed("--limit", "1") == [third]
    assert listed("--since", local) == [third, second]
    assert listed("--until", local) == [first]
    assert listed("--state", "interrupted") == []
    assert phonobase("list", "--state", "interrupted").ok().err == "no recordings\n"


def test_silence_is_null_in_json(phonobase: Program, folder: Path) -> None:
    """JSON has no minus infinity, which is the level of digital silence."""
    soundfile.write(folder / "silence.wav", np.zeros((100, 1), np.int16), 8_000)
    phonobase("import", "silence.wav").ok()

    assert phonobase("list", "--json").ok().json[0]["peak_dbfs"] is None
    assert "silent" in phonobase("list").ok().text


def test_show_draws_the_waveform(phonobase: Program, folder: Path) -> None:
    """Half a second of silence before half a second of full scale: right high, left nothing."""
    samples = np.concatenate([np.zeros((24_576, 1), np.int16), _noise(24_576)])
    soundfile.write(folder / "half.wav", samples, 48_000)
    phonobase("import", "half.wav").ok()
    phonobase.env["COLUMNS"] = "42"

    facts, drawn = phonobase("show", "last").ok().text.split("\n\n")

    assert f"id         {phonobase.one().id.hex}" in facts
    assert "48000 Hz, 1 ch, int16, flac" in facts
    assert {line[:19].strip() for line in drawn.splitlines()} == {""}
    assert {line[21:] for line in drawn.splitlines()} == {"█" * 19}


@pytest.mark.parametrize("stored", ["flac", "pcm"])
@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_export_is_what_was_recorded(phonobase_on_both: Program, stored: str, suffix: str) -> None:
    """Either encoding goes to either kind of file; flac and ffmpeg find the samples that went in."""
    phonobase = phonobase_on_both
    samples = _noise(100_000, 2)
    soundfile.write(phonobase.folder / "noise.wav", samples, 44_100)
    phonobase("import", "noise.wav", "--encoding", stored).ok()
    path = phonobase.folder / f"clip.{suffix}"

    phonobase("export", "last", "-o", path.name).ok()

    assert ffmpeg_pcm(path, "int16") == samples.tobytes()
    if suffix == "flac":
        assert "cannot check MD5" not in flac_test(path)
    if suffix == stored or (suffix, stored) == ("wav", "pcm"):
        with Archive(phonobase.url) as archive:
            assert path.read_bytes() == archive.open("last").read()


def test_export_names_files_by_source_time_and_id(phonobase: Program, folder: Path) -> None:
    """Into a folder any number of recordings go, under names that sort and that no system refuses."""
    for source in ("studio a/b", "desk"):
        phonobase(*TONE, "--duration", "0.1", "--source", source).ok()
    ids = [recording.id.hex for recording in phonobase.recordings()]

    phonobase("export", *ids).ok()

    found = sorted(path.name for path in folder.iterdir())
    assert [name.rpartition("_")[2] for name in found] == [f"{ids[1][-8:]}.flac", f"{ids[0][-8:]}.flac"]
    assert found[1].startswith("studio_a_b_2")


def test_export_writes_to_standard_output(recorded: Program) -> None:
    """With ``-o -`` another program reads the file from a pipe."""
    process = recorded.start("export", "last", "-o", "-")

    decoded = subprocess.run(
        [require("ffmpeg"), "-v", "error", "-i", "-", "-f", "s16le", "-"],
        stdin=process.stdout,
        capture_output=True,
        check=True,
    )
    finished(process).ok()

    assert decoded.stdout == recorded.pcm(recorded.one())


def test_export_overwrites_only_by_force(recorded: Program, folder: Path) -> None:
    """A file that is there is left as it is, unless one says otherwise."""
    (folder / "clip.flac").write_text("precious")

    recorded("export", "last", "-o", "clip.flac").refused("clip.flac is there already", "--force")
    assert (folder / "clip.flac").read_text() == "precious"

    recorded("export", "last", "-o", "clip.flac", "--force").ok()
    flac_test(folder / "clip.flac")
    assert [path.name for path in folder.iterdir()] == ["clip.flac"]


def test_import_keeps_name_time_and_samples(phonobase_on_both: Program) -> None:
    """A file becomes one recording, that began when one says; several files print one id each."""
    phonobase = phonobase_on_both
    samples = _noise(9_000)
    soundfile.write(phonobase.folder / "call.wav", samples, 8_000)
    soundfile.write(phonobase.folder / "call.flac", samples, 8_000)

    dated = phonobase("import", "call.wav", "--started-at", "2026-03-01T14:03:00Z", "--source", "desk").ok()
    both = phonobase("import", "call.wav", "call.flac").ok()

    assert len(both.text.splitlines()) == 2
    recording = next(found for found in phonobase.recordings() if found.id.hex == dated.text)
    assert recording.started_at == datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
    assert (recording.source, recording.title) == ("desk", "call.wav")
    for found in phonobase.recordings():
        assert phonobase.pcm(found) == samples.tobytes()


def test_import_goes_on_behind_a_bad_file(phonobase: Program, folder: Path) -> None:
    """Of several files the good ones are stored; the bad one is named, and the exit code is 1."""
    soundfile.write(folder / "good.wav", _noise(100), 8_000)
    (folder / "bad.wav").write_text("no sound")

    said = phonobase("import", "bad.wav", "good.wav")

    assert said.code == 1
    assert said.err.startswith("phonobase: bad.wav is not sound")
    assert said.err.splitlines()[-1] == "phonobase: 1 of 2 files were not stored; see above"
    assert said.text == phonobase.one().id.hex


def test_verify_names_the_chunk_that_was_changed(phonobase: Program) -> None:
    """One changed byte of sound is found, in words and in JSON, and the exit code is 1."""
    phonobase(*TONE, "--duration", "10").ok()
    assert phonobase("verify", "--json").ok().json[0]["ok"] is True
    with Archive(phonobase.url) as archive, archive.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE phono_audio SET data = CAST(substr(data, 1, 999) || x'00' || substr(data, 1001) AS BLOB)"
            " WHERE seq = 2"
        )

    words, plain = phonobase("verify"), phonobase("verify", "last", "--json")

    words.refused("1 of 1 recording not as recorded")
    assert "BAD" in words.text
    assert "chunk 2: its audio and its sha256 differ" in words.text
    plain.refused()
    assert [fault["seq"] for fault in plain.json[0]["faults"]] == [2]


def test_the_database_is_made_checked_and_named(postgres_url: str, folder: Path) -> None:
    """``db upgrade`` makes the tables once; ``check`` and ``current`` tell before and after."""
    phonobase = Program(postgres_url, folder)
    assert phonobase("db", "current").ok().text == "none"
    phonobase("db", "check").refused("has no phonobase tables", "db upgrade")

    assert f", schema public: nothing -> {schema.head()}" in phonobase("db", "upgrade").ok().err
    assert ", schema public: was up to date" in phonobase("db", "upgrade").ok().err

    assert phonobase("db", "current").ok().text == schema.head()
    assert "up to date" in phonobase("db", "check").ok().err


def test_the_sql_of_the_schema_makes_the_tables(phonobase: Program, folder: Path) -> None:
    """Whoever runs the SQL by hand has the same tables as whoever runs ``db upgrade``."""
    sql = phonobase("db", "sql", "sqlite").ok().out
    subprocess.run([require("sqlite3"), folder / "by_hand.db"], input=sql, check=True)

    by_hand = Program(f"sqlite:///{folder / 'by_hand.db'}", folder)

    by_hand("db", "check").ok()
    by_hand(*TONE, "--duration", "0.1").ok()


def test_doctor_says_what_is_missing(phonobase: Program, no_device: dict[str, str]) -> None:
    """Without an input device the exit code is 1, and the rest is as it should be."""
    phonobase.env |= no_device

    said = phonobase("doctor", "--json")

    found = {finding["what"]: finding["ok"] for finding in json.loads(said.out)}
    assert said.code == 1
    assert found == {"sound input": False, "codec": True, "archive": True, "disk": True}
    assert "no input device" in phonobase("doctor").text


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_and_version_need_nothing(phonobase: Program, option: str) -> None:
    """They say what they say, exit 0 and make no archive."""
    phonobase(option).ok()

    assert phonobase.recordings() == []
    assert list(Path(phonobase.folder).iterdir()) == []
