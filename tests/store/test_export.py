from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import soundfile
import wavinfo

from phonobase import Archive
from phonobase.audio.kinds import Kind
from phonobase.audio.labels import Label
from phonobase.errors import CorruptRecording, UnsupportedFormat
from phonobase.store.export import write_take
from phonobase.store.take import Silence, Sound, Take
from tests.recorder.peak import PROGRAM_SAYING_ITS_PEAK
from tests.store.judge import Raw, checks_md5, ffmpeg_pcm, flac_pcm, frames_of, random_pcm
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phonobase import Recording

PACKET = 4096
RATE = 8_000
FRAMES = 20 * PACKET + 1_234
START = datetime(2026, 3, 1, 23, 59, 58, 250_000, tzinfo=UTC)
PCM = random_pcm(FRAMES, 1, "int16")
SAMPLES = frames_of(PCM, 1, "int16")


class Stored(NamedTuple):
    """How sound is stored; PCM is that of its frames."""

    dtype: str
    channels: int
    encoding: str
    rate: int = 48_000


LOSSLESS = [
    Stored("int16", 1, "flac"),
    Stored("int24", 2, "flac", 655_350),
    Stored("int16", 2, "pcm", 1),
    Stored("int24", 1, "pcm", 44_100),
    Stored("int32", 3, "pcm"),
    Stored("float32", 2, "pcm", 96_000),
]


def _recorded(archive: Archive, chunk_seconds: float = 1.0) -> Recording:
    """Stores noise in chunks of two packets."""
    with archive.writer(RATE, chunk_seconds=chunk_seconds, source="desk", started_at=START) as writer:
        writer.write(SAMPLES)
    return archive.get(writer.id)


def _part(recording: Recording, first: int, end: int) -> Take:
    moment = recording.started_at + timedelta(microseconds=recording.format.microseconds(first))
    return Take(recording.source, recording.format, moment, (Sound(recording, first, end - first),))


def _written(archive: Archive, take: Take, path: Path, labels: Sequence[Label] = ()) -> Path:
    kind = Kind.named(path.suffix)
    assert kind is not None
    with path.open("wb") as out:
        write_take(archive, take, kind, out, labels=labels)
    return path


