from __future__ import annotations

import io
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonobase.audio import flac
from phonobase.audio.renumber import renumbered, split
from phonobase.errors import CorruptRecording
from phonobase.pcm import AudioFormat, SampleFormat
from tests.store.judge import frames_of, random_pcm
from tests.support.require import require

LAST_NUMBER = 2**31 - 1
DECODE = [require("flac"), "-d", "-s", "-c", "--force-raw-format", "--endian=little", "--sign=signed"]

FORMATS = [
    AudioFormat(rate, channels, SampleFormat(dtype))
    for dtype in ("int16", "int24")
    for rate, channels in ((48_000, 1), (44_100, 2), (65_535, 3), (100, 1), (655_350, 8))
]


def _packets(form: AudioFormat, frames: int) -> list[bytes]:
    """Encodes noise: the last packet is shorter than the others."""
    pcm = random_pcm(frames, form.channels, str(form.sample_format))
    encoder = flac.FlacEncoder(form)
    packets = [*encoder.write(frames_of(pcm, form.channels, str(form.sample_format))), *encoder.finish()]
    return [packet.data for packet in packets]


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("rest", [1, 200, 4_095])
def test_frames_are_told_apart_as_they_were_encoded(form: AudioFormat, rest: int) -> None:
    """Whatever the header says of rate and size, a stream is split where the encoder's packets end."""
    packets = _packets(form, 3 * 4096 + rest)

    assert list(split(io.BytesIO(b"".join(packets)).read, 0)) == packets
    assert list(split(io.BytesIO(b"".join(packets[2:])).read, 2)) == packets[2:]


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_the_decoder_finds_nothing_wrong_with_other_numbers(form: AudioFormat) -> None:
    """LibFLAC checks both checksums of every frame: the sound under other numbers is the same."""
    packets = _packets(form, 3 * 4096 + 5)
    for first in (1, 126, 2_046, 65_534, 2**21 - 2, 2**26 - 1, LAST_NUMBER - 3):
        moved = [renumbered(packet, number, first + number) for number, packet in enumerate(packets)]
        assert moved != packets
        back = [renumbered(packet, first + number, number) for number, packet in enumerate(moved)]
        assert back == packets
        assert list(split(io.BytesIO(b"".join(moved)).read, first)) == moved
        stream = flac.header(form, 3 * 4096 + 5) + b"".join(moved)
        done = subprocess.run([*DECODE, "-"], input=stream, capture_output=True, check=True)
        assert done.stdout == random_pcm(3 * 4096 + 5, form.channels, str(form.sample_format))


def test_sound_that_looks_like_a_header_ends_no_frame() -> None:
    """Noise is stored as it is, and in each packet's there is the header of the next, checksum and all."""
    form = AudioFormat(44_100, 1)
    noise = frames_of(random_pcm(4 * 4096, 1, "int16"), 1, "int16").copy()
    plain = _packets(form, 4 * 4096)
    for number in range(3):
        planted = plain[number + 1][:6]
        assert planted[:2] == b"\xff\xf8"
        noise[4096 * number + 1_000 : 4096 * number + 1_003, 0] = np.frombuffer(planted, ">i2")
    encoder = flac.FlacEncoder(form)
    packets = [packet.data for packet in [*encoder.write(noise), *encoder.finish()]]
    assert all(plain[number + 1][:6] in packets[number] for number in range(3))

    assert list(split(io.BytesIO(b"".join(packets)).read, 0)) == packets
    assert list(split(io.BytesIO(b"".join(packets[1:])).read, 1)) == packets[1:]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, LAST_NUMBER), st.integers(0, LAST_NUMBER), st.integers(0, LAST_NUMBER))
def test_numbers_leave_no_trace(first: int, second: int, third: int) -> None:
    """By way of another number or directly, a frame becomes the same."""
    (packet,) = _packets(AudioFormat(8_000, 1), 100)
    one = renumbered(packet, 0, first)

    assert renumbered(renumbered(one, first, second), second, third) == renumbered(one, first, third)
    assert renumbered(one, first, 0) == packet


@pytest.mark.parametrize("place", [0, 1, 3, 4, 5])
def test_what_is_no_frame_is_refused(place: int) -> None:
    """A byte that is changed in a header shows: in the first, or because the frame before does not end."""
    packets = _packets(AudioFormat(8_000, 1), 3 * 4096)
    data = bytearray(packets[0])
    data[place] ^= 0x40

    with pytest.raises(CorruptRecording, match="FLAC frame 0 does not begin or end where it should"):
        list(split(io.BytesIO(bytes(data)).read, 0))
    with pytest.raises(CorruptRecording, match="FLAC frame 1 does not"):
        list(split(io.BytesIO(packets[0]).read, 1))


def test_a_stream_without_frames_ends_the_search() -> None:
    """What goes on and never begins a frame is refused before it fills the memory."""
    reads = 0

    def read(count: int) -> bytes:
        nonlocal reads
        reads += 1
        return bytes(count)

    with pytest.raises(CorruptRecording, match="FLAC frame 0 does not begin or end"):
        list(split(read, 0))
    assert reads < 100
