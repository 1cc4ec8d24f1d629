from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import wavinfo

from phonobase import Archive
from tests.cli.program import Program
from tests.store.judge import ffmpeg_pcm, flac_pcm, frames_of, random_pcm
from tests.support.require import require

if TYPE_CHECKING:
    from types import ModuleType

RATE = 8_000
START = datetime(2026, 3, 1, 14, tzinfo=UTC)
PCM = random_pcm(10 * RATE, 1, "int16")
STEREO = random_pcm(5 * 48_000, 2, "int16")


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _stretch(first: float, last: float) -> tuple[str, ...]:
    return ("--source", "desk", "--from", _at(first), "--to", _at(last))


def _fill(url: str) -> None:
    """Stores what is heard from 0 to 10 s, in two recordings, and, after a pause, until 17 s in stereo."""
    with Archive(url) as archive:
        for first, last in ((0, 4), (4, 10)):
            pcm = PCM[2 * first * RATE : 2 * last * RATE]
            moment = START + timedelta(seconds=first)
            archive.add(pcm, RATE, source="desk", started_at=moment, external_id=str(first))
        archive.add(STEREO, 48_000, 2, source="desk", started_at=START + timedelta(seconds=12))
        pause = (START + timedelta(seconds=10), START + timedelta(seconds=12))
        archive.add_gap("desk", *pause, "paused")


@pytest.fixture
def desk(phonobase: Program) -> Program:
    """The program on an archive of a source with a gap and a change of format."""
    _fill(phonobase.url)
    return phonobase


@pytest.fixture
def desk_on_both(phonobase_on_both: Program) -> Program:
    """Likewise, once on SQLite and once on PostgreSQL."""
    _fill(phonobase_on_both.url)
    return phonobase_on_both


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_stretch_of_time_goes_across_recordings(desk_on_both: Program) -> None:
    """From 3.5 s to 9.25 s there are just the samples that were heard then, from two recordings."""
    desk = desk_on_both
    desk.env["TZ"] = "Europe/Berlin"

    said = desk.call("export", *_stretch(3.5, 9.25), "-o", "cut.flac").ok()

    assert flac_pcm(desk.folder / "cut.flac") == PCM[2 * 28_000 : 2 * 74_000]
    assert said.err == "2026-03-01 15:00:03+01:00 to 2026-03-01 15:00:09+01:00 -> cut.flac\n"
    assert said.out == b""


def test_silence_keeps_the_time(desk_on_both: Program) -> None:
    """Two seconds of a pause are two seconds of silence, and they are listed with their cause."""
    desk = desk_on_both

    said = desk("export", *_stretch(9, 11.5), "-o", "cut.wav", "--json").ok()

    assert ffmpeg_pcm(desk.folder / "cut.wav", "int16") == PCM[2 * 9 * RATE :] + bytes(2 * 12_000)
    assert said.err.splitlines()[-1] == "1 gap, 0:00:01.500 not heard: paused 0:00:01.500"
    (cut,) = said.json
    assert (cut["source"], cut["policy"], cut["manifest"]) == ("desk", "silence", None)
    assert (cut["since"], cut["until"]) == ("2026-03-01T14:00:09+00:00", "2026-03-01T14:00:11.500000+00:00")
    assert [(gap["started_at"], gap["seconds"], gap["cause"]) for gap in cut["gaps"]] == [
        ("2026-03-01T14:00:10+00:00", 1.5, "paused")
    ]
    (file,) = cut["files"]
    assert (file["path"], file["kind"], file["frame_count"]) == ("cut.wav", "wav", 20_000)
    assert (file["sample_rate"], file["channels"], file["sample_format"]) == (RATE, 1, "int16")
    assert file["recordings"] == [desk.recordings()[1].id.hex]


