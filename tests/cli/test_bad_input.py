from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from phonobase import State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program
    from tests.support.pulse import SoundServer

TONE = ("record", "--input", "tone", "--no-realtime")
RAW = ("--samplerate", "8000", "--channels", "1", "--dtype")


def _float_wav(path: Path, bad: float, at: int) -> Path:
    samples = np.zeros((20_000, 1), np.float32)
    samples[at] = bad
    soundfile.write(path, samples, 8_000, subtype="FLOAT")
    return path


def _flac(path: Path, declared: int) -> Path:
    """Writes a second of noise as FLAC whose header declares another number of frames, 0 being unknown."""
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, (8_000, 1), dtype=np.int16)
    soundfile.write(path, noise, 8_000)
    whole = bytearray(path.read_bytes())
    packed = int.from_bytes(whole[18:26], "big") >> 36 << 36 | declared
    whole[18:26] = packed.to_bytes(8, "big")
    path.write_bytes(whole)
    return path


def _wav(path: Path, declared: int, frames: int = 8_000) -> Path:
    """Writes noise as WAV whose header declares so many bytes of sound."""
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, (frames, 1), dtype=np.int16)
    form = struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", declared)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + frames * 2) + head + noise.tobytes())
    return path


def _left_nothing(phonobase: Program) -> None:
    """Fails the test where there is a recording, or a file that was not there."""
    assert phonobase.recordings() == []
    assert [path.name for path in phonobase.folder.iterdir() if path.suffix not in (".wav", ".flac")] == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--duration", "0"), "'0' is no time at all"),
        (("--duration", "0.000"), "is no time at all"),
        (("--duration=-1",), "'-1' is no duration"),
        (("--duration", "nan"), "'nan' is no duration"),
        (("--duration", "inf"), "'inf' is no duration"),
        (("--duration", "1e9"), "'1e9' is no duration"),
        (("--duration", "five"), "'five' is no duration"),
        (("--duration", "99999999999999999999h"), "is more than a hundred years"),
        (("--chunk", "0"), "is no time at all"),
        (("--chunk", "25h"), "chunks of 90000 s are not possible"),
        (("--samplerate", "0"), "a sample rate of 0 Hz cannot be stored"),
        (("--samplerate", "-44100"), "a sample rate of -44100 Hz cannot be stored"),
        (("--samplerate", "1048576"), "a sample rate of 1048576 Hz cannot be stored"),
        (("--samplerate", "44.1"), "'44.1' is not a valid integer"),
        (("--samplerate", "100"), "cannot be made at 100 Hz"),
        (("--channels", "0"), "0 channels cannot be stored"),
        (("--channels", "33"), "33 channels cannot be stored"),
        (("--dtype", "int8"), "'int8' is not one of"),
        (("--dtype", "int32", "--encoding", "flac"), "FLAC cannot hold int32 samples"),
        (("--dtype", "float32", "--encoding", "flac"), "FLAC cannot hold float32 samples"),
        (("--channels", "9", "--encoding", "flac"), "FLAC cannot hold 9 channels"),
        (("--samplerate", "700000", "--encoding", "flac"), "FLAC cannot hold a sample rate of 700000 Hz"),
        (("--encoding", "mp3"), "'mp3' is not one of"),
        (("--source", ""), "'' cannot name a source"),
        (("--source", "a\nb"), "cannot name a source"),
        (("--source", "x" * 201), "cannot name a source"),
        (("--tag", "noequals"), "'noequals' is no tag"),
        (("--tag", "=value"), "'=value' is no tag"),
        (("--device", "desk"), "--device goes with --input device"),
        (("--nonsense",), "No such option"),
        (("argument",), "unexpected extra argument"),
    ],
)
def test_record_refuses_bad_options(phonobase: Program, options: tuple[str, ...], reason: str) -> None:
    """What cannot be recorded is refused in one line that says why, before anything is made."""
    phonobase(*TONE, "--duration", "1", *options).refused(reason)

    _left_nothing(phonobase)


def test_no_device(phonobase: Program, no_device: dict[str, str]) -> None:
    """A machine that hears nothing says so, and what to do."""
    phonobase.env |= no_device

    phonobase("record", "--duration", "1").refused("no input device", "--input tone")
    assert phonobase("devices", "--json").ok().json == []
    assert "no input device" in phonobase("devices").ok().err

    _left_nothing(phonobase)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--device", "no such device"), "no input device 'no such device'; there are"),
        (("--device", "99"), "no input device 99; there are"),
        (("--device", "al"), "could be any of"),
        (("--channels", "33"), "33 channels cannot be stored"),
        (("--no-realtime",), "a device is heard in real time"),
    ],
)
def test_wrong_device(
    phonobase: Program, own_sound: SoundServer, options: tuple[str, ...], reason: str
) -> None:
    """A device that is not there, or could be another, or cannot do it, is refused with what there is."""
    phonobase.env |= own_sound.env

    phonobase.call("record", "--duration", "1", *options).refused(reason)

    _left_nothing(phonobase)


