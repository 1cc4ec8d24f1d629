"""Stored chunks: where they are, their bytes, their frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import bindparam, select

from phonobase.audio.decode import decode
from phonobase.errors import CorruptRecording
from phonobase.store.compute import here
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.models import AudioRow, ChunkRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import ScalarSelect, Select
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from phonobase.pcm import Frames
    from phonobase.store.compute import Compute
    from phonobase.store.recording import Recording

BATCH_BYTES = 2 * 1024 * 1024
"""What is fetched at once, about: enough that the statement costs nothing, little enough for any memory."""

_DECODED_BYTES = 16 * 1024 * 1024
"""What a batch may decode to, about: silence is small until then."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it lies in the database; ``data`` is what its audio row holds."""

    seq: int
    first_frame: int
    frame_count: int
    first_byte: int
    sha256: bytes
    data: bytes


_BATCH = (
    select(
        ChunkRow.seq,
        ChunkRow.first_frame,
        ChunkRow.frame_count,
        ChunkRow.first_byte,
        ChunkRow.sha256,
        AudioRow.data,
    )
    .join(
        AudioRow,
        (AudioRow.recording_id == ChunkRow.recording_id) & (AudioRow.seq == ChunkRow.seq),
    )
    .where(ChunkRow.recording_id == bindparam("id"))
    .order_by(ChunkRow.seq)
    .limit(bindparam("count"))
    .execution_options(**{FETCHES_AUDIO: True})
)


def at_frame(found: InstrumentedAttribute[int], place: str) -> ScalarSelect[int]:
    """Return what is found of the chunk that holds a frame.

    Args:
        found: Which column.
        place: The name of the parameter that the frame is; the recording is "id".
    """
    return (
        select(found)
        .where(ChunkRow.recording_id == bindparam("id"), ChunkRow.first_frame <= bindparam(place))
        .order_by(ChunkRow.first_frame.desc())
        .limit(1)
        .scalar_subquery()
    )


_BY_SEQ = _BATCH.where(ChunkRow.seq >= bindparam("first_seq"))
# Both edges, or the rest of a recording would be looked at for a few seconds of it.
_BY_FRAME = _BATCH.where(
    ChunkRow.seq >= at_frame(ChunkRow.seq, "first"), ChunkRow.seq <= at_frame(ChunkRow.seq, "last")
)
_AT_FRAME = select(at_frame(ChunkRow.seq, "first"))


def _at_byte(place: str) -> Select[int]:
    return (
        select(ChunkRow.seq)
        .where(ChunkRow.recording_id == bindparam("id"), ChunkRow.first_byte <= bindparam(place))
        .order_by(ChunkRow.first_byte.desc())
        .limit(1)
    )


_AT_BYTE = _at_byte("place")
_BY_BYTE = _BATCH.where(
    ChunkRow.seq >= _at_byte("first").scalar_subquery(), ChunkRow.seq <= _at_byte("last").scalar_subquery()
).limit(None)


