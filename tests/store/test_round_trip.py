from __future__ import annotations

import hashlib
import io
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonobase.audio.kinds import Kind
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.export import write_take
from phonobase.store.take import Take
from tests.store.judge import (
    checks_md5,
    ffmpeg_pcm,
    flac_pcm,
    frames_of,
    pcm_of,
    random_pcm,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from phonobase import Archive, Recording

RATE = 8000


class Sound(NamedTuple):
    """What is stored: a format, an encoding, and how much."""

    dtype: str
    channels: int
    encoding: str
    rate: int = RATE
    frames: int = 26_001  # more than three chunks, and a last FLAC frame that is not full

    @property
    def pcm(self) -> bytes:
        """Interleaved, little-endian."""
        return random_pcm(self.frames, self.channels, self.dtype)

    @property
    def samples(self) -> npt.NDArray[Any]:
        """The same as an array."""
        return frames_of(self.pcm, self.channels, self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}-{self.channels}ch-{self.encoding}-{self.rate}Hz"


FLAC = [Sound(dtype, channels, "flac") for dtype in ("int16", "int24") for channels in (1, 2, 8)]
PCM = [Sound(d, channels, "pcm") for d in ("int16", "int24", "int32", "float32") for channels in (1, 2, 8)]
WIDE = [Sound(dtype, 32, "pcm", frames=9001) for dtype in ("int16", "int24", "int32", "float32")]
ODD_RATES = [
    Sound("int16", 1, "flac", rate=1),
    Sound("int16", 1, "pcm", rate=1),
    Sound("int16", 2, "flac", rate=11_025),
    Sound("int24", 1, "flac", rate=65_535),
    Sound("int24", 1, "flac", rate=65_540),
    Sound("int24", 1, "pcm", rate=65_537),
    Sound("int24", 2, "flac", rate=655_350, frames=700_000),
    Sound("int16", 1, "pcm", rate=655_351),
    Sound("int16", 1, "pcm", rate=1_048_575, frames=2_200_000),
]
ALL = [*FLAC, *PCM, *WIDE, *ODD_RATES]


@pytest.mark.parametrize("sound", ALL, ids=str)
def test_pcm_given_as_a_whole_comes_back_equal(shared_archive: Archive, sound: Sound, tmp_path: Path) -> None:
    """What `add` takes, every way out gives back: the same samples, by any decoder."""
    pcm = sound.pcm
    recording = shared_archive.add(pcm, sound.rate, sound.channels, sound.dtype, encoding=sound.encoding)
    assert recording.pcm_sha256 == hashlib.sha256(pcm).digest()
    _comes_back(shared_archive, recording, sound, pcm, tmp_path)


@pytest.mark.parametrize("sound", ALL, ids=str)
def test_irregular_blocks_come_back_equal(shared_archive: Archive, sound: Sound, tmp_path: Path) -> None:
    """What a writer takes in blocks of any size, every way out gives back as one."""
    pcm = sound.pcm
    with _writer(shared_archive, sound) as writer:
        for block in _irregular(sound.samples):
            writer.write(block)
    recording = writer.close()
    assert recording.pcm_sha256 == hashlib.sha256(pcm).digest()
    _comes_back(shared_archive, recording, sound, pcm, tmp_path)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (Sound("int32", 1, "flac"), "int32 samples"),
        (Sound("float32", 1, "flac"), "float32 samples"),
        (Sound("int16", 9, "flac"), "9 channels"),
        (Sound("int16", 1, "flac", rate=65_537), "a sample rate of 65537 Hz"),
        (Sound("int16", 1, "flac", rate=655_360), "a sample rate of 655360 Hz"),
    ],
    ids=str,
)
def test_what_flac_cannot_hold_is_stored_as_pcm(
    shared_archive: Archive, sound: Sound, reason: str, tmp_path: Path
) -> None:
    """FLAC is refused where it would lose something or fail; without a wish such sound goes as PCM."""
    with pytest.raises(UnsupportedFormat, match=f"FLAC cannot hold {reason}; choose the encoding pcm"):
        shared_archive.add(sound.pcm, sound.rate, sound.channels, sound.dtype, encoding="flac")
    recording = shared_archive.add(sound.pcm, sound.rate, sound.channels, sound.dtype)
    assert recording.encoding == "pcm"
    _comes_back(shared_archive, recording, sound._replace(encoding="pcm"), sound.pcm, tmp_path)


