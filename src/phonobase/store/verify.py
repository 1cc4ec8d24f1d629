"""Is everything there, and is it what was recorded?"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import func, select

from phonobase.audio import chain
from phonobase.audio import encoding as encodings
from phonobase.audio.cut import MAX_CHUNK_BYTES
from phonobase.audio.level import Level, measure
from phonobase.audio.peaks import envelope
from phonobase.errors import CorruptRecording
from phonobase.pcm import to_bytes
from phonobase.store.chunks import BATCH_BYTES, StoredChunk, decode_run
from phonobase.store.columns import to_us
from phonobase.store.compute import here
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.models import AudioRow, ChunkRow
from phonobase.store.recording import State, comments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from phonobase.pcm import Frames
    from phonobase.store.compute import Compute
    from phonobase.store.recording import Recording

_Joined: TypeAlias = Any
"""A chunk row and its audio; what Row takes as parameters differs between SQLAlchemy 2.0 and 2.1."""

_FAULTS_NAMED = 20
_ROWS = BATCH_BYTES // MAX_CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was recorded.

    Attributes:
        seq: The chunk; None where it concerns the recording as a whole.
        message: What is wrong with it.
    """

    seq: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.seq is None else f"chunk {self.seq}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of re-reading a recording.

    Attributes:
        recording: As the archive had it.
        faults: What is wrong, in order of place, the first twenty; empty where all is as it was recorded.
        decoded: Whether the sound itself was compared too: not while the recording is open, nor where it
            does not decode.
    """

    recording: Recording
    faults: tuple[Fault, ...]
    decoded: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(
    session: Session,
    recording: Recording,
    on_progress: Callable[[int], None] = lambda _bytes: None,
    compute: Compute = here,
) -> Verification:
    """Re-read every byte of a recording and compare it with everything that was written down of it.

    Args:
        session: To read with.
        recording: As ``get`` returns it.
        on_progress: Called with the number of bytes that were read since the last call.
        compute: Does what needs no database: decodes and hashes.
    """
    walk = _Walk(recording)
    for rows in _batches(session, recording):
        compute(walk.take, rows)
        on_progress(sum(len(row.data or b"") for row in rows))
    walk.end(_orphans(session, recording))
    return Verification(recording, tuple(walk.faults[:_FAULTS_NAMED]), walk.decodes)


_BATCH = (
    select(
        ChunkRow.seq,
        ChunkRow.first_frame,
        ChunkRow.frame_count,
        ChunkRow.first_byte,
        ChunkRow.byte_count,
        ChunkRow.sha256,
        ChunkRow.chain,
        ChunkRow.peak_dbfs,
        ChunkRow.rms_dbfs,
        ChunkRow.peaks,
        AudioRow.data,
    )
    .outerjoin(
        AudioRow,
        (AudioRow.recording_id == ChunkRow.recording_id) & (AudioRow.seq == ChunkRow.seq),
    )
    .order_by(ChunkRow.seq)
    .execution_options(**{FETCHES_AUDIO: True})
)


def _batches(session: Session, recording: Recording) -> Iterator[list[_Joined]]:
    """Yield all chunk rows there are, whether or not they should be, with their audio or None."""
    statement = _BATCH.where(ChunkRow.recording_id == recording.id)
    statement = statement.limit(_ROWS)
    last = -1
    while rows := list(session.execute(statement.where(ChunkRow.seq > last))):
        if recording.state is State.RECORDING:  # it may have grown since it was looked up
            rows = [row for row in rows if row.seq < recording.chunk_count]
            if not rows:
                return
        yield rows
        last = rows[-1].seq


def _orphans(session: Session, recording: Recording) -> int:
    """Count audio rows that belong to no chunk."""
    statement = (
        select(func.count())
        .select_from(AudioRow)
        .outerjoin(
            ChunkRow,
            (AudioRow.recording_id == ChunkRow.recording_id) & (AudioRow.seq == ChunkRow.seq),
        )
        .where(AudioRow.recording_id == recording.id, ChunkRow.seq.is_(None))
    )
    return session.scalar(statement) or 0


class _Walk:
    """Goes through a recording's chunks in order and remembers what is wrong."""

    def __init__(self, recording: Recording) -> None:
        self.faults: list[Fault] = []
        self.decodes = recording.state is not State.RECORDING
        self._recording = recording
        self._seq = self._frame = self._byte = 0
        start = chain.genesis(
            recording.id,
            to_us(recording.started_at),
            recording.format,
            recording.encoding,
            recording.source,
        )
        # A link may stand on what is stored before it or on what should be: one fault is named once.
        self._links = {start}
        self._head = start
        self._level = Level()
        self._outline_faults: list[Fault] = []
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def take(self, rows: list[_Joined]) -> None:
        """Check consecutive rows."""
        for row in rows:
            self._check_place(row)
            self._check_bytes(row)
            self._check_link(row)
        if self.decodes and not self.faults:
            self._decode(rows)

    def end(self, orphans: int) -> None:
        """Check what the recording says of all of them."""
        recording = self._recording
        if self._seq < recording.chunk_count:
            self._fault(self._seq, f"is missing, and all behind it to {recording.chunk_count - 1}")
        if orphans:
            self._fault(None, f"{orphans} audio rows belong to no chunk: something was added")
        self._compare("chain_head", recording.chain_head, self._head)
        self._compare("frame_count", recording.frame_count, self._frame)
        self._compare("byte_count", recording.byte_count, self._byte)
        self._compare("header_sha256", recording.header_sha256, _sha256(recording.header))
        if self.faults:
            return
        self._compare("media_type", recording.media_type, recording.encoding.media_type)
        duration = timedelta(microseconds=recording.format.microseconds(recording.frame_count))
        self._compare("ended_at", recording.ended_at, recording.started_at + duration)
        if self.decodes:
            self._compare("pcm_sha256", recording.pcm_sha256, self._sha256.digest())
            self._check_level()
        if not self.faults:
            self._check_header()

    def _check_place(self, row: _Joined) -> None:
        if row.seq >= self._recording.chunk_count:
            self._fault(row.seq, f"was added: the recording has {self._recording.chunk_count} chunks")
        if row.seq != self._seq:
            self._fault(self._seq, "is missing")
            self._links = set()  # whatever stood there, nothing can be said of the link behind it
        elif (row.first_frame, row.first_byte) != (self._frame, self._byte):
            self._fault(
                row.seq,
                f"begins at frame {row.first_frame}, byte {row.first_byte}, "
                f"and should at frame {self._frame}, byte {self._byte}",
            )
        self._seq = row.seq + 1
        self._frame = row.first_frame + row.frame_count
        self._byte = row.first_byte + row.byte_count

    def _check_bytes(self, row: _Joined) -> None:
        if row.data is None:
            self._fault(row.seq, "its audio is missing")
        elif len(row.data) != row.byte_count:
            self._fault(row.seq, f"{len(row.data)} bytes of audio, and {row.byte_count} recorded")
        elif _sha256(row.data) != row.sha256:
            self._fault(row.seq, "its audio and its sha256 differ: one of them was changed")

    def _check_link(self, row: _Joined) -> None:
        rest = (row.seq, row.first_frame, row.frame_count, row.sha256)
        right = {chain.link(previous, *rest) for previous in self._links}
        if self._links and row.chain not in right:
            self._fault(row.seq, "its chain differs: it, its place or what the recording is was changed")
        self._links = right | {row.chain}
        self._head = row.chain

    def _decode(self, rows: list[_Joined]) -> None:
        run = [
            StoredChunk(row.seq, row.first_frame, row.frame_count, row.first_byte, row.sha256, row.data)
            for row in rows
        ]
        try:
            frames = decode_run(self._recording, run)
        except CorruptRecording as error:
            self._fault(run[0].seq, f"or one behind it does not decode: {error}")
            self.decodes = False
            return
        pcm = to_bytes(frames, self._recording.format.sample_format)
        self._sha256.update(pcm)
        self._md5.update(pcm)
        for row in rows:
            start = row.first_frame - rows[0].first_frame
            self._check_outline(row, frames[start : start + row.frame_count])

    def _check_outline(self, row: _Joined, frames: Frames) -> None:
        form = self._recording.format.sample_format
        level = measure(frames, form)
        self._level += level
        if row.peaks != envelope(frames, form):
            self._outline_faults.append(Fault(row.seq, "its peaks are not the outline of its sound"))
        if not (_close(row.peak_dbfs, level.peak_dbfs) and _close(row.rms_dbfs, level.rms_dbfs)):
            self._outline_faults.append(Fault(row.seq, "its level is not that of its sound"))

    def _check_level(self) -> None:
        self.faults += self._outline_faults
        self._compare("clipped_frames", self._recording.clipped_frames, self._level.clipped_frames)
        for name in ("peak_dbfs", "rms_dbfs"):
            if not _close(getattr(self._recording, name), getattr(self._level, name)):
                self._fault(None, f"its {name} is not that of its chunks")

    def _check_header(self) -> None:
        """The header must be the one that the sound asks for."""
        recording = self._recording
        should = encodings.header(
            recording.encoding,
            recording.format,
            recording.frame_count,
            self._md5.digest() if self.decodes else bytes(16),
            comments(recording),
        )
        stored = encodings.essence(recording.encoding, recording.header)
        whole = encodings.is_whole(recording.encoding, recording.header)
        if not whole or stored != encodings.essence(recording.encoding, should):
            self._fault(None, "its header is not that of its sound")

    def _compare(self, name: str, stored: object, found: object) -> None:
        if stored != found:
            self._fault(None, f"its {name} is not that of its chunks")

    def _fault(self, seq: int | None, message: str) -> None:
        self.faults.append(Fault(seq, message))


def _close(stored: float, measured: float) -> bool:
    """Whether two levels are the same but for the last digits, which depend on the processor."""
    return math.isclose(stored, measured, abs_tol=1e-6)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