def test_another_format_is_another_file(desk_on_both: Program) -> None:
    """Where the format changes a new file begins; each is called by source and UTC to the microsecond."""
    desk = desk_on_both

    desk("export", *_stretch(9.000125, 13)).ok()

    assert _left(desk.folder) == ["desk_20260301T140009.000125Z.flac", "desk_20260301T140012.000000Z.flac"]
    first, second = (flac_pcm(desk.folder / name) for name in _left(desk.folder))
    assert first == PCM[2 * (9 * RATE + 1) :] + bytes(2 * 2 * RATE)
    assert second == STEREO[: 4 * 48_000]
    desk("export", *_stretch(9, 13), "-o", "cut.flac").refused("that is 2 files, and cut.flac is one; name a")


def test_files_are_split_at_gaps(desk: Program, folder: Path) -> None:
    """With --gaps split a file ends where a gap begins, and holds no silence."""
    (folder / "out").mkdir()

    desk("export", *_stretch(9, 13), "--gaps", "split", "-o", "out", "--format", "bwf").ok()

    first, second = (folder / "out" / name for name in _left(folder / "out"))
    assert (first.name, second.name) == (
        "desk_20260301T140009.000000Z.wav",
        "desk_20260301T140012.000000Z.wav",
    )
    assert ffmpeg_pcm(first, "int16") == PCM[2 * 9 * RATE :]
    assert ffmpeg_pcm(second, "int16") == STEREO[: 4 * 48_000]
    assert wavinfo.WavInfoReader(str(second)).bext.time_reference == (14 * 3600 + 12) * 48_000


def test_a_gap_is_refused(desk: Program, folder: Path) -> None:
    """With --gaps error there is a file only where there is no gap."""
    desk("export", *_stretch(9, 13), "--gaps", "error", "-o", "cut.flac").refused(
        "desk was not heard from 2026-03-01T14:00:10+00:00", "paused"
    )
    assert _left(folder) == []

    desk("export", *_stretch(9, 10), "--gaps", "error", "-o", "cut.flac").ok()
    assert _left(folder) == ["cut.flac"]


def test_a_stretch_goes_to_standard_output(desk: Program) -> None:
    """Another program reads a cut from a pipe, in the kind that is asked for."""
    process = desk.start("export", *_stretch(1, 2), "-o", "-", "--format", "opus")
    command = [
        require("ffprobe"),
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,duration",
        "-of",
        "json",
    ]
    found = subprocess.run([*command, "-"], stdin=process.stdout, capture_output=True, check=True)
    process.communicate()

    assert process.returncode == 0
    assert json.loads(found.stdout)["streams"][0]["codec_name"] == "opus"


@pytest.mark.parametrize("name", ["cut.flac", "cut.wav", "cut.bwf", "cut.opus", "cut.ogg", "CUT.FLAC"])
def test_the_name_says_the_kind(desk: Program, folder: Path, name: str) -> None:
    """Libsndfile finds in a file what its name promises, and as much of it as there is."""
    desk("export", *_stretch(1, 9), "-o", name).ok()

    kinds = {"flac": "FLAC", "wav": "WAV", "bwf": "WAV", "opus": "OGG", "ogg": "OGG"}
    info = soundfile.info(folder / name)
    assert info.format == kinds[name.lower().partition(".")[2]]
    assert info.frames == 8 * RATE


