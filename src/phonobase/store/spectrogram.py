"""The spectrogram of a stretch of a recording, at a cost that its length does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sqlalchemy import bindparam, func, select

from phonobase.audio.decode import decode
from phonobase.audio.encoding import Encoding
from phonobase.audio.flac import FRAMES_PER_PACKET
from phonobase.audio.spectrum import powers, shades, window_frames
from phonobase.errors import CorruptRecording
from phonobase.store.chunks import BATCH_BYTES
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.models import AudioRow, ChunkRow
from phonobase.store.outline import stretch

if TYPE_CHECKING:
    import numpy.typing as npt
    import sqlalchemy as sa

    from phonobase.pcm import Frames
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

WHOLE_SAMPLES = 1 << 25
"""Up to so many samples, of all channels, are decoded; of a longer stretch only a few of each column."""

_WINDOWS_PER_COLUMN = 8
_SAMPLES_AT_ONCE = 1 << 21
_PACKET_HEAD_BYTES = 4096
"""More than a FLAC frame can have beside its samples."""

_CHUNKS, _AUDIOS = (cast("sa.Table", row.__table__) for row in (ChunkRow, AudioRow))
_CHUNK, _AUDIO = _CHUNKS.c, _AUDIOS.c
_BEGINNINGS = (
    select(_CHUNK.first_frame)
    .where(_CHUNK.recording_id == bindparam("id"), _CHUNK.first_frame < bindparam("stop"))
    .order_by(_CHUNK.first_frame)
)
_FIRST_PACKETS = (
    select(_CHUNK.first_frame, _CHUNK.frame_count, func.substr(_AUDIO.data, 1, bindparam("bytes")))
    .join(_AUDIOS, (_AUDIO.recording_id == _CHUNK.recording_id) & (_AUDIO.seq == _CHUNK.seq))
    .where(
        _CHUNK.recording_id == bindparam("id"), _CHUNK.first_frame.in_(bindparam("frames", expanding=True))
    )
    .order_by(_CHUNK.first_frame)
    .execution_options(**{FETCHES_AUDIO: True})
)


def spectrogram(
    archive: Archive,
    recording: Recording,
    start: int = 0,
    stop: int | None = None,
    width: int = 1000,
    height: int = 256,
) -> npt.NDArray[np.uint8]:
    """Return the spectrogram of a recording from one frame to another, as grey.

    A column is the mean of up to eight windows that are spread evenly over its frames: all of these, where
    it is short. In a stretch of more than 2^25 samples, 12 minutes of one channel at 44.1 kHz, it is the
    first 4096 frames of the chunk that holds its middle. So no more than ``width`` of these are read, however
    long the stretch is.

    Args:
        archive: Where it is.
        recording: As it was when it was looked up.
        start: First frame, counted from 0.
        stop: The frame behind the last one; the end, where not given or beyond it.
        width: How many columns.
        height: How many rows, each as wide; 2048 at most, that chunks' beginnings have that many frequencies.

    Returns:
        Of shape (height, width), the highest frequencies first; what the shades mean phonobase.audio.spectrum
        says.

    Raises:
        InvalidDetails: There is no frame in the stretch.
        CorruptRecording: Chunks are missing or do not decode.
    """
    start, stop = stretch(recording, start, stop)
    if (stop - start) * recording.format.channels <= WHOLE_SAMPLES:
        power = _of_all(archive, recording, start, stop, width, height)
    else:
        power = _of_beginnings(archive, recording, start, stop, width, height)
    return shades(power).T[::-1]


def _of_all(
    archive: Archive, recording: Recording, start: int, stop: int, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Return the power in each column and row of a stretch that is decoded as a whole."""
    size, channels, length = window_frames(height), recording.format.channels, stop - start
    per_column = min(_WINDOWS_PER_COLUMN, max(1, -(-length * 2 // (width * size))))
    count = width * per_column
    # Some begin before the recording or end behind it; there is silence.
    firsts = start + (2 * np.arange(count) + 1) * length // (2 * count) - size // 2
    at_once = max(1, _SAMPLES_AT_ONCE // (channels * max(size, length // count)))
    found = np.zeros((count, height))
    for place in range(0, count, at_once):
        some = firsts[place : place + at_once]
        first, end = int(some[0]), int(some[-1]) + size
        frames = archive.stored(recording).array(max(0, first), end)
        behind = end - max(0, first) - len(frames)
        samples = np.pad(_samples(frames, recording), ((0, 0), (max(0, -first), behind)))
        windows = sliding_window_view(samples, size, axis=1)[:, some - first]
        found[place : place + at_once] = powers(windows.transpose(1, 0, 2), height)
    averaged: npt.NDArray[np.float64] = found.reshape(width, per_column, height).mean(axis=1)
    return averaged


def _of_beginnings(
    archive: Archive, recording: Recording, start: int, stop: int, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Return the power in each column and row, by the beginning of the chunk in each column's middle."""
    form = recording.format
    with archive.session() as session:
        begins = np.array(session.scalars(_BEGINNINGS, {"id": recording.id, "stop": stop}).all(), np.int64)
    middles = start + (2 * np.arange(width) + 1) * (stop - start) // (2 * width)
    held_by = begins[(begins.searchsorted(middles, "right") - 1).clip(0)]
    at_most = FRAMES_PER_PACKET * form.frame_bytes + _PACKET_HEAD_BYTES
    wanted = np.unique(held_by)
    found = np.zeros((len(wanted), height))
    for first in range(0, len(wanted), per_batch := max(1, BATCH_BYTES // at_most)):
        some = [int(frame) for frame in wanted[first : first + per_batch]]
        values = {"id": recording.id, "frames": some, "bytes": at_most}
        with archive.session() as session:
            rows = session.execute(_FIRST_PACKETS, values).all()
        if [row[0] for row in rows] != some:
            raise CorruptRecording(
                f"recording {recording.id.hex}: a chunk is missing from frame {some[0]} to {some[-1]}; "
                f"see what is left with: phonobase verify {recording.id.hex}"
            )
        for place, (_, frame_count, data) in enumerate(rows, first):
            found[place] = _of_beginning(recording, min(frame_count, FRAMES_PER_PACKET), data, height)
    in_columns: npt.NDArray[np.float64] = found[wanted.searchsorted(held_by)]
    return in_columns


def _of_beginning(
    recording: Recording, frame_count: int, data: bytes, height: int
) -> npt.NDArray[np.float32]:
    """Return the power in each row of the first frames of a chunk, given the bytes that begin with them."""
    if recording.encoding is Encoding.PCM:
        data = data[: frame_count * recording.format.frame_bytes]
    frames = decode(data, frame_count, recording.encoding, recording.format)
    size = window_frames(height)
    samples = np.pad(_samples(frames, recording), ((0, 0), (0, max(0, size - frame_count))))
    windows = sliding_window_view(samples, size, axis=1)[:, :: size // 2]
    averaged: npt.NDArray[np.float32] = powers(windows.transpose(1, 0, 2), height).mean(axis=0)
    return averaged


def _samples(frames: Frames, recording: Recording) -> npt.NDArray[np.float32]:
    """Return frames as samples of shape (channels, frames), full scale being 1.0."""
    scale = np.float32(1 / recording.format.sample_format.full_scale)
    return frames.T.astype(np.float32) * scale
