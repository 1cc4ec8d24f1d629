import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from phonobase.capture.file import FileInput
from phonobase.errors import InvalidAudio, TruncatedAudio
from phonobase.pcm import Frames
from tests.support.prs import noise
from tests.support.require import require

RATE = 48_000
FRAMES = 40_000
SIGNAL = noise(FRAMES, 2)


def _written(path: Path, container: str, subtype: str = "PCM_16") -> bytearray:
    soundfile.write(path, SIGNAL, RATE, subtype, format=container)
    return bytearray(path.read_bytes())


def _read_until(path: Path, error: type[InvalidAudio]) -> tuple[Frames, str]:
    source = FileInput(path)
    frames: list[Frames] = []
    with pytest.raises(error) as raised:
        frames.extend(block.frames for block in source.blocks())
    source.close()
    assert type(raised.value) is error
    return np.concatenate(frames), str(raised.value)


@pytest.mark.parametrize("container", ["WAV", "RF64", "AIFF", "AU", "CAF", "W64"])
@pytest.mark.parametrize("lost", [1, 4, 100_000])
def test_a_file_that_declares_more_than_it_holds_is_refused(
    tmp_path: Path, container: str, lost: int
) -> None:
    """One missing byte is enough; nothing is read before the refusal."""
    path = tmp_path / "sound"
    content = _written(path, container)
    path.write_bytes(content[:-lost])
    with pytest.raises(TruncatedAudio, match=r" bytes of sound that its header declares; `") as raised:
        FileInput(path)
    assert str(raised.value).startswith(f"{path} holds ")
    assert str(raised.value).endswith("` keeps what is there")


def test_the_refusal_says_how_to_keep_what_is_there(tmp_path: Path) -> None:
    """A WAV can go through the pipe as it is."""
    path = tmp_path / "sound.wav"
    content = _written(path, "WAV")
    path.write_bytes(content[:-60_000])
    with pytest.raises(TruncatedAudio) as raised:
        FileInput(path)
    assert str(raised.value) == (
        f"{path} holds 100000 of the 160000 bytes of sound that its header declares; "
        f"`phonobase record --input - < {path}` keeps what is there"
    )


@pytest.mark.parametrize("declared", [2, 100, 80_000, 159_998])
def test_a_wav_that_declares_too_little_is_refused(tmp_path: Path, declared: int) -> None:
    """Sound behind the declared end is neither lost nor taken for a chunk: the way to all of it is named."""
    path = tmp_path / "sound.wav"
    path.write_bytes(_with_data_size(_written(path, "WAV"), declared) + bytes(10))
    with pytest.raises(InvalidAudio, match=f"declares {declared} bytes of sound and holds .*ignore_length"):
        FileInput(path)


def test_chunks_behind_the_sound_are_not_sound(tmp_path: Path) -> None:
    """What other programs write behind the sound does no harm, nor does a last byte to make it even."""
    path = tmp_path / "sound.wav"
    chunk = b"LIST" + (11).to_bytes(4, "little") + b"INFOnotsound"
    path.write_bytes(_written(path, "WAV") + chunk + b"cue " + bytes(4) + b"\0")
    source = FileInput(path)
    frames = np.concatenate([block.frames for block in source.blocks()])
    source.close()
    np.testing.assert_array_equal(frames, SIGNAL)


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFEFFF, 0x80000000, 0xFFFFFFFF])
def test_a_size_that_nobody_knew_means_until_the_end(tmp_path: Path, size: int) -> None:
    """A stand-in for infinity, rounded down to whole frames or not, hides no frame."""
    path = tmp_path / "sound.wav"
    path.write_bytes(_with_data_size(_written(path, "WAV"), size))
    source = FileInput(path)
    frames = np.concatenate([block.frames for block in source.blocks()])
    source.close()
    np.testing.assert_array_equal(frames, SIGNAL)


def test_a_size_of_nothing_is_not_believed(tmp_path: Path) -> None:
    """A header that a crashed recorder never patched is answered with the way to its sound."""
    path = tmp_path / "sound.wav"
    path.write_bytes(_with_data_size(_written(path, "WAV"), 0))
    with pytest.raises(InvalidAudio) as raised:
        FileInput(path)
    assert str(raised.value) == (
        f"{path} declares no sound, but 160000 bytes stand behind its header; "
        f"`phonobase record --input - < {path}` takes them for sound"
    )