@pytest.mark.parametrize("command", [("import",), ("record", "--input")])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no file sound.wav"),
        (b"", "sound.wav is empty"),
        (b"\n", "is not sound that can be read"),
        (b"RIFF" + bytes(40), "is not sound that can be read"),
        (b"fLaC" + bytes(100), "is not sound that can be read"),
        (b"%PDF-1.7\n" * 1000, "is not sound that can be read"),
    ],
)
def test_a_file_that_is_no_sound(
    phonobase: Program, folder: Path, command: tuple[str, ...], content: bytes | None, reason: str
) -> None:
    """A file that is missing, empty or something else is refused by import and by record."""
    if content is not None:
        (folder / "sound.wav").write_bytes(content)

    phonobase(*command, "sound.wav").refused(reason)

    _left_nothing(phonobase)


@pytest.mark.parametrize("command", [("import",), ("record", "--input")])
def test_a_directory(phonobase: Program, folder: Path, command: tuple[str, ...]) -> None:
    """A directory is not a file."""
    (folder / "sounds.wav").mkdir()

    phonobase(*command, "sounds.wav").refused("sounds.wav is a directory")

    _left_nothing(phonobase)


@pytest.mark.parametrize("command", [("import",), ("record", "--input")])
def test_a_wav_that_declares_more_than_it_holds(
    phonobase: Program, folder: Path, command: tuple[str, ...]
) -> None:
    """A download that broke off does not pass for the whole."""
    _wav(folder / "part.wav", declared=100_000)

    phonobase(*command, "part.wav").refused("part.wav holds 16000 of the 100000 bytes")

    _left_nothing(phonobase)


def test_a_wav_without_any_sound(phonobase: Program, folder: Path) -> None:
    """A header alone is no recording."""
    soundfile.write(folder / "none.wav", np.zeros((0, 1), np.int16), 8_000)

    phonobase("import", "none.wav").refused("none.wav holds no sound")

    _left_nothing(phonobase)


def test_a_flac_that_declares_too_much(phonobase: Program, folder: Path) -> None:
    """The largest number that a FLAC header can declare is not believed, nor is memory taken for it."""
    _flac(folder / "long.flac", declared=2**36 - 1)

    phonobase("import", "long.flac").refused("long.flac")
    phonobase("record", "--input", "long.flac").failed("long.flac ends after 8000 of 68719476735 frames")

    assert [(found.frame_count, found.state) for found in phonobase.recordings()] == [
        (8_000, State.INTERRUPTED)
    ]


def test_a_flac_that_does_not_know_its_length(phonobase: Program, folder: Path) -> None:
    """A FLAC that was encoded to a pipe leaves its length open, which is no fault."""
    _flac(folder / "open.flac", declared=0)

    phonobase("import", "open.flac").ok()

    assert (phonobase.one().frame_count, phonobase.one().state) == (8_000, State.COMPLETE)


def test_a_truncated_flac(phonobase: Program, folder: Path) -> None:
    """Import takes a file whole or not at all; record keeps what there is and says so."""
    path = _flac(folder / "cut.flac", declared=8_000)
    path.write_bytes(path.read_bytes()[:-2_000])

    phonobase("import", "cut.flac").refused("cut.flac ends after 4096 of 8000 frames")
    _left_nothing(phonobase)

    phonobase("record", "--input", "cut.flac").failed("cut.flac ends after 4096 of 8000 frames")
    assert (phonobase.one().frame_count, phonobase.one().state) == (4_096, State.INTERRUPTED)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_is_no_number(phonobase: Program, folder: Path, bad: float) -> None:
    """A file with such a sample is not imported; recorded, it is kept up to there."""
    _float_wav(folder / "bad.wav", bad, at=15_000)

    phonobase("import", "bad.wav").refused("frame 15000 holds NaN or infinity")
    _left_nothing(phonobase)

    phonobase("record", "--input", "bad.wav").failed("frame 15000 holds NaN or infinity")
    assert (phonobase.one().frame_count, phonobase.one().state) == (15_000, State.INTERRUPTED)


def test_a_float_that_is_no_number_in_a_pipe(phonobase: Program, folder: Path) -> None:
    """From a pipe everything before it is kept; where it comes first, there is nothing to keep."""
    first = _float_wav(folder / "first.wav", float("nan"), at=0).read_bytes()
    raw = np.array([0.5] * 99 + [np.inf], "<f4").tobytes()

    phonobase.call("record", "--input", "-", stdin=first).failed("frame 0 holds NaN or infinity")
    assert phonobase.recordings() == []

    phonobase.call("record", "--input", "-", *RAW, "float32", stdin=raw).failed("frame 99 holds NaN")
    assert (phonobase.one().frame_count, phonobase.one().state) == (99, State.INTERRUPTED)


