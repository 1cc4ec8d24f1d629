import itertools
import math

import numpy as np
import pytest

from phonobase.capture import ToneInput
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat


def test_the_first_samples_are_those_of_the_formula() -> None:
    """Channels are sines as 4 : 5 : 6, rounded to the nearest step."""
    frames = ToneInput(AudioFormat(48_000, 3), 440, -6).frames(0, 1000)
    amplitude = 10 ** (-6 / 20)
    expected = [
        [
            round(amplitude * 32_768 * math.sin(2 * math.pi * frequency * n / 48_000))
            for frequency in (440, 550, 660)
        ]
        for n in range(1000)
    ]
    assert frames.tolist() == expected


@pytest.mark.parametrize("sample_format", list(SampleFormat))
def test_a_frame_depends_on_its_number_alone(sample_format: SampleFormat) -> None:
    """However the tone is cut into blocks, and after a year, the same frame is the same samples."""
    tone = ToneInput(AudioFormat(44_100, 32, sample_format), 440.5)
    joined = np.concatenate([block.frames for block in itertools.islice(tone.blocks(), 3)])
    assert joined.dtype == sample_format.dtype
    assert joined.tobytes() == tone.frames(0, 3 * 4410).tobytes()
    year = 44_100 * 1000 * 86_400
    assert tone.frames(year, 100).tobytes() == tone.frames(year % (44_100 * 4000), 100).tobytes()


@pytest.mark.parametrize("sample_format", list(SampleFormat))
def test_the_level_is_what_was_asked_for(sample_format: SampleFormat) -> None:
    """Full scale reaches the largest value and no further."""
    frames = ToneInput(AudioFormat(48_000, 1, sample_format), 1000, 0).frames(0, 48_000)
    assert float(frames.max()) == sample_format.largest
    quiet = ToneInput(AudioFormat(48_000, 1, sample_format), 1000, -20).frames(0, 48_000)
    assert float(quiet.max()) / sample_format.full_scale == pytest.approx(0.1, abs=1e-4)


def test_a_tone_ends_when_it_is_stopped() -> None:
    """stop() ends it before the next block."""
    tone = ToneInput(AudioFormat(8000, 1))
    blocks = tone.blocks()
    assert len(next(blocks).frames) == 800
    tone.stop()
    assert (list(blocks), tone.frame_count) == ([], None)
    assert tone.description == {"input": "tone", "frequency_hz": 440.0, "level_dbfs": -12.0}


@pytest.mark.parametrize(
    ("frequency_hz", "level_dbfs"),
    [(0, -12), (-1, -12), (4001, -12), (math.nan, -12), (440, 0.1), (440, math.nan)],
)
def test_a_tone_that_cannot_be_made_is_refused(frequency_hz: float, level_dbfs: float) -> None:
    """Neither a frequency above half the rate nor a level above full scale is made."""
    with pytest.raises(UnsupportedFormat, match=r"^a tone of "):
        ToneInput(AudioFormat(8000, 1), frequency_hz, level_dbfs)
