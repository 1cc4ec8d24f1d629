from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from phonobase import Archive, AudioFormat, SampleFormat, State
from phonobase.audio.encoding import Encoding
from phonobase.capture import ToneInput
from phonobase.cli import meter
from phonobase.pcm import to_bytes
from tests.cli.program import finished
from tests.store.judge import wait_until
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program
    from tests.support.pulse import SoundServer

TONE = ("record", "--input", "tone", "--no-realtime")


def _sine(*arguments: str) -> bytes:
    """Returns two seconds of a stereo sine as ffmpeg writes them to a pipe."""
    source = ("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000:duration=2", "-ac", "2")
    command = [require("ffmpeg"), "-v", "error", *source, *arguments, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_the_tone_is_recorded_exactly(phonobase_on_both: Program) -> None:
    """What is stored is the tone to its last sample, and the id is all that goes to standard output."""
    phonobase = phonobase_on_both

    said = phonobase(*TONE, "--duration", "2.5", "--source", "desk", "--title", "A4", "--tag", "room=3").ok()

    recording = phonobase.one()
    assert said.out == f"{recording.id.hex}\n".encode()
    assert (recording.source, recording.title, recording.tags) == ("desk", "A4", {"room": "3"})
    assert recording.state is State.COMPLETE
    expected = ToneInput(recording.format).frames(0, 110_250)
    assert phonobase.pcm(recording) == to_bytes(expected, SampleFormat.INT16)


@pytest.mark.parametrize(
    ("duration", "rate", "frames"),
    [
        ("1", 44_100, 44_100),
        ("0.1", 44_100, 4_410),
        ("1.00001", 48_000, 48_000),
        ("0.333333", 48_000, 16_000),
        ("2.5s", 8_000, 20_000),
        ("0.05m", 8_000, 24_000),
        ("0.001h", 8_000, 28_800),
        ("0.0000001", 8_000, 1),
    ],
)
def test_duration_is_exact_to_the_frame(phonobase: Program, duration: str, rate: int, frames: int) -> None:
    """A duration is rounded to the nearest frame, and to one at least."""
    phonobase(*TONE, "--duration", duration, "--samplerate", rate).ok()

    assert phonobase.one().frame_count == frames


@pytest.mark.parametrize(
    ("options", "audio_format", "encoding"),
    [
        ((), AudioFormat(44_100, 1), Encoding.FLAC),
        (("--channels", "8", "--dtype", "int24"), AudioFormat(44_100, 8, SampleFormat.INT24), Encoding.FLAC),
        (("--encoding", "pcm", "--samplerate", "8000"), AudioFormat(8_000, 1), Encoding.PCM),
        (("--dtype", "int32"), AudioFormat(44_100, 1, SampleFormat.INT32), Encoding.PCM),
        (("--dtype", "float32"), AudioFormat(44_100, 1, SampleFormat.FLOAT32), Encoding.PCM),
        (("--channels", "32"), AudioFormat(44_100, 32), Encoding.PCM),
        (("--samplerate", "1048575"), AudioFormat(1_048_575, 1), Encoding.PCM),
    ],
)
def test_formats(
    phonobase: Program, options: tuple[str, ...], audio_format: AudioFormat, encoding: Encoding
) -> None:
    """Every format can be asked for, and is FLAC where FLAC can hold it."""
    phonobase(*TONE, "--duration", "0.1", *options).ok()

    assert (phonobase.one().format, phonobase.one().encoding) == (audio_format, encoding)


def test_chunk_says_how_much_is_committed_at_once(phonobase: Program) -> None:
    """With half a second a chunk, four seconds are at least seven chunks."""
    phonobase(*TONE, "--duration", "4", "--chunk", "0.5").ok()

    assert phonobase.one().chunk_count in (7, 8)


def test_a_file_is_recorded(phonobase: Program, folder: Path) -> None:
    """A file brings its own format, and comes back as the samples it held."""
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, (30_000, 2), dtype=np.int16)
    soundfile.write(folder / "noise.wav", samples, 32_000)

    phonobase("record", "--input", "noise.wav").ok()

    recording = phonobase.one()
    assert recording.format == AudioFormat(32_000, 2)
    assert recording.capture["file"] == "noise.wav"
    assert phonobase.pcm(recording) == samples.tobytes()


def test_wav_is_recorded_from_a_pipe(phonobase: Program) -> None:
    """What ffmpeg writes to a pipe needs no options: its header has the format and no length."""
    wav = _sine("-f", "wav")

    said = phonobase.call("record", "--input", "-", stdin=wav).ok()

    recording = phonobase.one()
    assert said.text == recording.id.hex
    assert recording.format == AudioFormat(48_000, 2)
    assert phonobase.pcm(recording) == wav[-384_000:]


def test_raw_pcm_is_recorded_from_a_pipe(phonobase: Program) -> None:
    """Raw PCM needs rate, channels and sample format."""
    pcm = _sine("-f", "s16le")

    described = ("--samplerate", "48000", "--channels", "2", "--dtype", "int16")
    phonobase.call("record", "--input", "-", *described, stdin=pcm).ok()

    assert phonobase.pcm(phonobase.one()) == pcm


