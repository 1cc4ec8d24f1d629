"""A recording into a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from phonobase.audio import encoding as encodings
from phonobase.errors import CorruptRecording, UnsupportedFormat
from phonobase.store.recording import comments

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonobase.audio.encoding import Encoding
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording


def write_as(
    archive: Archive,
    recording: Recording,
    encoding: Encoding,
    out: BinaryIO,
    on_frames: Callable[[int], None] = lambda _frames: None,
) -> None:
    """Write a recording as a file of an encoding; where that is its own, the bytes are copied.

    Args:
        archive: Where it is.
        recording: Which.
        encoding: FLAC, or PCM for a WAV file.
        out: Where to write. Where it cannot seek, a re-encoded FLAC goes without its MD5.
        on_frames: Called with the number of frames that were written since the last call.

    Raises:
        UnsupportedFormat: FLAC cannot hold its format.
        CorruptRecording: Chunks are missing or do not decode.
    """
    if encoding is recording.encoding:
        _copy(archive, recording, out, on_frames)
    else:
        try:
            encodings.choose(recording.format, encoding)
        except UnsupportedFormat as error:
            raise UnsupportedFormat(
                f"recording {recording.id.hex} is {recording.format}, which FLAC cannot hold; "
                "name a file that ends in .wav"
            ) from error
        _encode(archive, recording, encoding, out, on_frames)


def _copy(archive: Archive, recording: Recording, out: BinaryIO, on_frames: Callable[[int], None]) -> None:
    out.write(recording.header)
    for chunk in archive.stored(recording).chunks():
        if hashlib.sha256(chunk.data).digest() != chunk.sha256:
            raise CorruptRecording(
                f"recording {recording.id.hex}: chunk {chunk.seq} is not as it was recorded, so it is not "
                f"exported; see all that is wrong with: phonobase verify {recording.id.hex}"
            )
        out.write(chunk.data)
        on_frames(chunk.frame_count)


def _encode(
    archive: Archive,
    recording: Recording,
    encoding: Encoding,
    out: BinaryIO,
    on_frames: Callable[[int], None],
) -> None:
    encoder, md5 = encodings.encoder(encoding, recording.format), bytes(16)

    def header() -> bytes:
        return encodings.header(encoding, recording.format, recording.frame_count, md5, comments(recording))

    out.write(header())
    for frames in archive.stored(recording).frames():
        out.writelines(packet.data for packet in encoder.write(frames))
        on_frames(len(frames))
    out.writelines(packet.data for packet in encoder.finish())
    if out.seekable():
        md5 = encoder.md5
        out.seek(0)
        out.write(header())