def _probe(path: Path, *entries: str) -> Any:  # noqa: ANN401 - whatever ffprobe says
    command = [require("ffprobe"), "-v", "error", "-of", "json", *entries, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("stored", LOSSLESS, ids=str)
@pytest.mark.parametrize("suffix", [".flac", ".wav", ".bwf"])
def test_a_take_is_in_its_file_sample_by_sample(
    shared_archive: Archive, stored: Stored, suffix: str, tmp_path: Path
) -> None:
    """Sound, silence, other sound: ffmpeg decodes just these from every kind of file, at every format."""
    rate, channels, dtype = stored.rate, stored.channels, stored.dtype
    pcms = [random_pcm(3 * PACKET + 7, channels, dtype, seed) for seed in (1, 2)]
    one, other = (
        shared_archive.add(pcm, rate, channels, dtype, encoding=stored.encoding, started_at=START)
        for pcm in pcms
    )
    parts = (Sound(one, 5, 4_000), Silence(1_000), Sound(other, PACKET, 2 * PACKET + 7))
    take = Take("desk", one.format, START, parts)
    path = tmp_path / f"take{suffix}"
    if suffix == ".flac" and dtype not in ("int16", "int24"):
        with pytest.raises(
            UnsupportedFormat, match=r"which FLAC cannot hold; name a file that ends in \.wav"
        ):
            _written(shared_archive, take, path)
        return

    _written(shared_archive, take, path)

    width = one.format.frame_bytes
    wanted = pcms[0][5 * width : 4_005 * width] + bytes(1_000 * width) + pcms[1][PACKET * width :]
    assert ffmpeg_pcm(path, dtype) == wanted
    if suffix == ".flac":
        assert checks_md5(path)
        assert flac_pcm(path) == wanted
    else:
        with soundfile.SoundFile(path) as file:
            assert (file.frames, file.samplerate, file.channels) == (len(wanted) // width, rate, channels)


@pytest.mark.parametrize(
    ("first", "end"),
    [
        (0, 2 * PACKET),
        (2 * PACKET, 8 * PACKET),
        (3 * PACKET, 4 * PACKET),
        (5 * PACKET, FRAMES),
        (0, FRAMES),
    ],
)
def test_stored_flac_is_copied(archive: Archive, tmp_path: Path, first: int, end: int) -> None:
    """Where the ends are those of FLAC frames, these are not encoded anew: their bodies are stored ones."""
    recording = _recorded(archive)
    stored = archive.open(recording.id).read()

    path = _written(archive, _part(recording, first, end), tmp_path / "cut.flac")

    assert flac_pcm(path) == ffmpeg_pcm(path, "int16") == PCM[first * 2 : end * 2]
    assert checks_md5(path)
    cut = path.read_bytes()
    # White noise does not compress: half a packet from within each frame is surely in its body.
    middles = range(len(cut) // (2 * (end - first)), len(cut) - 2 * PACKET, 2 * PACKET)
    assert all(cut[place + 3_000 : place + 5_000] in stored for place in middles)


def test_a_whole_recording_keeps_its_header(archive: Archive) -> None:
    """It goes out byte for byte as it is stored."""
    recording, out = _recorded(archive), io.BytesIO()

    write_take(archive, Take.of(recording), Kind.FLAC, out)

    assert out.getvalue() == archive.open(recording.id).read()


def test_players_find_their_place_in_copied_flac(archive: Archive, tmp_path: Path) -> None:
    """A file that begins in the middle of a recording begins at zero, and flac seeks in it."""
    recording = _recorded(archive)
    path = _written(archive, _part(recording, 8 * PACKET, 18 * PACKET), tmp_path / "cut.flac")

    assert _probe(path, "-show_entries", "format=start_time,duration")["format"] == {
        "start_time": "0.000000",
        "duration": "5.120000",
    }
    command = [require("flac"), "-d", "-s", "-c", "--skip=30000", "--force-raw-format"]
    skipped = subprocess.run(
        [*command, "--endian=little", "--sign=signed", path], capture_output=True, check=True
    )
    assert skipped.stdout == PCM[(8 * PACKET + 30_000) * 2 : 18 * PACKET * 2]


def test_flac_to_a_pipe_has_no_md5_and_the_right_length(archive: Archive, tmp_path: Path) -> None:
    """Where the beginning cannot be written again, everything but the MD5 is right from the start."""
    recording = _recorded(archive)
    reading, writing = os.pipe()
    with (
        subprocess.Popen(
            [require("flac"), "-d", "-s", "-o", tmp_path / "out.wav", "-"], stdin=reading
        ) as flac,
        open(writing, "wb") as out,  # noqa: PTH123 - a pipe has no path
    ):
        os.close(reading)
        write_take(archive, _part(recording, 100, 50_000), Kind.FLAC, out)
    assert flac.returncode == 0
    assert ffmpeg_pcm(tmp_path / "out.wav", "int16") == PCM[200:100_000]


@pytest.mark.parametrize("moved_us", [0, 125_000, 1_749_999, 1_750_000, 3_600_000_000])
def test_a_broadcast_wave_says_when(archive: Archive, tmp_path: Path, moved_us: int) -> None:
    """Wavinfo and ffprobe read who made it, which recording it is, and UTC, around midnight, to the frame."""
    began = START + timedelta(microseconds=moved_us)
    take = Take.of(archive.add(PCM[:2_000], RATE, source="Büro 3", started_at=began))
    (recording,) = (sound.recording for sound in take.sounds)

    path = _written(archive, take, tmp_path / "clip.bwf")

    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    reference = round((began - midnight) / timedelta(seconds=1) * RATE)
    found = wavinfo.WavInfoReader(str(path)).bext
    assert (found.originator, found.originator_ref) == ("phonobase", recording.id.hex)
    assert (found.originator_date, found.originator_time) == (f"{began:%Y-%m-%d}", f"{began:%H:%M:%S}")
    assert (found.time_reference, found.version) == (reference, 1)
    assert found.description == f"B?ro 3, {began.isoformat(timespec='microseconds')}"
    assert found.coding_history == "A=PCM,F=8000,W=16,M=mono,T=phonobase\r\n"
    tags = _probe(path, "-show_entries", "format_tags")["format"]["tags"]
    assert tags["originator_reference"] == recording.id.hex
    assert int(tags["time_reference"]) == reference
    assert (tags["date"], tags["creation_time"]) == (f"{began:%Y-%m-%d}", f"{began:%H:%M:%S}")


@pytest.mark.parametrize(("channels", "rate"), [(1, 8_000), (2, 48_000), (2, 44_100), (5, 22_050), (1, 3)])
def test_opus_is_for_ears(shared_archive: Archive, tmp_path: Path, channels: int, rate: int) -> None:
    """It sounds as it was recorded, for as long, at a rate that Opus knows, and ffmpeg reads what it is."""
    seconds = 2 if rate > 3 else 20
    phase = 2 * np.pi * 440 * np.arange(rate * seconds) / rate
    tone = np.repeat((8_000 * np.sin(phase)).astype(np.int16)[:, None], channels, axis=1)
    recording = shared_archive.add(tone.tobytes(), rate, channels, started_at=START, source="Büro")

    path = _written(shared_archive, Take.of(recording), tmp_path / "clip.opus")

    stream = _probe(path, "-show_entries", "stream=codec_name,channels:stream_tags")["streams"][0]
    assert (stream["codec_name"], stream["channels"]) == ("opus", channels)
    tags = {name.lower(): value for name, value in stream["tags"].items()}
    assert (tags["title"], tags["date"]) == ("Büro", START.isoformat(timespec="microseconds"))
    assert recording.id.hex in tags["comment"]
    with soundfile.SoundFile(path) as file:
        assert file.samplerate == (rate if rate == 8_000 else 48_000)
        assert file.frames == pytest.approx(seconds * file.samplerate, abs=1)
        heard = file.read(dtype="float32", always_2d=True)
    if rate > 3:
        middle = heard[file.samplerate // 2 : -file.samplerate // 2]
        assert np.sqrt((middle**2).mean()) == pytest.approx(8_000 / 32_768 / np.sqrt(2), rel=0.02)
        loudest = np.abs(np.fft.rfft(middle[:, 0])).argmax() * file.samplerate / len(middle)
        assert loudest == pytest.approx(440, abs=1)
    assert path.stat().st_size < 60_000 * channels * seconds / 8 + 2_000


def test_opus_refuses_what_it_cannot_hold(shared_archive: Archive, tmp_path: Path) -> None:
    """More than five channels, and labels, are refused in words that say what to do."""
    recording = shared_archive.add(bytes(1_200), RATE, 6)
    with pytest.raises(
        UnsupportedFormat, match=r"6 ch, int16, which OPUS cannot hold; name a file that ends"
    ):
        _written(shared_archive, Take.of(recording), tmp_path / "clip.opus")
    recording = shared_archive.add(bytes(1_800), RATE)
    with pytest.raises(UnsupportedFormat, match="no place for labels; write them to a file of their own"):
        _written(shared_archive, Take.of(recording), tmp_path / "clip.ogg", [Label(0, 1, "note")])


LABELS = [
    Label(0, 0, "note", "Anfang"),
    Label(8_000, 4_000, "speech", "größer als"),
    Label(12_345, 17, "speech"),
]


@pytest.mark.parametrize("suffix", [".wav", ".bwf"])
def test_labels_are_cues_of_a_wav(archive: Archive, tmp_path: Path, suffix: str) -> None:
    """Wavinfo finds each label's place, text and length; the sound behind them is what it was."""
    take = Take.of(_recorded(archive))

    path = _written(archive, take, tmp_path / f"clip{suffix}", LABELS)

    found = wavinfo.WavInfoReader(str(path), info_encoding="utf-8").cues
    cues = [(cue.name, cue.sample_offset, *found.label_and_note(cue.name)[:1]) for cue in found.cues]
    assert cues == [(1, 0, "Anfang"), (2, 8_000, "größer als"), (3, 12_345, "speech")]
    assert [found.range(number) for number in (1, 2, 3)] == [None, 4_000, 17]
    assert ffmpeg_pcm(path, "int16") == PCM


def test_labels_are_chapters_of_a_flac(archive: Archive, tmp_path: Path) -> None:
    """Ffprobe lists a chapter where each label begins; the sound is what it was."""
    path = _written(archive, Take.of(_recorded(archive)), tmp_path / "clip.flac", LABELS)

    chapters = _probe(path, "-show_chapters")["chapters"]
    found = [(float(chapter["start_time"]), chapter["tags"]["title"]) for chapter in chapters]
    assert found == [(0.0, "Anfang"), (1.0, "größer als"), (1.543, "speech")]
    assert checks_md5(path)
    assert flac_pcm(path) == PCM
    with pytest.raises(UnsupportedFormat, match="999 chapters, and there are 1000 labels"):
        _written(archive, Take.of(_recorded(archive)), path, [Label(0, 1, "note")] * 1_000)


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".bwf", ".opus"])
@pytest.mark.parametrize(("first", "end"), [(0, FRAMES), (PACKET, 9 * PACKET), (77, 70_000)])
def test_changed_audio_is_not_exported(
    archive: Archive, raw: Raw, tmp_path: Path, suffix: str, first: int, end: int
) -> None:
    """Whether bytes are copied or samples are: a chunk whose bytes are not those recorded is named."""
    recording = _recorded(archive)
    data = bytearray(raw.value("SELECT data FROM phono_audio WHERE seq = 3"))
    data[5_000] ^= 1
    raw.run("UPDATE phono_audio SET data = ? WHERE seq = 3", bytes(data))

    with pytest.raises(CorruptRecording, match="chunk 3 is not as it was recorded, so it is not exported"):
        _written(archive, _part(recording, first, end), tmp_path / f"cut{suffix}")


# Writes a take of the archive's only recording, over and over, with silence between, to nowhere.
_LONG_TAKE = """
import io, os, sys
from phonobase import Archive
from phonobase.audio.kinds import Kind
from phonobase.store.export import write_take
from phonobase.store.take import Silence, Sound, Take
def main():
    url, kind, seconds = sys.argv[1:]
    with Archive(url) as archive, open(os.devnull, "wb") as out:
        recording = archive.get("last")
        rate, parts = recording.format.sample_rate, []
        for _ in range(int(seconds) // 60):
            parts += [Sound(recording, 100, 59 * rate), Silence(rate)]
        take = Take("desk", recording.format, recording.started_at, tuple(parts))
        write_take(archive, take, Kind(kind), out)
"""


def _peak_kib(url: str, kind: str, seconds: int) -> int:
    program = PROGRAM_SAYING_ITS_PEAK.replace("from phonobase.cli import main\n", _LONG_TAKE)
    done = subprocess.run(
        [sys.executable, "-c", program, url, kind, str(seconds)],
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        check=True,
        text=True,
    )
    return int(done.stderr.split()[-1])


@pytest.mark.parametrize(
    ("kind", "rate", "seconds"), [("flac", 400, 8 * 3_600), ("wav", 400, 8 * 3_600), ("opus", 8_000, 300)]
)
def test_hours_take_no_more_memory_than_a_minute(
    migrated_sqlite_url: str, kind: str, rate: int, seconds: int
) -> None:
    """What a file holds goes through memory bit by bit; Opus takes its time, so it gets fewer minutes."""
    with Archive(migrated_sqlite_url) as archive:
        archive.add(random_pcm(61 * rate, 1, "int16"), rate)

    short, long = (_peak_kib(migrated_sqlite_url, kind, length) for length in (60, seconds))

    print({"60 s": short, f"{seconds} s": long})
    assert long <= 1.05 * short


@pytest.mark.parametrize("rate", [44_100, 11_025, 8_000])
def test_the_time_reference_counts_every_frame(archive: Archive, tmp_path: Path, rate: int) -> None:
    """Files of a recording that follow each other do so by their references, also past midnight."""
    recording = archive.add(PCM, rate, source="desk", started_at=START + timedelta(microseconds=1))
    second_ref = round((86_400 - 1.75 + 1e-6) * rate)

    for first in [*range(1, 40), *range(7 * rate // 4 - 2, 7 * rate // 4 + 3)]:
        path = _written(archive, _part(recording, first, first + 10), tmp_path / "cut.bwf")
        found = wavinfo.WavInfoReader(str(path)).bext
        is_next_day = first * 4 >= 7 * rate
        assert found.originator_date == ("2026-03-02" if is_next_day else "2026-03-01")
        assert found.time_reference == second_ref + first - (86_400 * rate if is_next_day else 0)
