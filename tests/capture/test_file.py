import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from phonobase.capture.file import FileInput
from phonobase.errors import InvalidAudio, PhonobaseError, UnsupportedFormat
from phonobase.pcm import AudioFormat, Frames, SampleFormat
from tests.support.prs import noise
from tests.support.require import require

RATE = 48_000
FRAMES = 40_000


def _read(path: Path, sample_format: SampleFormat | None = None) -> tuple[Frames, FileInput]:
    source = FileInput(path, sample_format)
    frames = np.concatenate([block.frames for block in source.blocks()])
    source.close()
    return frames, source


def _decoded_by_ffmpeg(path: Path, dtype: str, channels: int) -> Frames:
    command = [require("ffmpeg"), "-v", "error", "-i", str(path), "-f", dtype, "-"]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    numpy_dtype = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}[dtype]
    return np.frombuffer(output, numpy_dtype).reshape(-1, channels)


@pytest.mark.parametrize(
    ("container", "subtype", "sample_format", "ffmpeg_dtype"),
    [
        ("WAV", "PCM_U8", "int16", "s16le"),
        ("WAV", "PCM_16", "int16", "s16le"),
        ("WAV", "PCM_24", "int24", "s32le"),
        ("WAV", "PCM_32", "int32", "s32le"),
        ("WAV", "FLOAT", "float32", "f32le"),
        ("WAV", "DOUBLE", "float32", "f32le"),
        ("WAV", "ULAW", "int16", "s16le"),
        ("WAV", "ALAW", "int16", "s16le"),
        ("RF64", "PCM_24", "int24", "s32le"),
        ("W64", "PCM_16", "int16", "s16le"),
        ("AIFF", "PCM_S8", "int16", "s16le"),
        ("AIFF", "PCM_24", "int24", "s32le"),
        ("AU", "FLOAT", "float32", "f32le"),
        ("CAF", "PCM_32", "int32", "s32le"),
        ("FLAC", "PCM_16", "int16", "s16le"),
        ("FLAC", "PCM_24", "int24", "s32le"),
    ],
)
def test_a_lossless_file_is_read_as_ffmpeg_reads_it(
    tmp_path: Path, container: str, subtype: str, sample_format: str, ffmpeg_dtype: str
) -> None:
    """Whatever the container, the native format holds every bit that another decoder finds."""
    path = tmp_path / "sound"
    signal = noise(FRAMES, 2, dtype="int32") if subtype not in {"FLOAT", "DOUBLE"} else None
    content = noise(FRAMES, 2, dtype="float32") if signal is None else signal
    soundfile.write(path, content, RATE, subtype, format=container)
    frames, source = _read(path)
    assert source.format == AudioFormat(RATE, 2, SampleFormat(sample_format))
    assert source.frame_count == FRAMES
    assert source.description == {
        "input": "file",
        "file": "sound",
        "container": container,
        "subtype": subtype,
    }
    np.testing.assert_array_equal(frames, _decoded_by_ffmpeg(path, ffmpeg_dtype, 2))


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
)
def test_a_lossy_file_is_read_to_its_end(tmp_path: Path, container: str, subtype: str) -> None:
    """As many frames come as were encoded, as int16, and they sound like what was encoded."""
    path = tmp_path / "sound"
    times = np.arange(FRAMES) / RATE
    signal = np.sin(2 * np.pi * 440 * times) / 2
    soundfile.write(path, signal, RATE, format=container, subtype=subtype)
    frames, source = _read(path)
    assert source.format == AudioFormat(RATE, 1, SampleFormat.INT16)
    assert len(frames) == source.frame_count == FRAMES
    error = frames[:, 0] / 32_768 - signal
    assert float(np.sqrt(np.mean(error[4800:-4800] ** 2))) < 0.01


def test_a_loud_lossy_file_is_clipped_not_wrapped(tmp_path: Path) -> None:
    """A decoder that overshoots full scale gives the largest value, never the other end."""
    path = tmp_path / "loud.ogg"
    square = np.sign(np.sin(2 * np.pi * 200 * np.arange(FRAMES) / RATE))
    soundfile.write(path, square, RATE, format="OGG", subtype="VORBIS")
    floats, _ = _read(path, SampleFormat.FLOAT32)
    frames, _ = _read(path)
    assert float(np.abs(floats).max()) > 1
    expected = np.clip(np.rint(floats.astype(np.float64) * 32_768), -32_768, 32_767)
    np.testing.assert_array_equal(frames, expected.astype(np.int16))


@pytest.mark.parametrize("sample_format", list(SampleFormat))
def test_a_file_is_converted_where_asked(tmp_path: Path, sample_format: SampleFormat) -> None:
    """16 bits fit in every other format, exactly."""
    path = tmp_path / "sound.wav"
    signal = noise(FRAMES, 1)
    soundfile.write(path, signal, RATE)
    frames, source = _read(path, sample_format)
    assert source.format.sample_format == sample_format
    assert frames.dtype == sample_format.dtype
    scale = int(sample_format.full_scale) / 32_768 if sample_format != "float32" else 1 / 32_768
    np.testing.assert_array_equal(frames.astype(np.float64), signal.astype(np.float64) * scale)