def test_a_manifest_proves_files_without_the_archive(desk_on_both: Program) -> None:
    """``verify`` needs the file and its manifest, and opens no archive; one changed sample is found."""
    desk = desk_on_both
    desk("export", *_stretch(3, 11), "-o", "cut.flac", "--manifest").ok()
    elsewhere = Program("sqlite:///nowhere/none.db", desk.folder)

    said = elsewhere("verify", "cut.flac", "--manifest", "cut.flac.manifest.json").ok()

    assert said.text == "ok   cut.flac  64000 frames"
    assert said.err == (
        "1 file is what was exported of desk, 2026-03-01 14:00:03+00:00 to 2026-03-01 14:00:11+00:00, "
        "1 gap listed\n"
    )
    proved = elsewhere("verify", "cut.flac", "--manifest", "cut.flac.manifest.json", "--json").ok().json
    assert proved == {"files": [{"path": "cut.flac", "ok": True, "fault": None}], "unchecked": []}
    elsewhere("verify", "cut.flac").refused("cut.flac is a file", "--manifest")

    samples = frames_of(flac_pcm(desk.folder / "cut.flac"), 1, "int16").copy()
    samples[7] ^= 1
    soundfile.write(desk.folder / "cut.flac", samples, RATE)
    elsewhere("verify", "cut.flac", "--manifest", "cut.flac.manifest.json").refused(
        "cut.flac has", "exported"
    )


def test_several_files_have_one_manifest(desk: Program, folder: Path) -> None:
    """It is called by source and time, and proves each file alone or all at once."""
    desk("export", *_stretch(9, 13), "--manifest").ok()
    manifest = "desk_20260301T140009.000000Z.manifest.json"
    files = [name for name in _left(folder) if name != manifest]

    assert (
        desk("export", *_stretch(9, 13), "--manifest", "--json", "--force").ok().json[0]["manifest"]
        == manifest
    )
    desk("verify", *files, "--manifest", manifest).ok()
    said = desk("verify", files[1], "--manifest", manifest).ok()

    assert len(files) == 2
    assert said.text == f"ok   {files[1]}  48000 frames"
    assert said.err.startswith("1 of 2 files is what was exported of desk")
    assert said.err.endswith(f"; not looked at: {files[0]}\n")
    proved = desk("verify", files[1], "--manifest", manifest, "--json").ok().json
    assert proved["unchecked"] == [files[0]]
    for named in ((), _left(folder)):
        said = desk("verify", *named, "--manifest", manifest).ok()
        assert said.text.splitlines() == [f"ok   {files[0]}  24000 frames", f"ok   {files[1]}  48000 frames"]
        assert said.err.startswith("2 files are what was exported of desk")
    (folder / files[0]).rename(folder / "renamed.flac")
    said = desk("verify", "renamed.flac", files[1], "--manifest", manifest)
    said.refused("names no renamed.flac, but", files[0])
    assert said.text == f"ok   {files[1]}  48000 frames"


def test_recordings_have_a_manifest_each(desk: Program, folder: Path) -> None:
    """Also without a cut an export can be proved."""
    ids = [recording.id.hex for recording in desk.recordings()]
    desk("export", *ids, "--manifest").ok()

    manifests = [name for name in _left(folder) if name.endswith(".json")]
    assert len(manifests) == 3
    for name in manifests:
        file = name.removesuffix(".manifest.json")
        desk("verify", file, "--manifest", name).ok()
        assert (folder / file).read_bytes().startswith(b"fLaC")


def test_labels_go_along(desk: Program, folder: Path) -> None:
    """Annotations are cut with the sound: beside each file, in WebVTT and for Audacity, or into it."""
    with Archive(desk.url) as archive:
        first, second = (recording.id for recording in desk.recordings()[:2])
        archive.annotate(first, 3 * RATE, RATE, "speech", "hello", author="test")
        archive.annotate(second, 5 * RATE, 0, "note", "end", author="test")

    desk("export", *_stretch(3.5, 9.5), "-o", "cut.wav", *("--labels", "vtt"), *("--labels", "txt")).ok()
    desk("export", *_stretch(3.5, 9.5), "-o", "with.wav", "--labels", "cues").ok()

    assert _left(folder) == ["cut.wav", "cut.wav.txt", "cut.wav.vtt", "with.wav"]
    assert (folder / "cut.wav.txt").read_text() == (
        "0.000000000\t0.500000000\thello\n5.500000000\t5.500000000\tend\n"
    )
    assert "00:00:00.000 --> 00:00:00.500\nhello\n" in (folder / "cut.wav.vtt").read_text()
    cues = wavinfo.WavInfoReader(str(folder / "with.wav")).cues
    assert [(cue.sample_offset, cues.label_and_note(cue.name)[0]) for cue in cues.cues] == [
        (0, "hello"),
        (44_000, "end"),
    ]


