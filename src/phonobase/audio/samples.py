"""The samples that a file holds, read as any player would: from its beginning to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import soundfile

from phonobase.errors import InvalidAudio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phonobase.pcm import Frames, SampleFormat

_SAMPLES = 1 << 16


def samples(path: Path, sample_format: SampleFormat) -> Iterator[Frames]:
    """Yield the frames of a file, block by block.

    Args:
        path: Of the file.
        sample_format: Of its samples.

    Raises:
        InvalidAudio: It is no sound, or does not decode.
    """
    try:
        with soundfile.SoundFile(path) as file:
            step = max(1, _SAMPLES // file.channels)
            while len(frames := file.read(step, dtype=sample_format.dtype.name, always_2d=True)):
                yield frames
    except soundfile.SoundFileError as error:
        raise InvalidAudio(f"{path} does not decode: {error}") from error
