from __future__ import annotations

import hashlib
import json
import struct
import subprocess
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import soundfile

from phonobase.audio import chain, flac, wav
from phonobase.audio.cut import Cutter
from phonobase.audio.decode import decode
from phonobase.audio.encoding import Encoding
from phonobase.errors import CorruptRecording, UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat
from tests.store.judge import ffmpeg_pcm, frames_of, pcm_of, random_pcm
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = [
    AudioFormat(rate, channels, SampleFormat(dtype))
    for dtype in ("int16", "int24")
    for rate, channels in ((1, 1), (44_100, 2), (655_350, 8))
]


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_metaflac_reads_what_the_header_says(form: AudioFormat, tmp_path: Path) -> None:
    """Every field of STREAMINFO and every comment is what metaflac finds there."""
    path = tmp_path / "clip.flac"
    md5 = bytes(range(16))
    comments = {"SOURCE": "Büro", "DATE": "2026-03-01T12:00:00.000001+00:00"}
    path.write_bytes(flac.header(form, 2**36 - 1, md5, comments))
    done = subprocess.run(
        [require("metaflac"), "--list", path], capture_output=True, check=True, encoding="utf-8"
    )
    found = dict(line.strip().split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert found["sample_rate"] == f"{form.sample_rate} Hz"
    assert found["channels"] == str(form.channels)
    assert found["bits-per-sample"] == str(form.sample_format.bits)
    assert found["total samples"] == str(2**36 - 1)
    assert found["MD5 signature"] == md5.hex()
    assert found["minimum blocksize"] == found["maximum blocksize"] == "4096 samples"
    assert found["comment[0]"] == "SOURCE=Büro"
    assert found["comment[1]"] == "DATE=2026-03-01T12:00:00.000001+00:00"


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_any_run_of_flac_frames_is_a_file(form: AudioFormat, tmp_path: Path) -> None:
    """Any consecutive packets behind a header of their own are decoded alone, by ffmpeg too."""
    dtype = str(form.sample_format)
    pcm = random_pcm(5 * 4096 + 17, form.channels, dtype)
    encoder = flac.FlacEncoder(form)
    packets = [*encoder.write(frames_of(pcm, form.channels, dtype)), *encoder.finish()]
    assert [packet.frame_count for packet in packets] == [4096] * 5 + [17]
    assert encoder.md5 == hashlib.md5(pcm, usedforsecurity=False).digest()
    width = form.frame_bytes * 4096
    for first in range(6):
        for last in range(first + 1, 7):
            data = b"".join(packet.data for packet in packets[first:last])
            count = sum(packet.frame_count for packet in packets[first:last])
            decoded = decode(data, count, Encoding.FLAC, form)
            assert pcm_of(decoded, dtype) == pcm[first * width : last * width]
    path = tmp_path / "middle.flac"
    path.write_bytes(flac.header(form, 3 * 4096) + b"".join(packet.data for packet in packets[1:4]))
    assert ffmpeg_pcm(path, dtype) == pcm[width : 4 * width]


@pytest.mark.parametrize("count", [1, 4095, 4097, 8192])
def test_flac_of_another_length_does_not_pass(count: int) -> None:
    """A packet that is said to hold another number of frames than it does is refused, not padded."""
    form = AudioFormat(8000, 1)
    encoder = flac.FlacEncoder(form)
    packet, *_ = [*encoder.write(frames_of(random_pcm(4096, 1, "int16"), 1, "int16")), *encoder.finish()]
    if count < 4096:
        # fewer frames than are there: what is given back must still be the first of them
        pcm = pcm_of(decode(packet.data, count, Encoding.FLAC, form), "int16")
        assert pcm == random_pcm(4096, 1, "int16")[: 2 * count]
        return
    with pytest.raises(CorruptRecording):
        decode(packet.data, count, Encoding.FLAC, form)


@pytest.mark.parametrize("data", [b"", b"fLaC", bytes(100), b"\xff\xf8" + bytes(100)])
@pytest.mark.parametrize("encoding", list(Encoding))
def test_rubbish_does_not_decode(data: bytes, encoding: Encoding) -> None:
    """Bytes that are no sound are refused as corrupt."""
    with pytest.raises(CorruptRecording):
        decode(data, 777, encoding, AudioFormat(8000, 1))


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (AudioFormat(8000, 9), "9 channels"),
        (AudioFormat(65_537, 1), "a sample rate of 65537 Hz"),
        (AudioFormat(655_351, 1), "a sample rate of 655351 Hz"),
        (AudioFormat(8000, 1, SampleFormat.INT32), "int32 samples"),
        (AudioFormat(8000, 1, SampleFormat.FLOAT32), "float32 samples"),
    ],
    ids=str,
)
def test_an_encoder_refuses_what_it_would_spoil(form: AudioFormat, reason: str) -> None:
    """FLAC says at once what it cannot hold."""
    with pytest.raises(UnsupportedFormat, match=f"FLAC cannot hold {reason}"):
        flac.FlacEncoder(form)