def _long_ago(seconds: float) -> tuple[str, ...]:
    return _stretch(seconds, seconds + 1)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (("export", *_long_ago(10.5)), "nothing of desk was heard from 2026-03-01 14:00:10+00:00"),
        (("export", *_long_ago(10.5)), "paused 0:00:01.000"),
        (("export", *_long_ago(10.5), "--gaps", "split"), "nothing of desk was heard"),
        (("export", *_long_ago(10.5), "--gaps", "error"), "was not heard from"),
        (("export", *_long_ago(-3_600)), "unrecorded 0:00:01.000"),
        (("export", *_long_ago(86_400 * 365 * 50)), "still to come"),
        (("export", *_stretch(0, 86_400 * 365 * 50)), "still to come"),
        (("export", *_stretch(5, 4)), "swap the two"),
        (("export", *_stretch(5, 5)), "cannot end"),
        (("export", *_stretch(0, 1), "last"), "either recordings are exported, or a stretch"),
        (("export", *_stretch(0, 1)[:4]), "needs --from and --to"),
        (("export", *_stretch(0, 1)[2:]), "name one"),
        (("export", "last", "--gaps", "split"), "--from, --to and --gaps cut a stretch of a --source"),
        (("export", *_stretch(0, 1), "--gaps", "none"), "'none' is not one of"),
        (("export", *_stretch(0, 1), "--format", "mp3"), "'mp3' is not one of"),
        (
            ("export", "last", "-o", "cut.flac", "--format", "opus"),
            "cut.flac is flac by its name, and --format",
        ),
        (("export", "last", "-o", "cut.bwf", "--format", "wav"), "is bwf by its name, and --format says wav"),
        (("dataset", "-o", "cut.csv"), "cut.csv is to be Parquet; let its name end in .parquet"),
        (("export", *_stretch(0, 1), "-o", "cut"), "cut does not say what kind of file it is"),
        (("export", *_stretch(0, 1), "-o", "no/cut.wav"), "no/cut.wav cannot be written: No such file"),
        (("export", *_stretch(0, 1), "-o", "-", "--manifest"), "standard output holds one file"),
        (("export", *_stretch(0, 1), "-o", "-", "--json"), "standard output holds one file"),
        (("export", *_stretch(0, 1), "-o", "-", "--labels", "vtt"), "standard output holds one file"),
        (("export", "--source", "'; DROP TABLE phono_gap; --", *_stretch(0, 1)[2:]), "no source"),
        (("export", "--source", "door", *_stretch(0, 1)[2:]), "no source 'door'; there are: desk"),
        (("export", "--source", "a\x00b", *_stretch(0, 1)[2:]), "no source"),
        (("export", "--source", "desk", "--from", "noon", "--to", _at(1)), "'noon' is no time"),
        (("verify", "--manifest", "m.json"), "m.json cannot be read: No such file"),
        (("verify", "cut.flac", "--manifest", "m.json"), "m.json cannot be read: No such file"),
    ],
)
def test_what_cannot_be_exported(desk: Program, folder: Path, call: tuple[str, ...], reason: str) -> None:
    """The answer is one line that says why, and no file."""
    desk(*call).refused(reason)

    assert _left(folder) == []


def test_a_local_time_that_is_there_twice_is_refused(desk: Program, folder: Path) -> None:
    """When clocks are set back an hour is there twice, and nobody knows which one is meant."""
    desk.env["TZ"] = "Europe/Berlin"
    for hour in ("2025-10-26T02:30", "2025-03-30T02:30"):
        done = desk.call("export", "--source", "desk", "--from", hour, "--to", _at(1))
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith("Error: Invalid value for '--from'")
        assert "+02:00" in done.err
        assert "+01:00" in done.err
    done = desk.call(
        "export", "--source", "desk", "--from", "2026-03-01T15:00:01", "--to", _at(2), "-o", "a.wav"
    )
    assert ffmpeg_pcm(folder / "a.wav", "int16") == PCM[2 * RATE : 4 * RATE]
    assert done.code == 0


