from __future__ import annotations

import math
import re
import subprocess
from functools import reduce
from operator import add

import numpy as np
import pytest

from phonobase.audio.level import SILENCE_DBFS, Level, dbfs, from_dbfs, measure
from phonobase.audio.peaks import FRAMES_PER_POINT, envelope, points
from phonobase.pcm import SampleFormat
from tests.store.judge import frames_of, pcm_of, random_pcm
from tests.support.require import require

RAW = {"int16": "s16le", "int24": "s24le", "int32": "s32le", "float32": "f32le"}


def _astats(pcm: bytes, channels: int, dtype: str) -> dict[str, float]:
    """Returns what ffmpeg measures over all channels."""
    command = [require("ffmpeg"), "-hide_banner", "-f", RAW[dtype], "-ar", "8000", "-ac", str(channels)]
    # In floats: of 16-bit samples it would take 32767 for full scale.
    output = ["-af", "aformat=sample_fmts=dbl,astats=measure_perchannel=none", "-f", "null", "-"]
    done = subprocess.run([*command, "-i", "-", *output], input=pcm, capture_output=True, check=True)
    found = re.findall(r"(Peak level dB|RMS level dB): (\S+)", done.stderr.decode())
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("dtype", RAW)
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("quiet", [False, True])
def test_levels_are_those_that_ffmpeg_measures(dtype: str, channels: int, quiet: bool) -> None:  # noqa: FBT001
    """Peak and RMS agree with ffmpeg's astats to the digits that it prints."""
    frames = frames_of(random_pcm(6000, channels, dtype), channels, dtype)
    if quiet:
        step = 256 if dtype == "int24" else 1
        frames = frames / np.float32(128) if dtype == "float32" else frames // 128 // step * step
    pcm = pcm_of(frames, dtype)
    level = measure(frames_of(pcm, channels, dtype), SampleFormat(dtype))
    expected = _astats(pcm, channels, dtype)
    assert level.peak_dbfs == pytest.approx(expected["Peak level dB"], abs=2e-6)
    assert level.rms_dbfs == pytest.approx(expected["RMS level dB"], abs=2e-6)


def test_a_sine_is_3_db_below_its_peak() -> None:
    """A full-scale sine has a peak of 0 dBFS and an RMS of -3.01 dBFS."""
    sine = np.sin(np.arange(48_000) * 2 * np.pi * 1000 / 48_000).astype(np.float32).reshape(-1, 1)
    level = measure(sine, SampleFormat.FLOAT32)
    assert level.peak_dbfs == pytest.approx(0, abs=1e-6)
    assert level.rms_dbfs == pytest.approx(-10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("dtype", RAW)
def test_levels_of_pieces_add_up(dtype: str) -> None:
    """The levels of any pieces, added, are the level of the whole."""
    frames = frames_of(random_pcm(9000, 3, dtype), 3, dtype)
    pieces = [measure(piece, SampleFormat(dtype)) for piece in np.split(frames, [0, 1, 4096, 8999])]
    whole, total = measure(frames, SampleFormat(dtype)), reduce(add, pieces, Level())
    assert (total.sample_count, total.peak, total.clipped_frames) == (
        whole.sample_count,
        whole.peak,
        whole.clipped_frames,
    )
    assert total.energy == pytest.approx(whole.energy, rel=1e-12)


def test_silence_has_no_level() -> None:
    """Digital silence, and no sound at all, are minus infinity."""
    for frames in (np.zeros((100, 2), np.int16), np.zeros((0, 2), np.int16)):
        level = measure(frames, SampleFormat.INT16)
        assert (level.peak_dbfs, level.rms_dbfs, level.clipped_frames) == (SILENCE_DBFS, SILENCE_DBFS, 0)


@pytest.mark.parametrize(
    ("dtype", "samples", "clipped"),
    [
        ("int16", [[32767, 0], [-32768, 32767], [32766, -32767], [0, 0]], 2),
        ("int24", [[(2**23 - 1) * 256, 0], [-(2**31), 0], [(2**23 - 2) * 256, 0]], 2),
        ("int32", [[2**31 - 1, 0], [-(2**31), 0], [2**31 - 2, 0]], 2),
        ("float32", [[1.0, 0], [-1.0, 0], [1.5, 0], [0.9999999, 0]], 3),
    ],
)
def test_clipped_frames_are_counted(dtype: str, samples: list[list[float]], clipped: int) -> None:
    """A frame counts once, however many of its samples stand at the end of the scale."""
    frames = np.array(samples, SampleFormat(dtype).dtype)
    assert measure(frames, SampleFormat(dtype)).clipped_frames == clipped


def test_decibels_and_amplitudes() -> None:
    """Half the amplitude is 6.02 dB less, and back."""
    assert dbfs(0.5) == pytest.approx(-6.0206, abs=1e-4)
    assert dbfs(0) == -math.inf
    assert from_dbfs(dbfs(0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize("dtype", RAW)
@pytest.mark.parametrize("count", [1, 511, 512, 513, 5000])
def test_the_outline_is_that_of_a_loop(dtype: str, count: int) -> None:
    """For each 512 frames and channel: the minimum rounded down, the maximum up, in 128ths of full scale."""
    channels = 3
    frames = frames_of(random_pcm(count, channels, dtype), channels, dtype)
    full_scale = 1.0 if dtype == "float32" else 2.0**15 if dtype == "int16" else 2.0**31
    expected = []
    for first in range(0, count, FRAMES_PER_POINT):
        for channel in range(channels):
            values = [float(row[channel]) / full_scale for row in frames[first : first + FRAMES_PER_POINT]]
            expected += [math.floor(min(values) * 128), math.ceil(max(values) * 128)]
    made = envelope(frames, SampleFormat(dtype))
    assert np.frombuffer(made, np.int8).tolist() == [max(-128, min(127, value)) for value in expected]
    assert points(made, channels).shape == (math.ceil(count / 512), channels, 2)


def test_the_least_sound_does_not_look_silent() -> None:
    """One step of an otherwise silent second shows in the outline."""
    frames = np.zeros((1024, 1), np.int16)
    frames[700] = 1
    frames[800] = -1
    assert points(envelope(frames, SampleFormat.INT16), 1).tolist() == [[[0, 0]], [[-1, 1]]]