@pytest.mark.parametrize(
    ("stdin", "options", "reason"),
    [
        (b"", (), "standard input is empty"),
        (b"", (*RAW, "int16"), "standard input is empty"),
        (b"RIFF", (), "standard input is not WAV"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", (), "standard input ends within its WAV header"),
        (b"fLaC" + bytes(100), (), "standard input is FLAC; send `flac -d"),
        (b"OggS" + bytes(100), (), "standard input is Ogg"),
        (b"what is this", (), "standard input is not WAV"),
        (bytes(100), ("--samplerate", "8000"), "raw PCM needs all of"),
        (bytes(100), (*RAW, "int16", "--channels", "0"), "0 channels cannot be stored"),
    ],
)
def test_a_pipe_that_is_no_sound(
    phonobase: Program, stdin: bytes, options: tuple[str, ...], reason: str
) -> None:
    """What comes through a pipe is refused before anything is made, where it is neither WAV nor described."""
    phonobase("record", "--input", "-", *options, stdin=stdin).refused(reason)

    _left_nothing(phonobase)


def test_a_pipe_of_another_format_than_said(phonobase: Program, folder: Path) -> None:
    """A WAV whose header contradicts the options is refused, and not read as if it did not."""
    wav = _wav(folder / "mono.wav", declared=16_000).read_bytes()

    described = ("--samplerate", "8000", "--channels", "2", "--dtype", "int16")
    phonobase("record", "--input", "-", *described, stdin=wav).refused("8000 Hz, 1 ch", "8000 Hz, 2 ch")

    _left_nothing(phonobase)


def test_half_a_frame_at_the_end_of_a_pipe(phonobase: Program) -> None:
    """The whole frames are kept, and the call says that one was not."""
    phonobase("record", "--input", "-", *RAW, "int16", stdin=bytes(201)).failed("check --channels")

    assert (phonobase.one().frame_count, phonobase.one().state) == (100, State.INTERRUPTED)


@pytest.mark.parametrize("option", ["--samplerate", "--channels"])
def test_a_file_is_not_converted(phonobase: Program, folder: Path, option: str) -> None:
    """Another rate or channel count than the file's is refused: nothing is resampled or mixed."""
    _wav(folder / "mono.wav", declared=16_000)

    phonobase("record", "--input", "mono.wav", option, "2").refused("phonobase does not change that")
    phonobase("record", "--input", "mono.wav", "--device", "1").refused("--device goes with --input device")

    _left_nothing(phonobase)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (("show", "ffff"), "no recording has an id that ends in 'ffff'"),
        (("show", "fff"), "'fff' is no id"),
        (("show", ""), "'' is no id"),
        (("show", "latest"), "'latest' is no id"),
        (("show", "0" * 32), "no recording has the id"),
        (("play", "ffff"), "no recording has an id"),
        (("verify", "ffff"), "no recording has an id"),
        (("export", "ffff"), "no recording has an id"),
        (("list", "--source", "nowhere"), "no source 'nowhere'; there are: default"),
        (("list", "--since", "yesterday"), "'yesterday' is no time"),
        (("list", "--limit", "0"), "is not in the range"),
        (("list", "--state", "lost"), "'lost' is not one of"),
        (("export",), "name recordings by their IDs, or a stretch"),
        (("show",), "Missing argument"),
        (("import",), "Missing argument"),
        (("export", "last", "last", "-o", "one.flac"), "one.flac is one file"),
        (("export", "last", "-o", "clip.mp3"), "clip.mp3 does not say what kind of file it is"),
        (("export", "last", "-o", "no/such/clip.flac"), "no/such/clip.flac cannot be written"),
        (("db", "sql", "mysql"), "'mysql' is not one of"),
        (("nonsense",), "No such command"),
    ],
)
def test_wrong_ids_names_and_places(recorded: Program, call: tuple[str, ...], reason: str) -> None:
    """What is not there is refused in one line that says so, and nothing is written."""
    recorded(*call).refused(reason)

    assert list(recorded.folder.iterdir()) == []


def test_an_id_that_could_be_two(phonobase: Program) -> None:
    """Two recordings whose ids end alike are told apart by more digits, never by chance."""
    for _ in range(2):
        phonobase(*TONE, "--duration", "0.1").ok()
    one, other = phonobase.recordings()
    alike = f"{other.id.hex[:-4]}{one.id.hex[-4:]}"
    statement = "UPDATE {} SET {} = '{}' WHERE {} = '{}'"
    places = (("phono_recording", "id"), ("phono_chunk", "recording_id"), ("phono_audio", "recording_id"))
    script = "".join(
        statement.format(table, column, alike, column, other.id.hex) + ";" for table, column in places
    )
    subprocess.run(["sqlite3", phonobase.url.removeprefix("sqlite:///"), script], check=True)

    phonobase("show", alike[-4:]).refused("more than one recording ends in", one.id.hex, alike)
    phonobase("show", alike).ok()


def test_started_at_is_for_one_file(phonobase: Program) -> None:
    """Two files did not begin at the same time."""
    call = ("import", "--started-at", "2026-01-01T00:00Z", "a.wav", "b.wav")
    phonobase(*call).refused("--started-at goes with one file")

    _left_nothing(phonobase)


def test_an_export_that_flac_cannot_hold(phonobase: Program, folder: Path) -> None:
    """Floats do not go into FLAC; no part of a file is left behind."""
    phonobase(*TONE, "--duration", "0.1", "--dtype", "float32").ok()

    phonobase("export", "last", "-o", "clip.flac").refused("float32, which FLAC cannot hold", ".wav")

    assert list(folder.iterdir()) == []