def test_files_come_together_or_not_at_all(desk: Program, folder: Path) -> None:
    """Where the second file of a cut fails, there is no first one, no labels, and nothing half."""
    with Archive(desk.url) as archive, archive.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE phono_audio SET data = CAST(substr(data, 1, 999) || x'00' || substr(data, 1001) AS BLOB)"
            " WHERE recording_id = ?",
            (desk.recordings()[2].id.hex,),
        )

    desk("export", *_stretch(9, 13), "--manifest", "--labels", "vtt").refused("is not as it was recorded")

    assert _left(folder) == []


def test_files_that_are_there_stay(desk: Program, folder: Path) -> None:
    """One of several files is there already: none is written, unless one says otherwise."""
    name = "desk_20260301T140012.000000Z.flac"
    (folder / name).write_text("precious")

    desk("export", *_stretch(9, 13)).refused(f"{name} is there already", "--force")
    assert _left(folder) == [name]
    assert (folder / name).read_text() == "precious"

    desk("export", *_stretch(9, 13), "--force").ok()
    assert len(_left(folder)) == 2
    assert flac_pcm(folder / name) == STEREO[: 4 * 48_000]


def test_a_chain_that_was_changed_gets_no_manifest(desk: Program, folder: Path) -> None:
    """What cannot be proved is not exported as if it could."""
    with Archive(desk.url) as archive, archive.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE phono_chunk SET chain = sha256 WHERE recording_id = ?", (desk.recordings()[0].id.hex,)
        )

    desk("export", *_stretch(1, 2), "-o", "cut.flac", "--manifest").refused("the chain differs at chunk 0")
    assert _left(folder) == []
    desk("export", *_stretch(1, 2), "-o", "cut.flac").ok()


def test_a_stopped_export_leaves_nothing(desk: Program, folder: Path) -> None:
    """Ctrl-C while a long file is being written: exit 130, and no part of it."""
    with Archive(desk.url) as archive:
        noise = np.random.default_rng(1).integers(-9_000, 9_000, 600 * 48_000).astype("<i2")
        archive.add(noise.tobytes(), 48_000, source="desk", started_at=START + timedelta(seconds=60))
    process = desk.start("export", *_stretch(61, 659), "-o", "cut.opus")
    while not _left(folder):
        assert process.poll() is None
    os.kill(process.pid, 2)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert _left(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("module", "call"), [(tempfile, "NamedTemporaryFile"), (os, "fsync")])
def test_a_stop_at_any_moment_leaves_nothing(
    desk: Program,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    call: str,
    number: signal.Signals,
) -> None:
    """Asked to stop just when a file was made, or before its manifest: exit 130, and no part of it."""
    original = getattr(module, call)

    def stopped(*arguments: object, **settings: object) -> object:
        done = original(*arguments, **settings)
        os.kill(os.getpid(), number)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(module, call, stopped)
        assert desk("export", *_stretch(1, 2), "-o", "cut.flac", "--manifest").code == 130

    assert _left(folder) == []