@pytest.mark.parametrize("sound", [*FLAC, *PCM], ids=str)
def test_a_file_of_the_other_encoding_holds_the_same_samples(
    shared_archive: Archive, sound: Sound, tmp_path: Path
) -> None:
    """FLAC exported as WAV, and PCM exported as FLAC where that can hold it, lose nothing."""
    recording = shared_archive.add(
        sound.pcm, sound.rate, sound.channels, sound.dtype, encoding=sound.encoding
    )
    other = {"flac": Kind.WAV, "pcm": Kind.FLAC}[sound.encoding]
    if other is Kind.FLAC and sound.dtype not in ("int16", "int24"):
        with pytest.raises(ValueError, match=f"{sound.dtype}, which FLAC cannot hold"):
            write_take(shared_archive, Take.of(recording), other, io.BytesIO())
        return
    path = tmp_path / f"clip{other.suffix}"
    with path.open("wb") as out:
        write_take(shared_archive, Take.of(recording), other, out)
    if other is Kind.FLAC:
        assert checks_md5(path)
    assert ffmpeg_pcm(path, sound.dtype) == sound.pcm


@pytest.mark.parametrize("sound", [FLAC[1], FLAC[5], PCM[4], PCM[6]], ids=str)
def test_chunks_end_where_they_would_for_any_blocks(shared_archive: Archive, sound: Sound) -> None:
    """The stored chunks, byte for byte, depend on the sound and never on the sizes of the blocks."""
    stored = []
    for sizes in ([len(sound.samples)], [1, 4095, 4096, 4097, 2], [333], [7999, 8001]):
        with _writer(shared_archive, sound, chunk_seconds=1.0) as writer:
            for block in _blocks(sound.samples, sizes):
                writer.write(block)
        chunks = shared_archive.stored(writer.close()).fetch(0, 99)
        assert [chunk.frame_count for chunk in chunks] == [8192, 8192, 8192, 1425]
        stored.append([chunk.data for chunk in chunks])
    assert [chunks == stored[0] for chunks in stored] == [True] * 4


SMALL = [
    Sound(dtype, channels, encoding, frames=9000)
    for dtype, encoding in (
        ("int16", "flac"),
        ("int24", "flac"),
        ("int16", "pcm"),
        ("int24", "pcm"),
        ("int32", "pcm"),
        ("float32", "pcm"),
    )
    for channels in (1, 3)
]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sound=st.sampled_from(SMALL),
    sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=6).filter(any),
    chunk_seconds=st.floats(1e-6, 3.0),
    ranges=st.lists(
        st.tuples(st.integers(0, 9500), st.none() | st.integers(0, 9500)), min_size=1, max_size=6
    ),
)
def test_any_blocks_any_chunks_any_range(
    shared_archive: Archive,
    sound: Sound,
    sizes: list[int],
    chunk_seconds: float,
    ranges: list[tuple[int, int | None]],
) -> None:
    """Any range of frames is what went in, whatever the blocks and however long the chunks."""
    samples = sound.samples
    with _writer(shared_archive, sound, chunk_seconds) as writer:
        for block in _blocks(samples, sizes):
            writer.write(block)
    recording = writer.close()
    assert recording.frame_count == len(samples)
    for start, stop in ranges:
        expected = pcm_of(samples[start:stop], sound.dtype)
        assert pcm_of(shared_archive.read(recording.id, start, stop), sound.dtype) == expected
        yielded = list(shared_archive.frames(recording.id, start, stop))
        assert b"".join(pcm_of(frames, sound.dtype) for frames in yielded) == expected


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sound=st.sampled_from(SMALL),
    chunk_seconds=st.floats(1e-6, 3.0),
    jumps=st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)), min_size=1, max_size=8),
)
def test_any_bytes_of_the_file(
    shared_archive: Archive, sound: Sound, chunk_seconds: float, jumps: list[tuple[int, int]]
) -> None:
    """Jumping about in an opened recording gives the bytes that reading it in one go gives."""
    with _writer(shared_archive, sound, chunk_seconds) as writer:
        writer.write(sound.samples)
    recording = writer.close()
    whole = io.BytesIO()
    with shared_archive.open(recording.id) as file:
        shutil.copyfileobj(file, whole)
    stored = shared_archive.stored(recording).chunks()
    joined = recording.header + b"".join(chunk.data for chunk in stored)
    assert whole.getvalue() == joined
    with shared_archive.open(recording.id) as file:
        for offset, count in jumps:
            file.seek(offset)
            assert file.read(count) == joined[offset : offset + count]