def test_a_duration_ends_a_pipe(phonobase: Program) -> None:
    """What comes behind the duration is left in the pipe."""
    phonobase.call("record", "--input", "-", "--duration", "0.5", stdin=_sine("-f", "wav")).ok()

    recording = phonobase.one()
    assert (recording.frame_count, recording.state) == (24_000, State.COMPLETE)


def test_a_pipe_that_breaks_off_is_kept(phonobase: Program, folder: Path) -> None:
    """What came of a stream that breaks off is kept, marked interrupted, and the call fails in one line."""
    wav = folder / "whole.wav"
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, (48_000, 1), dtype=np.int16)
    soundfile.write(wav, samples, 48_000)

    said = phonobase.call("record", "--input", "-", stdin=wav.read_bytes()[: 44 + 40_000])

    said.failed("standard input ended after 40000 of the 96000 bytes")
    recording = phonobase.one()
    assert said.text == recording.id.hex
    assert recording.state is State.INTERRUPTED
    assert phonobase.pcm(recording) == samples[:20_000].tobytes()
    phonobase("verify").ok()


def test_time_passes_while_a_tone_is_recorded(phonobase: Program) -> None:
    """A tone is heard in real time: recording it takes as long as it lasts."""
    phonobase("record", "--input", "tone", "--duration", "1").ok()

    recording = phonobase.one()
    assert recording.capture["paced"] == "real time"
    assert (recording.committed_at - recording.started_at).total_seconds() >= 1


def test_without_a_terminal_progress_is_plain_lines(
    phonobase: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log gets a line now and then, with the time and the level and nothing that only a terminal reads."""
    monkeypatch.setattr(meter, "_LINE_EVERY_S", 0.25)

    said = phonobase("record", "--input", "tone", "--duration", "1").ok()

    first, *between, last = said.err.splitlines()
    assert first.startswith("recording default from tone")
    assert last == "complete: 0:00:01.000 (44100 frames, 1 chunk)"
    assert set(between) <= {"0:00:00  -12.0 dBFS peak", "0:00:01  -12.0 dBFS peak"}
    assert between
    assert "\x1b" not in said.err


@pytest.mark.parametrize("before", [True, False])
def test_the_archive_is_named_before_or_behind_the_command(
    phonobase: Program, folder: Path, *, before: bool
) -> None:
    """``--db`` stands anywhere in a call, and goes before PHONOBASE_DB."""
    named = ("--db", f"sqlite:///{folder / 'other.db'}")
    call = (*TONE, "--duration", "0.1")

    phonobase(*(*named, *call) if before else (*call, *named)).ok()

    assert phonobase.recordings() == []
    with Archive(f"sqlite:///{folder / 'other.db'}", create=False) as archive:
        assert len(archive.find()) == 1


def test_without_a_name_the_archive_is_in_this_folder(folder: Path, phonobase: Program) -> None:
    """With neither ``--db`` nor PHONOBASE_DB it is phonobase.db."""
    phonobase.env = {}

    phonobase(*TONE, "--duration", "0.1").ok()

    assert [path.name for path in folder.iterdir()] == ["phonobase.db"]


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_where_an_error_comes_from(phonobase: Program, *, before: bool) -> None:
    """``--debug`` stands anywhere in a call; the traceback ends with the error."""
    call = ("show", "last")

    said = phonobase.call(*("--debug", *call) if before else (*call, "--debug"))

    assert said.code == 1
    assert said.err.startswith("Traceback")
    assert "DatabaseUnavailable: there is no archive" in said.err.splitlines()[-1]


def test_a_device_is_recorded(phonobase: Program, own_sound: SoundServer) -> None:
    """From a real input exactly so many frames are recorded; a part of its name finds a device."""
    phonobase.env |= own_sound.env
    devices = phonobase.call("devices", "--json").ok().json
    assert [device["name"] for device in devices if device["is_default"]] == ["default"]
    assert "sound input: default" in phonobase.call("doctor").ok().text

    phonobase.call("record", "--duration", "0.75").ok()
    phonobase.call("record", "--duration", "0.5", "--device", "PULSE", "--channels", "2").ok()

    default, named = phonobase.recordings()
    assert (default.frame_count, default.format) == (33_075, AudioFormat(44_100, 1))
    assert (named.frame_count, named.format) == (22_050, AudioFormat(44_100, 2))
    assert (default.capture["device"], named.capture["device"]) == ("default", "pulse")


def test_nothing_but_quiet_is_no_error(phonobase: Program) -> None:
    """With a trigger that nothing reached all is well, and the quiet is listed."""
    said = phonobase("record", "--input", "tone", "--trigger", "-6dBFS", "--duration", "2").ok()

    assert "nothing was to be recorded" in said.err
    assert said.out == b""
    (gap,) = phonobase("gaps", "--source", "default", "--json").ok().json
    assert (gap["cause"], gap["seconds"]) == ("quiet", 2.0)


def test_the_archive_is_removed_while_recording(phonobase: Program) -> None:
    """What is written to a file without a name is lost at the end, so the recorder says so and ends."""
    process = phonobase.start("record", "--input", "tone", "--chunk", "0.2s")
    file = phonobase.folder / phonobase.url.removeprefix("sqlite:///")
    wait_until(lambda: bool(phonobase.recordings()))

    file.unlink()

    finished(process).failed("removed or replaced", "restart the recorder")