def test_a_file_that_appears_meanwhile_stays(
    desk: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While two files are written another program makes the second: it stays, and the first goes again."""
    theirs = folder / "desk_20260301T140012.000000Z.flac"
    sync = os.fsync

    def another_program(descriptor: int) -> None:
        theirs.write_text("precious")
        sync(descriptor)

    arguments = ("export", *_stretch(9, 13), "--manifest")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", another_program)
        desk(*arguments).refused(theirs.name, "is there already")
    assert _left(folder) == [theirs.name]
    assert theirs.read_text() == "precious"

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda _path: False)  # it is made after the last look
        desk(*arguments).refused(theirs.name, "was made by another program meanwhile")
    assert _left(folder) == [theirs.name]


@pytest.mark.parametrize("can_link", [True, False])
def test_what_was_overwritten_comes_back(
    desk: Program, folder: Path, monkeypatch: pytest.MonkeyPatch, *, can_link: bool
) -> None:
    """With --force, too, all files are there or none; also where the file system has no second names."""
    names = ["desk_20260301T140009.000000Z.flac", "desk_20260301T140012.000000Z.flac"]
    (folder / names[0]).write_text("precious")
    move = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if target.name == names[1]:
            raise PermissionError(errno.EACCES, "Permission denied")
        return move(path, target)

    def no_link(_path: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    arguments = ("export", *_stretch(9, 13), "--force")
    with monkeypatch.context() as patched:
        if not can_link:
            patched.setattr(Path, "hardlink_to", no_link)
        else:
            (folder / names[1]).write_text("dear")
        patched.setattr(Path, "replace", refused)
        desk(*arguments).refused("cannot be written: Permission denied")
        assert (folder / names[0]).read_text() == "precious"
        patched.setattr(Path, "replace", move)
        desk(*arguments).ok()
    assert _left(folder) == names
    assert flac_pcm(folder / names[1]) == STEREO[: 4 * 48_000]


def test_what_is_no_file_is_not_overwritten(desk: Program, folder: Path) -> None:
    """Not even with --force does a pipe or a link to nothing become a file."""
    os.mkfifo(folder / "pipe.flac")
    (folder / "link.flac").symlink_to("nothing")

    for name in _left(folder):
        desk("export", *_stretch(1, 2), "-o", name, "--force").refused(f"{name} is there and no file")

    assert _left(folder) == ["link.flac", "pipe.flac"]


def test_standard_output_that_is_full(desk: Program) -> None:
    """The answer is one line, also when what was left is flushed at the end."""
    for stretch in ((1, 1.01), (1, 9)):
        with Path("/dev/full").open("wb") as full:
            process = desk.start("export", *_stretch(*stretch), "-o", "-", stdout=full)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert (
            err
            == b"phonobase: standard output cannot be written: No space left on device; name another place\n"
        )


def test_a_long_name_is_a_name(desk: Program, folder: Path) -> None:
    """A file may be called as long as the file system allows."""
    name = 250 * "n" + ".flac"

    desk("export", *_stretch(1, 2), "-o", name).ok()

    assert _left(folder) == [name]


def test_several_files_make_their_folder(desk: Program, folder: Path) -> None:
    """Files that are split at gaps, of several formats or of several recordings go into a new folder."""
    ids = [recording.id.hex for recording in desk.recordings()]

    desk("export", *_stretch(9, 13), "--gaps", "split", "-o", "splits").ok()
    desk("export", *_stretch(1, 2), "--gaps", "split", "-o", "one").ok()
    desk("export", *_stretch(9, 13), "-o", "formats").ok()
    desk("export", *ids, "-o", "recordings").ok()

    assert [len(_left(folder / name)) for name in ("splits", "one", "formats", "recordings")] == [2, 1, 2, 3]
    desk("export", *_stretch(9, 13), "-o", "no/splits").refused("no/splits cannot be written: No such file")
    desk("export", *_stretch(9, 13), "--format", "flac", "--labels", "cues", "-o", "wrong.wav").refused(
        "2 files"
    )


def test_a_folder_goes_with_files_that_fail(desk: Program, folder: Path) -> None:
    """A folder that was made for files that cannot be is taken away."""
    with Archive(desk.url) as archive, archive.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE phono_chunk SET sha256 = chain")

    desk("export", *_stretch(9, 13), "-o", "formats").refused("is not as it was recorded")

    assert _left(folder) == []
