import io
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonobase.capture import PipeInput
from phonobase.errors import PhonobaseError, TruncatedAudio
from phonobase.pcm import AudioFormat, SampleFormat, from_bytes


class Dribble(io.BytesIO):
    """A stream that hands out as many bytes at a time as it likes."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = sizes
        self._reads = 0

    def read1(self, size: int | None = -1) -> bytes:
        """Returns the next few bytes."""
        self._reads += 1
        return super().read1(min(self._sizes[self._reads % len(self._sizes)], size or 0))


formats = st.builds(
    AudioFormat, st.integers(1, 1_048_575), st.integers(1, 32), st.sampled_from(list(SampleFormat))
)
sizes = st.lists(st.integers(1, 5000), min_size=1, max_size=5)
others = st.lists(
    st.tuples(st.sampled_from([b"LIST", b"bext", b"JUNK", b"id3 ", b"fact"]), st.binary(max_size=99))
)


def _fmt(audio_format: AudioFormat, *, extensible: bool) -> bytes:
    tag = 3 if audio_format.sample_format is SampleFormat.FLOAT32 else 1
    bits = audio_format.sample_format.bits
    body = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else tag,
        audio_format.channels,
        audio_format.sample_rate,
        (audio_format.sample_rate * audio_format.frame_bytes) & 0xFFFFFFFF,
        audio_format.frame_bytes,
        bits,
    )
    if extensible:
        body += struct.pack("<HHIH", 22, bits, 0, tag)
        body += bytes.fromhex("000000001000800000aa00389b71")
    return b"fmt " + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _sound(audio_format: AudioFormat, frames: int, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    if audio_format.sample_format is SampleFormat.FLOAT32:
        return random.uniform(-1, 1, frames * audio_format.channels).astype("<f4").tobytes()
    return random.bytes(frames * audio_format.frame_bytes)


@settings(deadline=None)  # a thread may be slow to start on a busy machine
@given(
    audio_format=formats,
    before=others,
    between=others,
    behind=st.binary(max_size=99),
    frames=st.integers(1, 500),
    seed=st.integers(0, 9),
    sizes=sizes,
    extensible=st.booleans(),
    kind=st.sampled_from(["known", 0, 0xFFFFFFFF, "RF64"]),
)
def test_wav_is_heard_whatever_stands_around_the_sound(
    audio_format: AudioFormat,
    before: list[tuple[bytes, bytes]],
    between: list[tuple[bytes, bytes]],
    behind: bytes,
    frames: int,
    seed: int,
    sizes: list[int],
    extensible: bool,  # noqa: FBT001 - hypothesis gives it
    kind: str | int,
) -> None:
    """Other chunks of odd sizes, reads of any size and every way to say the length change nothing."""
    sound = _sound(audio_format, frames, seed)
    size = kind if isinstance(kind, int) else 0xFFFFFFFF if kind == "RF64" else len(sound)
    start = (b"RF64" if kind == "RF64" else b"RIFF") + struct.pack("<I", 0xFFFFFFFF) + b"WAVE"
    if kind == "RF64":
        start += _chunk(b"ds64", struct.pack("<QQQI", 0, len(sound), frames, 0))
    content = b"".join(
        [
            start,
            *(_chunk(*other) for other in before),
            _fmt(audio_format, extensible=extensible),
            *(_chunk(*other) for other in between),
            b"data" + struct.pack("<I", size) + sound,
            b"" if isinstance(kind, int) else behind,
        ]
    )
    source = PipeInput(Dribble(content, sizes))
    heard = np.concatenate([block.frames for block in source.blocks()])
    assert source.format == audio_format
    assert source.frame_count == (None if isinstance(kind, int) else frames)
    assert heard.tobytes() == from_bytes(sound, audio_format).tobytes()


@settings(deadline=None)  # a thread may be slow to start on a busy machine
@given(audio_format=formats, frames=st.integers(1, 100), cut=st.integers(1, 5000), sizes=sizes)
def test_wherever_a_wav_is_cut_its_whole_frames_are_heard(
    audio_format: AudioFormat, frames: int, cut: int, sizes: list[int]
) -> None:
    """A cut in the header or in the sound is TruncatedAudio, after every whole frame before it."""
    sound = _sound(audio_format, frames, 1)
    header = b"RIFF\xff\xff\xff\xffWAVE" + _fmt(audio_format, extensible=False)
    header += b"data" + struct.pack("<I", len(sound))
    content = (header + sound)[: max(12, len(header) + len(sound) - cut)]
    heard: list[bytes] = []
    try:
        source = PipeInput(Dribble(content, sizes))
        heard.extend(block.frames.tobytes() for block in source.blocks())
        error: PhonobaseError | None = None
    except PhonobaseError as caught:
        error = caught
    whole = max(0, len(content) - len(header)) // audio_format.frame_bytes
    expected = from_bytes(sound[: whole * audio_format.frame_bytes], audio_format)
    assert type(error) is TruncatedAudio
    assert b"".join(heard) == expected.tobytes()


@settings(deadline=None)  # a thread may be slow to start on a busy machine
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"RIFF\0\0\0\0WAVE"]))
def test_no_bytes_break_it(content: bytes, start: bytes) -> None:
    """Whatever is sent, it is sound or an error of one line."""
    try:
        source = PipeInput(io.BytesIO(start + content), None if start else AudioFormat(8000, 3))
        said = str(sum(len(block.frames) for block in source.blocks()))
    except PhonobaseError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
