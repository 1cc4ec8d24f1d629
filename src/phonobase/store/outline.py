"""The outline of a stretch of a recording: the least and the largest sample in each of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from sqlalchemy import bindparam, select

from phonobase.audio.peaks import FRAMES_PER_POINT, points
from phonobase.errors import CorruptRecording, InvalidDetails
from phonobase.store.chunks import BATCH_BYTES, at_frame
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.models import ChunkRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import sqlalchemy as sa

    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

    _Places: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]

_POINT_SCALE = 128.0

_CHUNK = cast("sa.Table", ChunkRow.__table__).c
_CHUNKS = (
    select(_CHUNK.first_frame, _CHUNK.frame_count, _CHUNK.peaks)
    .where(
        _CHUNK.recording_id == bindparam("id"),
        _CHUNK.first_frame >= at_frame(ChunkRow.first_frame, "place"),
        _CHUNK.first_frame < bindparam("stop"),
    )
    .order_by(_CHUNK.first_frame)
    .limit(bindparam("count"))
    .execution_options(**{FETCHES_AUDIO: True})  # bytes, on either database
)


@dataclass(frozen=True, slots=True)
class Outline:
    """The least and the largest sample in every column of a stretch of a recording.

    Column i holds the frames from ``start + i * (stop - start) // columns`` up to where the next one begins.

    Attributes:
        start: Frames of the recording before it.
        stop: The frame behind its last one.
        low: The least sample, of shape (columns, channels), full scale being 1.0.
        high: The largest, of the same shape.
    """

    start: int
    stop: int
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return len(self.low)


def outline(
    archive: Archive, recording: Recording, start: int = 0, stop: int | None = None, columns: int = 1000
) -> Outline:
    """Return the outline of a recording from one frame to another.

    Where a column holds as many frames as a stored point or more, no audio is read: the column is that of all
    points of which it holds a frame, each up to 512 frames long and rounded outwards to 1/128 of full scale.
    Where it holds fewer, the frames are decoded and it is exact.

    Args:
        archive: Where it is.
        recording: As it was when it was looked up.
        start: First frame, counted from 0.
        stop: The frame behind the last one; the end, where not given or beyond it.
        columns: How many are wanted; there are never more than frames.

    Raises:
        InvalidDetails: There is no frame in the stretch.
        CorruptRecording: Chunks are missing or do not decode.
    """
    start, stop = stretch(recording, start, stop)
    columns = min(columns, stop - start)
    drawn = _Columns(start, stop, columns, recording.format.channels)
    if stop - start >= columns * FRAMES_PER_POINT:
        for run in _runs(archive, recording, start, stop):
            drawn.add(run.low, run.high, run.first_frame, run.end_frame, run.place_of)
        scale = _POINT_SCALE
    else:
        first = start
        for frames in archive.stored(recording).frames(start, stop):
            drawn.add(frames, frames, first, first + len(frames), _behind(first))
            first += len(frames)
        scale = recording.format.sample_format.full_scale
    low, high = (np.clip(values / scale, -1, 1) for values in (drawn.low, drawn.high))
    return Outline(start, stop, low, high)


def stretch(recording: Recording, start: int, stop: int | None) -> tuple[int, int]:
    """Return the bounds of a stretch of a recording, as far as it goes.

    Raises:
        InvalidDetails: There is no frame in it.
    """
    end = recording.frame_count if stop is None else min(stop, recording.frame_count)
    if not 0 <= start < end:
        raise InvalidDetails(
            f"no frame lies from {start} to {end if stop is None else stop}; the recording has "
            f"{recording.frame_count}, counted from 0"
        )
    return start, end


def _behind(first_frame: int) -> _Places:
    """Return what tells which of consecutive frames are given ones."""
    return lambda frames: frames - first_frame


class _Columns:
    """Columns that are filled bit by bit, from left to right."""

    def __init__(self, start: int, stop: int, columns: int, channels: int) -> None:
        self._edges = start + np.arange(columns + 1) * (stop - start) // columns
        self.low = np.full((columns, channels), np.inf)
        self.high = np.full((columns, channels), -np.inf)

    def add(
        self,
        low: npt.NDArray[Any],
        high: npt.NDArray[Any],
        first_frame: int,
        end_frame: int,
        place_of: _Places,
    ) -> None:
        """Put values, each of so many frames as a column or fewer, into all columns that they touch.

        Args:
            low: The least samples, of shape (values, channels).
            high: The largest.
            first_frame: The frame that the first value begins at.
            end_frame: The frame behind the last one.
            place_of: Tells which values hold given frames.
        """
        first = max(0, int(self._edges.searchsorted(first_frame, "right")) - 1)
        end = int(self._edges.searchsorted(end_frame, "left"))
        edges = self._edges[first : end + 1].clip(first_frame, end_frame)
        begin, last = place_of(edges[:-1]), place_of(edges[1:] - 1)
        stop = int(last[-1]) + 1
        # Its last value a column may share with the next one, up to whose first it is looked through.
        for kept, values, least in ((self.low, low, np.minimum), (self.high, high, np.maximum)):
            found = least(least.reduceat(values[:stop], begin), values[last])
            least(kept[first:end], found, out=kept[first:end])


@dataclass(frozen=True, slots=True)
class _Run:
    """The outlines of consecutive chunks.

    Attributes:
        chunk_first: The frame that each chunk begins at.
        first_point: Points before each chunk.
        end_frame: The frame behind the last one.
        points: Of shape (points, channels, 2).
    """

    chunk_first: npt.NDArray[np.int64]
    first_point: npt.NDArray[np.int64]
    end_frame: int
    points: npt.NDArray[np.int8]

    @property
    def first_frame(self) -> int:
        return int(self.chunk_first[0])

    @property
    def low(self) -> npt.NDArray[np.int8]:
        return self.points[..., 0]

    @property
    def high(self) -> npt.NDArray[np.int8]:
        return self.points[..., 1]

    def place_of(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        chunk = self.chunk_first.searchsorted(frames, "right") - 1
        return self.first_point[chunk] + (frames - self.chunk_first[chunk]) // FRAMES_PER_POINT


def _runs(archive: Archive, recording: Recording, start: int, stop: int) -> Iterator[_Run]:
    """Yield the outlines of the chunks that hold the frames from start to stop, some at a time."""
    outline_bytes = recording.frame_count // FRAMES_PER_POINT * 2 * recording.format.channels
    count = max(1, BATCH_BYTES * recording.chunk_count // max(1, outline_bytes))
    place = start
    while place < stop:
        with archive.session() as session:
            values = {"id": recording.id, "place": place, "stop": stop, "count": count}
            rows = session.execute(_CHUNKS, values).all()
        first, frame_counts = (np.array([row[field] for row in rows], np.int64) for field in (0, 1))
        ends = first + frame_counts
        if not rows or not first[0] <= place < ends[0] or (ends[:-1] != first[1:]).any():
            raise CorruptRecording(
                f"recording {recording.id.hex}: a chunk is missing behind frame {place}; "
                f"see what is left with: phonobase verify {recording.id.hex}"
            )
        point_counts = -(-frame_counts // FRAMES_PER_POINT)
        place = int(ends[-1])
        yield _Run(
            first,
            point_counts.cumsum() - point_counts,
            place,
            points(b"".join([row[2] for row in rows]), recording.format.channels),
        )