def test_a_double_is_rounded_to_the_nearest_float(tmp_path: Path) -> None:
    """The docstring says that doubles lose their last bits."""
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.array([0.1, 1 / 3]), RATE, "DOUBLE")
    assert _read(path)[0][:, 0].tolist() == [float(np.float32(0.1)), float(np.float32(1 / 3))]


def test_blocks_are_small_whatever_the_file_declares(tmp_path: Path) -> None:
    """No block grows with the length of the file or the number of channels."""
    path = tmp_path / "wide.wav"
    soundfile.write(path, noise(20_000, 32), RATE)
    source = FileInput(path)
    sizes = [block.frames.size for block in source.blocks()]
    source.close()
    assert (sum(sizes), max(sizes)) == (20_000 * 32, 16_384)


def test_a_file_ends_when_it_is_stopped(tmp_path: Path) -> None:
    """stop() ends it before the next block, and that is no truncation."""
    path = tmp_path / "sound.flac"
    soundfile.write(path, noise(FRAMES, 1), RATE)
    source = FileInput(path)
    blocks = source.blocks()
    next(blocks)
    source.stop()
    assert list(blocks) == []
    source.close()


def test_a_flac_written_to_a_pipe_is_read_whole(tmp_path: Path) -> None:
    """Its header does not know the number of frames; every one of them comes."""
    wav, path = tmp_path / "sound.wav", tmp_path / "piped.flac"
    signal = noise(FRAMES, 2)
    soundfile.write(wav, signal, RATE)
    command = [require("ffmpeg"), "-v", "error", "-i", str(wav), "-f", "flac", "-"]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    frames, source = _read(path)
    assert source.frame_count is None
    np.testing.assert_array_equal(frames, signal)


@pytest.mark.parametrize("program", ["ffmpeg", "sox"])
def test_a_wav_written_to_a_pipe_is_read_whole(tmp_path: Path, program: str) -> None:
    """Its header holds a stand-in for a size that nobody knew."""
    wav, path = tmp_path / "sound.wav", tmp_path / "piped.wav"
    signal = noise(FRAMES, 2)
    soundfile.write(wav, signal, RATE)
    arguments = {
        "ffmpeg": ["-v", "error", "-i", str(wav), "-f", "wav", "-"],
        "sox": ["-V1", "--ignore-length", str(wav), "-t", "wav", "-"],
    }[program]
    command = [require(program), *arguments]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    np.testing.assert_array_equal(_read(path)[0], signal)


def _content(name: str) -> bytes:
    return {"empty.wav": b"", "junk.wav": b"neither sound nor anything else " * 99}.get(name, b"")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "there is no file {path}; check the name"),
        ("directory", "{path} is a directory; name the files in it"),
        ("pipe", "{path} is not a file; send it with --input - < {path}"),
        ("empty.wav", "{path} is empty; copy it again from where it came"),
        ("silent.wav", "{path} holds no sound; record it again"),
        (
            "junk.wav",
            (
                "{path} is not sound that can be read (Format not recognised); "
                "`ffmpeg -i {path} -f wav - | phonobase record --input -` may read it"
            ),
        ),
    ],
)
def test_what_is_not_sound_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """Each refusal is one line that names the file and the next step."""
    path = tmp_path / name
    if name == "directory":
        path.mkdir()
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "silent.wav":
        soundfile.write(path, np.zeros((0, 1)), RATE)
    elif name != "missing.wav":
        path.write_bytes(_content(name))
    with pytest.raises(PhonobaseError) as raised:
        FileInput(path)
    assert (type(raised.value), str(raised.value)) == (InvalidAudio, message.format(path=path))


def test_alac_is_refused(tmp_path: Path) -> None:
    """What another decoder reads differently is not archived as if it were right."""
    path = tmp_path / "sound.caf"
    soundfile.write(path, noise(FRAMES, 2), RATE, "ALAC_16")
    with pytest.raises(InvalidAudio) as raised:
        FileInput(path)
    assert str(raised.value) == (
        f"{path} is ALAC, which is not read right; "
        f"`ffmpeg -i {path} -f wav - | phonobase record --input -` reads it"
    )


def test_more_channels_than_can_be_stored_are_refused(tmp_path: Path) -> None:
    """The limit of the archive is said together with the file that exceeds it."""
    path = tmp_path / "wide.wav"
    soundfile.write(path, np.zeros((10, 33)), RATE)
    with pytest.raises(UnsupportedFormat) as raised:
        FileInput(path)
    assert str(raised.value) == f"{path}: 33 channels cannot be stored; choose from 1 to 32"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sample_format", [None, SampleFormat.INT16])
def test_what_is_no_number_is_refused_where_it_stands(
    tmp_path: Path, bad: float, sample_format: SampleFormat | None
) -> None:
    """All frames before it come, whatever they are converted to; the error names the frame."""
    path = tmp_path / "bad.wav"
    signal = np.full((FRAMES, 2), 0.5, np.float32)
    signal[30_000, 1] = bad
    soundfile.write(path, signal, RATE, "FLOAT")
    source = FileInput(path, sample_format)
    frames: list[Frames] = []
    with pytest.raises(InvalidAudio) as raised:
        frames.extend(block.frames for block in source.blocks())
    source.close()
    assert sum(map(len, frames)) == 30_000
    assert str(raised.value) == (
        f"{path}: frame 30000 holds NaN or infinity, which is not sound; mend what wrote it"
    )
