from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import wavinfo

from phonobase.audio import bext, cues, wav
from phonobase.audio.kinds import Kind, suffixes
from phonobase.audio.labels import Label
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_past_four_gibibytes_it_is_rf64(tmp_path: Path, dtype: str) -> None:
    """With a bext chunk and cues before it, sound that 32 bits cannot count is read from its place."""
    form, count = AudioFormat(48_000, 1, SampleFormat(dtype)), 3_000_000_000
    more = bext.chunk(form, START, 12 * 3600 * 48_000, "desk", "1" * 32) + cues.cue_chunks(
        [Label(7, 2**31, "note", "odd")]
    )
    samples = np.arange(1, 1_001, dtype=form.sample_format.dtype)
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(wav.header(form, count, more) + samples.tobytes())
        file.truncate(file.tell() + (count - 1_000) * form.frame_bytes)

    with path.open("rb") as file:
        assert file.read(4) == b"RF64"
    info = wavinfo.WavInfoReader(str(path))
    assert info.data.frame_count == count
    assert (info.bext.time_reference, info.bext.originator_ref) == (12 * 3600 * 48_000, "1" * 32)
    assert [cue.sample_offset for cue in info.cues.cues] == [7]
    with soundfile.SoundFile(path) as sound:
        assert sound.frames == count
        assert sound.read(1_000, dtype=dtype).tobytes() == samples.tobytes()


def test_a_label_has_32_bits_for_its_place() -> None:
    """What does not fit is refused, and the last that fits is taken."""
    assert len(cues.cue_chunks([Label(2**32 - 2, 1, "note")])) % 2 == 0
    with pytest.raises(UnsupportedFormat, match="no label behind frame 4294967295"):
        cues.cue_chunks([Label(2**32 - 1, 1, "note")])


def test_labels_that_fill_the_comments_of_a_flac_file_are_refused() -> None:
    """A block of FLAC has 24 bits for its size; what comes near is for a file of its own."""
    labels = [Label(number, 1, "note", 50_000 * "x") for number in range(330)]

    assert len(cues.chapters(labels[:300], 8_000)) == 600
    with pytest.raises(UnsupportedFormat, match="write them to a file of their own"):
        cues.chapters(labels, 8_000)


def test_what_is_too_long_is_cut_off() -> None:
    """A description has 256 characters and no more; the fields behind it stay where they are."""
    chunk = bext.chunk(AudioFormat(8_000, 1), START, 12 * 3600 * 8_000, "x" * 300, "y" * 40)

    assert len(chunk) % 2 == 0
    found = wavinfo.wave_bext_reader.WavBextReader(chunk[8:], "ascii")
    assert (found.description, found.originator_ref) == ("x" * 256, "y" * 32)
    assert (found.originator_date, found.time_reference) == ("2026-03-01", 12 * 3600 * 8_000)


def test_names_say_the_kind() -> None:
    """Every suffix names one kind, in either case; what a folder's files are called names theirs, too."""
    kinds = {suffix: Kind.named(suffix) for suffix in suffixes()}

    assert kinds == {
        ".flac": "flac",
        ".wav": "wav",
        ".bwf": "bwf",
        ".opus": "opus",
        ".ogg": "opus",
    }
    assert Kind.named(".FLAC") is Kind.FLAC
    assert Kind.named(".mp3") is None
    assert {kind: kind.suffix for kind in Kind} == {
        "flac": ".flac",
        "wav": ".wav",
        "bwf": ".wav",
        "opus": ".opus",
    }
