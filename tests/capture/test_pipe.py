import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pytest
import soundfile

from phonobase.capture import PipeInput
from phonobase.capture.pipe import _HELD_BYTES
from phonobase.errors import InvalidAudio, PhonobaseError, TruncatedAudio, UnsupportedFormat
from phonobase.pcm import AudioFormat, Frames, SampleFormat, to_bytes
from tests.support.prs import noise
from tests.support.require import require

RATE = 48_000
FRAMES = 40_000
BOUND_S = 10
FORMAT = AudioFormat(RATE, 2)
REMEDY = "send WAV, or raw PCM with --samplerate, --channels and --dtype"


def _heard(source: PipeInput) -> Frames:
    return np.concatenate([block.frames for block in source.blocks()])


def _heard_until(source: PipeInput, error: type[PhonobaseError]) -> tuple[int, str]:
    frames: list[Frames] = []
    with pytest.raises(error) as raised:
        frames.extend(block.frames for block in source.blocks())
    assert type(raised.value) is error
    return sum(map(len, frames)), str(raised.value)


def _wav(subtype: str = "PCM_16", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(FRAMES, 2), RATE, subtype, format=container)
    return file.getvalue()


@contextmanager
def _program(command: list[str]) -> Iterator[IO[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout


@pytest.mark.parametrize("program", ["ffmpeg", "sox"])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_what_another_program_sends_is_heard(tmp_path: Path, program: str, bits: int) -> None:
    """WAV whose header was written before its size was known comes whole, bit for bit."""
    path = tmp_path / "sound.wav"
    signal = noise(FRAMES, 3, dtype="int32") & np.int32(-1 << (32 - bits))
    soundfile.write(path, signal, RATE, f"PCM_{bits}")
    arguments = {
        "ffmpeg": ["-v", "error", "-i", str(path), "-c:a", f"pcm_s{bits}le", "-f", "wav", "-"],
        "sox": ["-V1", "--ignore-length", str(path), "-t", "wav", "-"],
    }[program]
    with _program([require(program), *arguments]) as stream:
        source = PipeInput(stream)
        frames = _heard(source)
    assert source.format == AudioFormat(RATE, 3, SampleFormat(f"int{bits}"))
    assert source.frame_count is None
    assert source.description == {"input": "pipe"}
    expected = (signal >> 16).astype(np.int16) if bits == 16 else signal
    np.testing.assert_array_equal(frames, expected)


def test_what_flac_decodes_is_heard(tmp_path: Path) -> None:
    """The command that the error for FLAC names works."""
    path = tmp_path / "sound.flac"
    soundfile.write(path, noise(FRAMES, 2), RATE)
    with pytest.raises(InvalidAudio) as raised, path.open("rb") as stream:
        PipeInput(stream)
    assert str(raised.value) == (
        "standard input is FLAC; send `flac -d -c FILE`, or give the file to --input"
    )
    with _program([require("flac"), "-s", "-d", "-c", str(path)]) as stream:
        np.testing.assert_array_equal(_heard(PipeInput(stream)), noise(FRAMES, 2))


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize(
    ("subtype", "sample_format"),
    [("PCM_16", "int16"), ("PCM_24", "int24"), ("PCM_32", "int32"), ("FLOAT", "float32")],
)
def test_every_kind_of_wav_is_heard(container: str, subtype: str, sample_format: str) -> None:
    """As libsndfile reads the same bytes from a file."""
    content = _wav(subtype, container)
    source = PipeInput(io.BytesIO(content))
    expected, _ = soundfile.read(
        io.BytesIO(content), dtype=SampleFormat(sample_format).dtype.name, always_2d=True
    )
    assert source.format == AudioFormat(RATE, 2, SampleFormat(sample_format))
    assert source.frame_count == FRAMES
    np.testing.assert_array_equal(_heard(source), expected)


@pytest.mark.parametrize("sample_format", list(SampleFormat))
def test_raw_pcm_is_heard(sample_format: SampleFormat) -> None:
    """Without a header the format that was given counts."""
    audio_format = AudioFormat(RATE, 3, sample_format)
    dtype: Literal["float32", "int32"] = "float32" if sample_format == "float32" else "int32"
    signal = noise(FRAMES, 3, dtype=dtype).astype(sample_format.dtype)
    if sample_format == "int24":
        signal &= np.int32(-256)
    source = PipeInput(io.BytesIO(to_bytes(signal, sample_format)), audio_format)
    assert (source.format, source.frame_count) == (audio_format, None)
    np.testing.assert_array_equal(_heard(source), signal)


def test_sound_shorter_than_a_header_is_sound() -> None:
    """A single raw frame is not mistaken for a broken header."""
    source = PipeInput(io.BytesIO(b"\x01\x00\x02\x00"), FORMAT)
    assert _heard(source).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("content", "raw_format", "error", "message"),
    [
        (b"", None, InvalidAudio, f"standard input is empty; {REMEDY}"),
        (b"", FORMAT, InvalidAudio, f"standard input is empty; {REMEDY}"),
        (b"neither", None, InvalidAudio, f"standard input is not WAV; {REMEDY}"),
        (
            _wav()[:30],
            None,
            TruncatedAudio,
            "standard input ends within its WAV header; send it again",
        ),
        (
            _wav(),
            AudioFormat(44_100, 1),
            UnsupportedFormat,
            (
                "standard input is WAV of 48000 Hz, 2 ch, int16, not of 44100 Hz, 1 ch, int16; "
                "leave away --samplerate, --channels and --dtype, or send what they say"
            ),
        ),
        (
            _wav("PCM_U8"),
            None,
            UnsupportedFormat,
            (
                "standard input is WAV with format tag 1 and 8 bits a sample, which is not read from a "
                "pipe; `ffmpeg -i FILE -c:a pcm_s24le -f wav - | phonobase record --input -` converts it"
            ),
        ),
        (
            _wav()[:12] + b"data" + bytes(8),
            None,
            InvalidAudio,
            (
                "standard input: the sound comes before its format; "
                "`ffmpeg -i FILE -c:a pcm_s24le -f wav - | phonobase record --input -` puts them in order"
            ),
        ),
    ],
)
def test_what_is_not_sound_is_refused(
    content: bytes, raw_format: AudioFormat | None, error: type[PhonobaseError], message: str
) -> None:
    """Each refusal is one line that says what to send."""
    with pytest.raises(PhonobaseError) as raised:
        PipeInput(io.BytesIO(content), raw_format)
    assert (type(raised.value), str(raised.value)) == (error, message)


def test_wav_of_the_format_that_was_given_is_heard() -> None:
    """Saying what is so anyway does no harm."""
    np.testing.assert_array_equal(_heard(PipeInput(io.BytesIO(_wav()), FORMAT)), noise(FRAMES, 2))


def test_an_early_end_comes_after_all_whole_frames() -> None:
    """What was declared and did not come is an error, and what came is there."""
    frames, message = _heard_until(PipeInput(io.BytesIO(_wav()[:-60_001])), TruncatedAudio)
    assert (frames, message) == (
        24_999,
        (
            "standard input ended after 99999 of the 160000 bytes of sound that its header declares; "
            "the 24999 frames that came are there, send the rest again"
        ),
    )


def test_a_partial_last_frame_is_an_error() -> None:
    """Raw PCM of the wrong format often shows only there."""
    frames, message = _heard_until(PipeInput(io.BytesIO(bytes(4001)), FORMAT), TruncatedAudio)
    assert (frames, message) == (
        1000,
        (
            "standard input ended 3 bytes before the end of frame 1000 (48000 Hz, 2 ch, int16); "
            "check --channels and --dtype"
        ),
    )


def test_what_is_no_number_is_refused_where_it_stands() -> None:
    """All frames before it come, and the error names the frame."""
    signal = np.full((FRAMES, 1), 0.5, np.float32)
    signal[30_000] = np.nan
    source = PipeInput(io.BytesIO(signal.tobytes()), AudioFormat(RATE, 1, SampleFormat.FLOAT32))
    assert _heard_until(source, InvalidAudio) == (
        30_000,
        "standard input: frame 30000 holds NaN or infinity, which is not sound; mend what produces it",
    )


def test_a_trickle_is_heard_as_it_comes() -> None:
    """A block does not wait until it is full."""
    receive, send = os.pipe()
    with os.fdopen(receive, "rb") as stream, os.fdopen(send, "wb", buffering=0) as sender:
        sender.write(bytes(40))
        blocks = PipeInput(stream, FORMAT).blocks()
        assert len(next(blocks).frames) == 10
        for count in (1, 5, 20):
            sender.write(bytes(4 * count))
            assert len(next(blocks).frames) == count


def test_stop_ends_a_silent_pipe() -> None:
    """Nobody waits for a sender that says nothing; what came before is heard."""
    receive, send = os.pipe()
    with os.fdopen(receive, "rb") as stream, os.fdopen(send, "wb", buffering=0) as sender:
        sender.write(bytes(400))
        source = PipeInput(stream, FORMAT)
        threading.Timer(0.3, source.stop).start()
        began = time.monotonic()
        assert len(_heard(source)) == 100
        assert time.monotonic() - began < BOUND_S
        source.close()


def test_a_process_ends_while_its_pipe_is_silent() -> None:
    """The thread that reads does not hold up, nor crash, the end of the interpreter."""
    script = (
        "import sys\n"
        "from phonobase.capture import PipeInput\n"
        "from phonobase.pcm import AudioFormat\n"
        "source = PipeInput(sys.stdin.buffer, AudioFormat(8000, 1))\n"
        "print(len(next(source.blocks()).frames))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(20))
        process.stdin.flush()
        assert process.wait(BOUND_S) == 0
        assert (process.stdout and process.stdout.read()) == b"10\n"
        assert (process.stderr and process.stderr.read()) == b""


def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    """Some programs leave their end of a terminal or a pipe non-blocking."""
    receive, send = os.pipe()
    os.set_blocking(receive, False)
    with os.fdopen(receive, "rb") as stream, os.fdopen(send, "wb", buffering=0) as sender:

        def send_late() -> None:
            sender.write(bytes(400))
            sender.close()

        threading.Timer(0.2, send_late).start()
        assert len(_heard(PipeInput(stream, FORMAT))) == 100


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A directory as standard input is an error of one line."""
    script = (
        "import sys\n"
        "from phonobase.capture import PipeInput\n"
        "try:\n"
        "    PipeInput(sys.stdin.buffer)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error, sep=': ')\n"
    )
    # Python refuses to start on a directory, so it takes the place of standard input later.
    script = f"import os\nos.dup2(os.open({str(tmp_path)!r}, os.O_RDONLY), 0)\n" + script
    said = subprocess.check_output([sys.executable, "-c", script], stdin=subprocess.DEVNULL)
    assert said.decode() == (f"InvalidAudio: standard input cannot be read: Is a directory; {REMEDY}\n")


def test_memory_is_bounded_while_nobody_takes() -> None:
    """A sender that is faster than the archive waits."""
    receive, send = os.pipe()
    os.set_blocking(send, False)
    with os.fdopen(receive, "rb") as stream, os.fdopen(send, "wb", buffering=0) as sender:
        sender.write(bytes(16))
        source = PipeInput(stream, FORMAT)
        sent, idle_since = 16, time.monotonic()
        while time.monotonic() - idle_since < 0.5:
            written = sender.write(bytes(65_536))
            if written:
                sent, idle_since = sent + written, time.monotonic()
        assert _HELD_BYTES < sent < _HELD_BYTES + 4_000_000
        source.close()