def test_a_range_reads_only_the_chunks_that_hold_it(
    shared_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame from the middle of a recording decodes one chunk of it."""
    sound = Sound("int16", 1, "flac", frames=400_000)
    recording = shared_archive.add(sound.pcm, sound.rate)
    assert recording.chunk_count > 20
    decoded: list[int] = []
    from phonobase.store import chunks  # noqa: PLC0415 - what is looked into

    original = chunks.decode_run

    def counting(of: Recording, run: Sequence[chunks.StoredChunk]) -> npt.NDArray[Any]:
        decoded.append(len(run))
        return original(of, run)

    monkeypatch.setattr(chunks, "decode_run", counting)
    assert np.array_equal(shared_archive.read(recording.id, 200_000, 200_001), sound.samples[200_000:200_001])
    assert decoded == [1]


def test_rows_are_never_larger_than_one_mib(shared_archive: Archive) -> None:
    """A chunk asked to be longer than a row may be ends before it would be larger."""
    sound = Sound("int32", 32, "pcm", rate=48_000, frames=100_000)
    recording = shared_archive.add(sound.pcm, sound.rate, sound.channels, sound.dtype)
    sizes = [len(chunk.data) for chunk in shared_archive.stored(recording).chunks()]
    packet = 4096 * 32 * 4
    assert max(sizes) == 1_048_576 // packet * packet
    assert sum(sizes) == len(sound.pcm)
    assert pcm_of(shared_archive.read(recording.id), "int32") == sound.pcm


def test_writing_copies_the_array(shared_archive: Archive) -> None:
    """A caller may fill its array with the next sound as soon as `write` returns."""
    sound = Sound("int16", 1, "flac")
    buffer = np.empty((1000, 1), np.int16)
    with _writer(shared_archive, sound) as writer:
        for start in range(0, 26_000, 1000):
            buffer[:] = sound.samples[start : start + 1000]
            writer.write(buffer)
            buffer[:] = 0
    expected = pcm_of(sound.samples[:26_000], "int16")
    assert pcm_of(shared_archive.read(writer.id), "int16") == expected
    assert writer.close().pcm_sha256 == hashlib.sha256(expected).digest()


def _comes_back(archive: Archive, recording: Recording, sound: Sound, pcm: bytes, tmp_path: Path) -> None:
    """Everything that gives out a recording gives out this PCM."""
    form = AudioFormat(sound.rate, sound.channels, SampleFormat(sound.dtype))
    assert (recording.format, recording.frame_count) == (form, sound.frames)
    assert recording.encoding == sound.encoding
    assert pcm_of(archive.read(recording.id), sound.dtype) == pcm

    path = tmp_path / f"clip{recording.encoding.suffix}"
    with archive.open(recording.id) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    exported = tmp_path / f"exported{recording.encoding.suffix}"
    with exported.open("wb") as out:
        write_take(archive, Take.of(recording), Kind.of(recording.encoding), out)
    assert exported.read_bytes() == path.read_bytes()
    assert path.stat().st_size == recording.file_bytes

    assert ffmpeg_pcm(path, sound.dtype) == pcm
    if sound.encoding == "flac":
        assert checks_md5(path)
        assert flac_pcm(path) == pcm
    with archive.open(recording.id) as source, soundfile.SoundFile(source) as file:
        assert (file.samplerate, file.channels, file.frames) == (sound.rate, sound.channels, sound.frames)
        read = file.read(dtype=form.sample_format.dtype.name, always_2d=True)
    assert pcm_of(read, sound.dtype) == pcm


def _writer(archive: Archive, sound: Sound, chunk_seconds: float = 2.0) -> Any:  # noqa: ANN401
    return archive.writer(
        sound.rate, sound.channels, sound.dtype, encoding=sound.encoding, chunk_seconds=chunk_seconds
    )


def _irregular(samples: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    random = np.random.default_rng(len(samples))
    return _blocks(samples, [0, 1, *random.integers(1, len(samples) // 3, 20).tolist(), 4096, 1])


def _blocks(samples: npt.NDArray[Any], sizes: list[int]) -> Iterator[npt.NDArray[Any]]:
    """Cuts samples into blocks of these sizes, over and over."""
    position = turn = 0
    while position < len(samples):
        size = sizes[turn % len(sizes)]
        yield samples[position : position + size]
        position += size
        turn += 1