_4_GIB = 2**32


@pytest.mark.parametrize(
    ("dtype", "channels"), [("int16", 1), ("int16", 2), ("int24", 3), ("int32", 32), ("float32", 8)]
)
@pytest.mark.parametrize("beyond", [False, True], ids=["below", "beyond"])
def test_a_header_around_4_gib(tmp_path: Path, dtype: str, channels: int, beyond: bool) -> None:  # noqa: FBT001
    """A WAV file of almost 4 GiB is RIFF and one of more is RF64; any reader finds their length."""
    form = AudioFormat(48_000, channels, SampleFormat(dtype))
    frames = (_4_GIB - 200) // form.frame_bytes + (1000 if beyond else 0)
    header = wav.header(form, frames)
    assert header[:4] == (b"RF64" if beyond else b"RIFF")
    assert len(header) == len(wav.header(form, 0))
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + frames * form.frame_bytes)  # sparse: silence takes no room
    with soundfile.SoundFile(path) as sound:
        assert (sound.frames, sound.samplerate, sound.channels) == (frames, 48_000, channels)
        sound.seek(frames - 1)
        assert len(sound.read()) == 1
    shown = subprocess.run(
        [require("ffprobe"), "-v", "error", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    (stream,) = json.loads(shown.stdout)["streams"]
    assert (int(stream["duration_ts"]), int(stream["channels"])) == (frames, channels)
    assert (stream["sample_rate"], int(stream["bits_per_sample"])) == ("48000", form.sample_format.bits)


def test_the_riff_limit_is_exact() -> None:
    """The last size that 32 bits hold is RIFF; one frame more is RF64, and says the true sizes."""
    form = AudioFormat(8000, 1)
    overhead = len(wav.header(form, 0)) - 8
    most = (2**32 - 1 - overhead) // 2
    fits = wav.header(form, most)
    assert (fits[:4], struct.unpack("<I", fits[4:8])) == (b"RIFF", (overhead + 2 * most,))
    over = wav.header(form, most + 1)
    assert over[:8] == b"RF64\xff\xff\xff\xff"
    assert struct.unpack("<QQQ", over[20:44]) == (overhead + 2 * most + 2, 2 * most + 2, most + 1)


def test_a_chain_is_what_its_formula_says() -> None:
    """Genesis and links are the SHA-256 of exactly what is written down, in that order."""
    recording_id = UUID("01958b5e-1234-7abc-8def-0123456789ab")
    genesis = chain.genesis(
        recording_id,
        1_772_366_400_123_456,
        AudioFormat(44_100, 2, SampleFormat.INT24),
        Encoding.FLAC,
        "Büro",
    )
    text = (
        "phonobase-chain-1\n01958b5e12347abc8def0123456789ab\n1772366400123456\n44100\n2\nint24\nflac\nBüro"
    )
    assert genesis == hashlib.sha256(text.encode()).digest()
    sha256 = hashlib.sha256(b"audio").digest()
    rest = (3).to_bytes(8, "big") + (2**40).to_bytes(8, "big") + (96_000).to_bytes(8, "big") + sha256
    assert chain.link(genesis, 3, 2**40, 96_000, sha256) == hashlib.sha256(genesis + rest).digest()


@pytest.mark.parametrize("encoding", list(Encoding))
def test_the_time_of_a_cut_is_that_of_its_first_frame(encoding: Encoding) -> None:
    """A cut that begins within a block has the block's time plus the frames before it."""
    cutter = Cutter(AudioFormat(1000, 1), encoding, 4096)
    samples = frames_of(random_pcm(10_000, 1, "int16"), 1, "int16")
    cuts = [
        *cutter.write(samples[:5000], 1_000_000),
        *cutter.write(samples[5000:7000]),
        *cutter.write(samples[7000:], 99_000_000),
        *cutter.finish(),
    ]
    assert [len(cut.frames) for cut in cuts] == [4096, 4096, 1808]
    assert [cut.captured_at_us for cut in cuts] == [
        1_000_000,
        1_000_000 + 4_096_000,
        99_000_000 + 1_192_000,
    ]
    assert b"".join(pcm_of(cut.frames, "int16") for cut in cuts) == pcm_of(samples, "int16")
