import inspect
import math

import numpy as np
import pytest

from phonobase.capture import record_audio_to_bytes
from phonobase.errors import UnsupportedFormat
from tests.support.pulse import SoundServer


def test_the_signature_is_the_one_it_always_had() -> None:
    """Who has called it since the beginning can go on."""
    parameters = inspect.signature(record_audio_to_bytes).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.default) for p in positional] == [
        ("duration", 5),
        ("samplerate", 44_100),
        ("channels", 1),
    ]


@pytest.mark.parametrize(("dtype", "width"), [("int16", 2), ("int24", 3), ("int32", 4), ("float32", 4)])
@pytest.mark.usefixtures("sound")
def test_exactly_so_many_frames_are_recorded(dtype: str, width: int) -> None:
    """The bytes are raw PCM, and the rate that makes them sound comes with them."""
    audio, rate = record_audio_to_bytes(0.30001, 48_000, 2, device="pulse", dtype=dtype)
    assert (type(audio), len(audio), rate) == (bytes, 14_400 * 2 * width, 48_000)


def test_what_is_played_is_recorded(sound: SoundServer) -> None:
    """The samples are int16, little-endian and interleaved."""
    constant = np.empty((44_100 * 4, sound.channels), np.int16)
    constant[:] = 0x0102 * (1 + np.arange(sound.channels))
    player = sound.play_async(constant, rate=sound.rate)
    audio, rate = record_audio_to_bytes(4, sound.rate, sound.channels)
    player.kill()
    player.wait()
    frame = b"".join((0x0102 * (1 + c)).to_bytes(2, "little") for c in range(sound.channels))
    assert rate == sound.rate
    assert frame * (sound.rate // 4) in audio


@pytest.mark.parametrize("duration", [0, -1, math.nan, math.inf, 1e-9])
def test_a_duration_of_nothing_is_refused(duration: float) -> None:
    """It is a ValueError, as for every other function that is given a wrong number."""
    with pytest.raises(UnsupportedFormat) as raised:
        record_audio_to_bytes(duration)
    assert isinstance(raised.value, ValueError)
    assert str(raised.value) == f"a duration of {duration} s cannot be recorded; choose one above 0"