class StoredChunks:
    """The chunks that a recording had when it was looked up.

    Args:
        recording: Whose chunks.
        session: Gives a session for each fetch: always the same one, within a host's transaction, or one
            of its own, so that no transaction stays open while somebody listens.
        batch_bytes: How much is fetched at once, about.
        compute: Does what needs no database: decodes.
    """

    def __init__(
        self,
        recording: Recording,
        session: Callable[[], AbstractContextManager[Session]],
        batch_bytes: int = BATCH_BYTES,
        compute: Compute = here,
    ) -> None:
        self.recording = recording
        self.compute = compute
        self._session = session
        self._batch_bytes = batch_bytes

    @property
    def rows_per_batch(self) -> int:
        """How many chunks are fetched at once."""
        recording = self.recording
        decoded = (
            recording.frame_count * recording.format.channels * recording.format.sample_format.dtype.itemsize
        )
        stored_rows = self._batch_bytes * recording.chunk_count // recording.byte_count
        decoded_rows = _DECODED_BYTES * recording.chunk_count // decoded
        return max(1, min(stored_rows, decoded_rows))

    def seq_at_frame(self, frame: int) -> int:
        """Return the number of the chunk that holds a frame."""
        with self._session() as session:
            return session.scalar(_AT_FRAME, {"id": self.recording.id, "first": frame}) or 0

    def seq_at_byte(self, offset: int) -> int:
        """Return the number of the chunk that holds a byte, counted behind the header."""
        with self._session() as session:
            return session.scalar(_AT_BYTE, {"id": self.recording.id, "place": offset}) or 0

    def fetch(self, first_seq: int, count: int) -> list[StoredChunk]:
        """Return so many consecutive chunks, or fewer at the end.

        Raises:
            CorruptRecording: One of them is missing.
        """
        count = min(count, self.recording.chunk_count - first_seq)
        found = self._fetched(_BY_SEQ, {"first_seq": first_seq, "count": count})
        self._check_follow(found, first_seq)
        if len(found) < count:
            raise self._missing(first_seq + len(found))
        return found

    def chunks(self) -> Iterator[StoredChunk]:
        """Yield all chunks; each is let go of when the next one is asked for.

        Raises:
            CorruptRecording: One of them is missing.
        """
        for batch in self._batches(0, self.recording.chunk_count):
            waiting = deque(batch)
            batch.clear()
            while waiting:
                yield waiting.popleft()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frames]:
        """Yield the frames from start to stop, block by block; only the chunks that hold them are read.

        Args:
            start: First frame, counted from 0.
            stop: The frame behind the last one; the end, where not given.

        Raises:
            CorruptRecording: Chunks are missing or do not decode.
            ValueError: start or stop is negative.
        """
        if start < 0 or (stop is not None and stop < 0):
            raise ValueError(f"frames from {start} to {stop}: positions are counted from 0")
        stop = self.recording.frame_count if stop is None else min(stop, self.recording.frame_count)
        if start >= stop:
            return
        for run in self.runs(start, stop):
            first = run[0].first_frame
            yield self.compute(decode_run, self.recording, run)[max(0, start - first) : stop - first]

    def runs(self, start: int, stop: int) -> Iterator[list[StoredChunk]]:
        """Yield the consecutive chunks that hold the frames from start to stop, some at a time.

        A list is emptied when the next one is asked for, so that there is never more than one in memory.

        Args:
            start: First frame, counted from 0.
            stop: The frame behind the last one; one at least, and no more than the recording has.

        Raises:
            CorruptRecording: One of them is missing.
        """
        place = start
        while place < stop:
            values = {"first": place, "last": stop - 1, "count": self.rows_per_batch}
            run = self._fetched(_BY_FRAME, values)
            self._check_follow(run, run[0].seq if run else 0)
            if not run or not run[0].first_frame <= place < run[0].first_frame + run[0].frame_count:
                at_place = self.seq_at_frame(place)
                raise self._missing(at_place + 1 if run and run[0].seq == at_place else at_place)
            place = run[-1].first_frame + run[-1].frame_count
            yield run
            run.clear()

    def bytes_at(self, first: int, end: int, at_most: int) -> bytes:
        """Return bytes of the audio rows, in one statement.

        Args:
            first: The first, counted behind the header.
            end: The byte behind the last one; no more than the recording has.
            at_most: How much is fetched, rows being whole; what is behind them is left out.

        Raises:
            CorruptRecording: A chunk that holds them is missing, or is not where it should be.
        """
        run = self._fetched(_BY_BYTE, {"first": first, "last": min(end, first + at_most) - 1})
        place, pieces = first, list[memoryview]()
        for chunk in run:
            if not chunk.first_byte <= place < chunk.first_byte + len(chunk.data):
                break  # who asks for what is behind is told
            pieces.append(memoryview(chunk.data)[place - chunk.first_byte : end - chunk.first_byte])
            place += len(pieces[-1])
        if not pieces:
            at_place = self.seq_at_byte(first)
            raise self._missing(at_place + 1 if run and run[0].seq == at_place else at_place)
        return b"".join(pieces)

    def array(self, start: int = 0, stop: int | None = None) -> Frames:
        """Return the frames that ``frames`` yields as one array of shape (frames, channels)."""
        form = self.recording.format
        nothing: Frames = np.empty((0, form.channels), dtype=form.sample_format.dtype)
        return self.compute(np.concatenate, [nothing, *self.frames(start, stop)])

    def _batches(self, first_seq: int, end_seq: int) -> Iterator[list[StoredChunk]]:
        for seq in range(first_seq, end_seq, self.rows_per_batch):
            yield self.fetch(seq, min(self.rows_per_batch, end_seq - seq))

    def _fetched(self, statement: Select[*tuple[Any, ...]], values: dict[str, int]) -> list[StoredChunk]:
        with self._session() as session:
            rows = session.execute(statement, {"id": self.recording.id, **values})
            return [StoredChunk(*row) for row in rows]

    def _check_follow(self, found: Sequence[StoredChunk], first_seq: int) -> None:
        """Raise CorruptRecording unless chunks follow each other, the first of them in its place."""
        for seq, chunk in enumerate(found, first_seq):
            if chunk.seq != seq:
                raise self._missing(seq)

    def _missing(self, seq: int) -> CorruptRecording:
        return CorruptRecording(
            f"recording {self.recording.id.hex}: chunk {seq} is missing; "
            f"see what is left with: phonobase verify {self.recording.id.hex}"
        )


def decode_run(recording: Recording, run: Sequence[StoredChunk]) -> Frames:
    """Return the frames of consecutive chunks.

    Raises:
        CorruptRecording: They do not decode.
    """
    try:
        return decode(
            b"".join(chunk.data for chunk in run),
            sum(chunk.frame_count for chunk in run),
            recording.encoding,
            recording.format,
        )
    except CorruptRecording as error:
        raise CorruptRecording(
            f"recording {recording.id.hex}, chunks {run[0].seq} to {run[-1].seq}: {error}; "
            f"find the first bad one with: phonobase verify {recording.id.hex}"
        ) from error
