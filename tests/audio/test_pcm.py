from __future__ import annotations

import subprocess
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonobase.errors import InvalidAudio, UnsupportedFormat
from phonobase.pcm import (
    AudioFormat,
    SampleFormat,
    as_frames,
    convert,
    from_bytes,
    parse_sample_format,
    to_bytes,
)
from tests.store.judge import frames_of, pcm_of, random_pcm
from tests.support.require import require

BITS = {"int16": 16, "int24": 24, "int32": 32}
CASES = settings(max_examples=100, deadline=None, derandomize=True)


def _integers(dtype: str) -> st.SearchStrategy[list[int]]:
    bits = BITS[dtype]
    return st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=1, max_size=50)


def _held(values: list[int], dtype: str) -> Any:  # noqa: ANN401 - an array of any dtype
    """Returns integers of so many bits as they travel: 24 bits left-justified in 32."""
    if dtype == "int24":
        values = [value * 256 for value in values]
    return np.array(values, np.int16 if dtype == "int16" else np.int32).reshape(-1, 1)


@pytest.mark.parametrize("dtype", BITS)
@CASES
@given(data=st.data())
def test_integers_rest_as_little_endian_bytes(dtype: str, data: st.DataObject) -> None:
    """Bytes of PCM are the integers themselves, least significant byte first, and back."""
    values = data.draw(_integers(dtype))
    packed = b"".join(value.to_bytes(BITS[dtype] // 8, "little", signed=True) for value in values)
    frames = _held(values, dtype)
    assert to_bytes(frames, SampleFormat(dtype)) == packed
    assert np.array_equal(from_bytes(packed, AudioFormat(8000, 1, SampleFormat(dtype))), frames)


@pytest.mark.parametrize("source", BITS)
@pytest.mark.parametrize("target", BITS)
@CASES
@given(data=st.data())
def test_integers_become_wider_exactly_and_narrower_by_their_high_bits(
    source: str, target: str, data: st.DataObject
) -> None:
    """Widening multiplies by a power of two; narrowing rounds down to one."""
    values = data.draw(_integers(source))
    shift = BITS[target] - BITS[source]
    expected = [value << shift if shift >= 0 else value >> -shift for value in values]
    found = convert(_held(values, source), SampleFormat(source), SampleFormat(target))
    assert np.array_equal(found, _held(expected, target))
    assert found.dtype == SampleFormat(target).dtype


@pytest.mark.parametrize("target", BITS)
@CASES
@given(values=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=50))
def test_floats_are_rounded_to_the_nearest_step_and_clipped(target: str, values: list[float]) -> None:
    """A float becomes the nearest step, the even one of two; what is beyond full scale, its end."""
    scale = 2 ** (BITS[target] - 1)
    expected = [max(-scale, min(scale - 1, round(Fraction(value) * scale))) for value in values]
    frames = np.array(values, np.float32).reshape(-1, 1)
    found = convert(frames, SampleFormat.FLOAT32, SampleFormat(target))
    assert np.array_equal(found, _held(expected, target))


@pytest.mark.parametrize("source", ["int16", "int24"])
@CASES
@given(data=st.data())
def test_a_float_holds_up_to_24_bits_exactly(source: str, data: st.DataObject) -> None:
    """Integers of up to 24 bits go to float and back unchanged, full scale being 1."""
    values = data.draw(_integers(source))
    frames = _held(values, source)
    floats = convert(frames, SampleFormat(source), SampleFormat.FLOAT32)
    assert [Fraction(float(sample)) for sample in floats[:, 0]] == [
        Fraction(value, 2 ** (BITS[source] - 1)) for value in values
    ]
    assert np.array_equal(convert(floats, SampleFormat.FLOAT32, SampleFormat(source)), frames)


@pytest.mark.parametrize("source", BITS)
@pytest.mark.parametrize("target", BITS)
def test_widening_is_what_ffmpeg_does(source: str, target: str) -> None:
    """Where a conversion loses nothing, ffmpeg comes to the same samples."""
    if BITS[target] < BITS[source]:
        target, source = source, target
    pcm = random_pcm(5000, 2, source)
    raw = {name: f"s{bits}le" for name, bits in BITS.items()}
    command = [require("ffmpeg"), "-v", "error", "-f", raw[source], "-ar", "8000", "-ac", "2", "-i", "-"]
    done = subprocess.run([*command, "-f", raw[target], "-"], input=pcm, capture_output=True, check=True)
    converted = convert(frames_of(pcm, 2, source), SampleFormat(source), SampleFormat(target))
    assert pcm_of(converted, target) == done.stdout


@pytest.mark.parametrize("dtype", [*BITS, "float32"])
def test_a_sample_format_knows_its_limits(dtype: str) -> None:
    """Full scale is what 0 dBFS stands for, and the largest value one step below it."""
    sample_format = parse_sample_format(dtype)
    assert sample_format.bits == int(dtype[-2:])
    assert sample_format.byte_width == sample_format.bits // 8
    if dtype == "float32":
        assert (sample_format.full_scale, sample_format.largest) == (1.0, 1.0)
    else:
        ends = frames_of(random_pcm(2, 1, dtype), 1, dtype)
        assert [-sample_format.full_scale, sample_format.largest] == ends[:, 0].tolist()


def test_bytes_that_are_no_whole_frames_are_refused() -> None:
    """Half a frame at the end is named, with what should be checked."""
    with pytest.raises(InvalidAudio, match=r"5 bytes are not a whole number of 4-byte frames.*check"):
        from_bytes(b"12345", AudioFormat(8000, 2))


def test_bits_below_the_24_are_refused() -> None:
    """Right-justified 24-bit samples, which would come out as silence, are refused."""
    form = AudioFormat(8000, 1, SampleFormat.INT24)
    with pytest.raises(UnsupportedFormat, match="left-justify"):
        as_frames(np.array([1, 2, 3], np.int32), form)
    assert as_frames(np.array([256], np.int32), form).tolist() == [[256]]


def test_frames_are_not_copied_where_they_are_right() -> None:
    """An array that already holds frames is passed on as it is."""
    frames = np.zeros((10, 2), np.int16)
    assert as_frames(frames, AudioFormat(8000, 2)) is frames


@given(frames=st.integers(0, 10**12), rate=st.integers(1, 1_048_575))
@CASES
def test_durations_are_rounded_down(frames: int, rate: int) -> None:
    """Frames last as many whole microseconds as fit, without a float on the way."""
    assert AudioFormat(rate, 1).microseconds(frames) == int(Fraction(frames, rate) * 1_000_000)
