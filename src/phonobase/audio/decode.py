"""Encoded chunks back to frames."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import soundfile

from phonobase.audio import encoding as encodings
from phonobase.audio.encoding import Encoding
from phonobase.errors import CorruptRecording
from phonobase.pcm import from_bytes

if TYPE_CHECKING:
    from phonobase.pcm import AudioFormat, Frames


def decode(data: bytes, frame_count: int, encoding: Encoding, audio_format: AudioFormat) -> Frames:
    """Return the frames of a run of consecutive chunks.

    Args:
        data: The stored bytes of the chunks, joined.
        frame_count: Frames that they hold.
        encoding: Of the chunks.
        audio_format: Of the frames.

    Raises:
        CorruptRecording: The bytes do not hold that many frames.
    """
    if encoding is Encoding.PCM:
        if len(data) != frame_count * audio_format.frame_bytes:
            raise CorruptRecording(f"{len(data)} bytes of PCM do not hold {frame_count} frames")
        return from_bytes(data, audio_format)
    # libsndfile needs the true count: with a wrong or unknown one it fails or stops early.
    stream = io.BytesIO(encodings.header(encoding, audio_format, frame_count) + data)
    try:
        with soundfile.SoundFile(stream) as file:
            frames: Frames = file.read(
                frame_count, dtype=audio_format.sample_format.dtype.name, always_2d=True
            )
    except (soundfile.SoundFileError, ValueError, MemoryError) as error:
        raise CorruptRecording(f"{len(data)} bytes of FLAC do not decode: {error}") from error
    if len(frames) != frame_count:
        raise CorruptRecording(f"FLAC of {frame_count} frames decodes to {len(frames)}")
    return frames