@pytest.mark.parametrize("block_frames", [1152, 4096, 4608])
def test_of_a_cut_flac_every_whole_frame_comes(tmp_path: Path, block_frames: int) -> None:
    """As much as flac itself decodes, whatever its block size, and then the error says how much."""
    wav, flac, path = (tmp_path / name for name in ("sound.wav", "whole.flac", "cut.flac"))
    _written(wav, "WAV")
    encode = [require("flac"), "-s", "-b", str(block_frames), "-o", str(flac), str(wav)]
    subprocess.run(encode, check=True)
    content = flac.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    frames, message = _read_until(path, TruncatedAudio)
    decode = [require("flac"), "-d", "-c", "-s", "-F", "--force-raw-format"]
    form = ["--endian=little", "--sign=signed"]
    judged = subprocess.run([*decode, *form, str(path)], capture_output=True, check=False).stdout
    assert len(frames) % block_frames == 0
    assert frames.tobytes() == judged == SIGNAL[: len(frames)].tobytes()
    assert message == (f"{path} ends after {len(frames)} of 40000 frames; copy it again from where it came")


def test_of_a_damaged_flac_all_before_the_damage_comes(tmp_path: Path) -> None:
    """A changed byte in the middle is not taken for a missing end."""
    path = tmp_path / "sound.flac"
    content = _written(path, "FLAC")
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    frames, message = _read_until(path, InvalidAudio)
    assert len(frames) == 16_384
    np.testing.assert_array_equal(frames, SIGNAL[:16_384])
    assert message.startswith(f"{path} does not decode after 16384 of 40000 frames (")


def test_a_flac_that_declares_too_little_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    """Its MD5 tells that there is more, as `flac` finds, though every frame that is declared decodes."""
    path = tmp_path / "sound.flac"
    content = _written(path, "FLAC")
    content[22:26] = (FRAMES - 10_000).to_bytes(4, "big")
    path.write_bytes(content)
    form = ["--force-raw-format", "--endian=little", "--sign=signed"]
    judged = subprocess.run([require("flac"), "-d", "-c", "-s", *form, path], capture_output=True, check=True)
    assert judged.stdout == SIGNAL.tobytes()
    frames, message = _read_until(path, InvalidAudio)
    np.testing.assert_array_equal(frames, SIGNAL[: FRAMES - 10_000])
    assert message.startswith(f"{path} does not decode to the sound whose MD5 is in it; ")


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_the_md5_of_a_flac_is_that_of_its_samples(tmp_path: Path, subtype: str) -> None:
    """Whatever its samples are, a whole file is taken, and one with another MD5 is not."""
    path = tmp_path / "sound.flac"
    content = _written(path, "FLAC", subtype)
    source = FileInput(path)
    assert sum(len(block.frames) for block in source.blocks()) == FRAMES
    source.close()
    content[30] ^= 1
    path.write_bytes(content)
    _read_until(path, InvalidAudio)


def test_of_a_cut_mp3_all_that_decodes_comes(tmp_path: Path) -> None:
    """An MP3 that says how long it is cannot end early unnoticed."""
    path = tmp_path / "sound.mp3"
    content = _written(path, "MP3", "MPEG_LAYER_III")
    path.write_bytes(content[: len(content) // 2])
    frames, message = _read_until(path, TruncatedAudio)
    assert 15_000 < len(frames) < 25_000
    assert message.startswith(f"{path} ends after {len(frames)} of 40000 frames; ")


def test_an_mp3_of_unknown_length_is_refused(tmp_path: Path) -> None:
    """The decoder would guess its length and give only a part of it."""
    path = tmp_path / "sound.mp3"
    make = [require("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=d=30", "-q:a", "5"]
    subprocess.run([*make, "-write_xing", "0", str(path)], check=True)
    with pytest.raises(InvalidAudio) as raised:
        FileInput(path)
    assert str(raised.value) == (
        f"{path} is MP3 that does not say how long it is; "
        f"`ffmpeg -i {path} -f wav - | phonobase record --input -` reads all"
    )


def test_two_mp3_in_one_file_are_not_taken_for_one(tmp_path: Path) -> None:
    """The first comes whole; then the error says that there is more."""
    path = tmp_path / "sound.mp3"
    path.write_bytes(_written(path, "MP3", "MPEG_LAYER_III") * 2)
    frames, message = _read_until(path, InvalidAudio)
    assert len(frames) == FRAMES
    assert message.startswith(f"{path} holds more sound than it says; `ffmpeg ")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_is_one_stream_with_an_end(tmp_path: Path, subtype: str) -> None:
    """Of a row of streams libsndfile gives the first, and of a cut one it does not notice the cut."""
    path = tmp_path / "sound.ogg"
    content = _written(path, "OGG", subtype)
    path.write_bytes(content * 2)
    with pytest.raises(InvalidAudio, match=r"is several Ogg streams in a row; `ffmpeg "):
        FileInput(path)
    for length in (len(content) - 1, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(TruncatedAudio, match=r"has no end; `ffmpeg "):
            FileInput(path)


def _with_data_size(content: bytearray, size: int) -> bytes:
    at = content.index(b"data")
    return bytes(content[: at + 4] + struct.pack("<I", size) + content[at + 8 :])
