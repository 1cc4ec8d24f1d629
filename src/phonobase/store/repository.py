"""Recordings as rows, inside a transaction that belongs to somebody else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack, cast

import sqlalchemy as sa
from sqlalchemy import select

from phonobase.errors import (
    InvalidDetails,
    RecordingClosed,
    StoreError,
)
from phonobase.store.annotations import annotate, delete_annotation, find_annotations
from phonobase.store.chunks import StoredChunks
from phonobase.store.compute import here
from phonobase.store.coverage import Gap
from phonobase.store.draft import whole
from phonobase.store.editing import edit
from phonobase.store.file import open_file
from phonobase.store.finding import finding
from phonobase.store.found import Recordings
from phonobase.store.gaps import add_gap, add_source
from phonobase.store.lookup import not_found, resolve
from phonobase.store.models import AnnotationRow, AudioRow, ChunkRow, GapRow, RecordingRow, SourceRow
from phonobase.store.query import query_of
from phonobase.store.recording import (
    Details,
    NewRecording,
    Recording,
    State,
    audio_format,
)
from phonobase.store.recover import Closing, closing
from phonobase.store.rows import chunk_row, header_row, new_row, progress_row, to_recording
from phonobase.store.verify import Verification, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from phonobase.audio.seal import Chunk
    from phonobase.pcm import Frames
    from phonobase.store.annotations import Annotation, AnnotationConditions
    from phonobase.store.compute import Compute
    from phonobase.store.draft import Draft
    from phonobase.store.editing import Changes
    from phonobase.store.query import Conditions, Query

# The tables themselves: rows are written one a statement, without the unit of work.
_RECORDING, _CHUNK, _AUDIO = (cast("sa.Table", row.__table__) for row in (RecordingRow, ChunkRow, AudioRow))
_SELECT = select(*_RECORDING.columns)
_BY_ID = _SELECT.where(RecordingRow.id == sa.bindparam("id"))  # put together once: it is asked for most
# Many rows are one statement each, sent in one go: never a thousand payloads in a statement.
_INSERT_CHUNK, _INSERT_AUDIO = sa.insert(_CHUNK), sa.insert(_AUDIO)
_UPDATE_OPEN = sa.update(_RECORDING).where(
    RecordingRow.id == sa.bindparam("open_id"), RecordingRow.state == State.RECORDING
)


class RecordingRepository:
    """The archive through a session.

    The session's transaction is the caller's: nothing here commits, rolls back or closes. What is written
    is sent at once, so an error shows at the call that caused it.

    Where an id is asked for, a UUID does, or its hexadecimal digits, or the last of them (four at least)
    as long as no other recording ends in them, or ``last``.

    Args:
        session: A session on a database that has phonobase's tables.
        compute: Does what needs no database: encodes, decodes, hashes.
    """

    def __init__(self, session: Session, compute: Compute = here) -> None:
        self._session = session
        self._compute = compute

    # Writing

    def add(
        self,
        audio_bytes: bytes,
        samplerate: int,
        channels: int = 1,
        dtype: str = "int16",
        **details: Unpack[Details],
    ) -> Recording:
        """Store sound that is there as a whole, and return the recording.

        Args:
            audio_bytes: Interleaved little-endian PCM.
            samplerate: In Hz.
            channels: 1 to 32.
            dtype: ``int16``, ``int24`` (packed in three bytes), ``int32`` or ``float32``.
            details: What else is to be said of it, as Details lists: source, title, tags and others.

        Raises:
            UnsupportedFormat: The format cannot be stored.
            InvalidAudio: The bytes are no whole number of frames, or none, or hold NaN.
        """
        form = audio_format(samplerate, channels, dtype)
        draft, chunks = self._compute(whole, audio_bytes, form, **details)
        self.append(draft, chunks)
        return self.close(draft, State.COMPLETE)

    def append(self, draft: Draft, chunks: Sequence[Chunk]) -> None:
        """Store the chunks that were sealed since the last call, and with the first the recording.

        Raises:
            RecordingClosed: Somebody else closed the recording meanwhile.
        """
        progress = progress_row(draft.new, draft.totals) | header_row(draft.header)
        if chunks[0].seq == 0:
            self._begin(draft.new, progress)
        else:
            self._update(draft.new.id, progress)
        self._session.execute(_INSERT_CHUNK, [chunk_row(draft.new, chunk) for chunk in chunks])
        self._session.execute(
            _INSERT_AUDIO,
            [{"recording_id": draft.new.id, "seq": chunk.seq, "data": chunk.data} for chunk in chunks],
        )

    def close(self, draft: Draft, state: State, drift_ppm: float | None = None) -> Recording:
        """End a recording whose chunks are all stored, and return it."""
        end = Closing(draft.final_header, draft.pcm_sha256, draft.totals.level)
        self._update(draft.new.id, end.values(state, drift_ppm))
        return self.get(draft.new.id)

    def close_as_stored(self, recording_id: UUID, drift_ppm: float | None = None) -> Recording:
        """End a recording that nobody will complete as it stands: interrupted; and return it.

        All of it is decoded for that, while the transaction is open.

        Raises:
            RecordingNotFound: There is no such recording.
            RecordingClosed: It is closed, or was continued meanwhile.
            CorruptRecording: Chunks are missing or do not decode.
        """
        stored = self._stored(recording_id)
        return self.seal(stored.recording, closing(stored), drift_ppm)

    def seal(self, recording: Recording, end: Closing, drift_ppm: float | None = None) -> Recording:
        """End a recording as what was found in the database; and return it: interrupted.

        Args:
            recording: As it was when it was read.
            end: What was found.
            drift_ppm: Of its sample clock, where that was measured.

        Raises:
            RecordingClosed: It is closed, or was continued meanwhile.
        """
        self._update(recording.id, end.values(State.INTERRUPTED, drift_ppm), recording.chain_head)
        return self.get(recording.id)

    def add_gap(
        self,
        source: str,
        started_at: datetime,
        ended_at: datetime,
        cause: str,
        *,
        detail: str | None = None,
        recording: Recording | NewRecording | None = None,
        first_frame: int | None = None,
        frame_count: int | None = None,
        run_id: UUID | None = None,
    ) -> None:
        """List a stretch of a source's time as not heard.

        Args:
            source: What was not heard; it is made where there was no sound of it yet.
            started_at: Its beginning.
            ended_at: Its end.
            cause: Why, in a word: ``overflow``, ``deleted``.
            detail: More, for people.
            recording: The recording it lies in, if any.
            first_frame: Frames of that recording before the gap.
            frame_count: Frames of silence that stand for it there; 0 where it could not be measured.
            run_id: The run it belongs to; that of the recording, where it lies in one.

        Raises:
            InvalidDetails: It ends before it begins, has no cause, or holds what cannot be stored.
        """
        gap = Gap(
            source=source,
            started_at=started_at,
            ended_at=ended_at,
            cause=cause,
            detail=detail,
            recording_id=recording.id if recording else None,
            first_frame=first_frame,
            frame_count=frame_count,
            run_id=recording.run_id if recording else run_id,
        )
        add_gap(self._session, gap)

    def edit(self, recording_id: UUID | str, **changes: Unpack[Changes]) -> Recording:
        """Change what is said of a recording, and return it as it is now.

        The recording may still be open: whoever records it changes none of this.

        Args:
            recording_id: Which recording.
            changes: What is to be said, as Changes lists; what is not given stays.

        Raises:
            RecordingNotFound: There is no such recording.
            InvalidDetails: A text or a tag cannot be stored.
        """
        full_id = self.resolve(recording_id)
        edit(self._session, full_id, changes)
        return self.get(full_id)

    def delete(self, recording_id: UUID | str, reason: str) -> None:
        """Delete a recording; its time stays listed, as a gap of cause ``deleted``.

        Raises:
            RecordingNotFound: There is no such recording.
            StoreError: It is still being recorded.
            InvalidDetails: There is no reason given.
        """
        if not reason:
            raise InvalidDetails("a recording is not deleted without a reason; say why, it will be listed")
        recording = self.get(recording_id)
        if recording.state is State.RECORDING:
            raise StoreError(
                f"recording {recording.id.hex} is still open, so it is not deleted; "
                "end its recorder, or close it with: phonobase recover"
            )
        self.discard(recording.id)
        self.add_gap(
            recording.source,
            recording.started_at,
            recording.ended_at,
            "deleted",
            detail=f"recording {recording.id.hex}: {reason}",
        )

    def discard(self, recording_id: UUID) -> None:
        """Take back a recording that never came to be: it leaves no trace."""
        for table in (AudioRow, ChunkRow, GapRow, AnnotationRow):
            self._session.execute(sa.delete(table).where(table.recording_id == recording_id))
        self._session.execute(sa.delete(RecordingRow).where(RecordingRow.id == recording_id))

    def annotate(
        self,
        recording_id: UUID | str,
        first_frame: int,
        frame_count: int,
        kind: str,
        text: str | None = None,
        score: float | None = None,
        *,
        author: str,
    ) -> Annotation:
        """Say something of a stretch of a recording.

        Args:
            recording_id: Of which; it may still be open.
            first_frame: Frames of the recording before the stretch.
            frame_count: Frames in it; 0 for a moment.
            kind: What sort of thing is said: note, label, transcript, speech; 1 to 100 characters.
            text: What is said, in words.
            score: How sure or how strong, on the author's own scale.
            author: Who says it: a person, or a program and its version; 1 to 200 characters.

        Raises:
            RecordingNotFound: There is no such recording.
            InvalidDetails: The stretch is not within the frames that are there, or a text cannot be stored.
        """
        recording = self.get(recording_id)
        return annotate(self._session, recording, first_frame, frame_count, kind, text, score, author=author)

    def delete_annotation(self, annotation_id: UUID | str) -> None:
        """Take an annotation back; to correct one, make another.

        Args:
            annotation_id: Its UUID, or the hexadecimal digits of it.

        Raises:
            AnnotationNotFound: There is no such annotation.
        """
        delete_annotation(self._session, annotation_id)

    # Reading

    def get(self, recording_id: UUID | str) -> Recording:
        """Return a recording.

        Raises:
            RecordingNotFound: No recording, or more than one, answers to the id.
        """
        full_id = self.resolve(recording_id)
        row = self._session.execute(_BY_ID, {"id": full_id}).mappings().one_or_none()
        if row is None:
            raise not_found(f"has the id {full_id.hex}")
        return to_recording(row)

    def resolve(self, recording_id: UUID | str) -> UUID:
        """Return the full id that a shortened one stands for; a full one is not looked up.

        Raises:
            RecordingNotFound: No recording, or more than one, answers to it.
        """
        return resolve(self._session, recording_id)

    def find(self, query: Query | None = None, /, **conditions: Unpack[Conditions]) -> Recordings:
        """Return the recordings that meet all conditions, the newest first; no audio is read.

        Args:
            query: What is looked for; all recordings, where not given.
            conditions: Fields of Query, which replace those of ``query``.

        Returns:
            A page of ``limit`` recordings at most; its ``next`` finds the page behind it.

        Raises:
            InvalidDetails: A condition is none that a recording could meet or miss.
        """
        asked = query_of(query, conditions)
        statement = finding(asked, self._session.get_bind().dialect.name)
        return Recordings.page(
            asked, [to_recording(row) for row in self._session.execute(statement).mappings()]
        )

    def read(self, recording_id: UUID | str, start: int = 0, stop: int | None = None) -> Frames:
        """Return the frames from start to stop; only the chunks that hold them are read.

        Args:
            recording_id: Whose frames.
            start: First frame, counted from 0.
            stop: The frame behind the last one; the end, where not given.

        Returns:
            Shape (frames, channels); int24 is left-justified in int32.

        Raises:
            RecordingNotFound: There is no such recording.
            CorruptRecording: Chunks are missing or do not decode.
            ValueError: start or stop is negative.
        """
        return self._stored(recording_id).array(start, stop)

    def frames(self, recording_id: UUID | str, start: int = 0, stop: int | None = None) -> Iterator[Frames]:
        """Yield what ``read`` returns, block by block, in memory that does not grow."""
        return self._stored(recording_id).frames(start, stop)

    def open(self, recording_id: UUID | str) -> BinaryIO:
        """Return ``header || audio`` as a seekable read-only file; bytes are fetched as they are read.

        It reads through the session, so use it while that is open.
        """
        return open_file(self._stored(recording_id))

    def verify(
        self, recording_id: UUID | str, on_progress: Callable[[int], None] = lambda _bytes: None
    ) -> Verification:
        """Re-read every byte of a recording and say what is not as it was recorded.

        Args:
            recording_id: Which recording.
            on_progress: Called with the number of bytes that were read since the last call.
        """
        return verify(self._session, self.get(recording_id), on_progress, self._compute)

    def annotations(
        self, recording_id: UUID | str | None = None, **conditions: Unpack[AnnotationConditions]
    ) -> list[Annotation]:
        """Return the annotations that meet all conditions, the first to begin first.

        Args:
            recording_id: Only those of this recording.
            conditions: What else, as AnnotationConditions lists: source, kind, author, since, until.

        Raises:
            RecordingNotFound: No recording, or more than one, answers to the id.
        """
        resolved = None if recording_id is None else self.resolve(recording_id)
        return find_annotations(self._session, resolved, **conditions)

    def sources(self) -> list[str]:
        """Return the names of all sources."""
        return list(self._session.scalars(select(SourceRow.name).order_by(SourceRow.name)))

    def envelope(self, recording_id: UUID) -> Iterator[tuple[int, bytes]]:
        """Yield, for each chunk, its first frame and its outline as phonobase.audio.peaks has it."""
        statement = (
            select(ChunkRow.first_frame, ChunkRow.peaks)
            .where(ChunkRow.recording_id == recording_id)
            .order_by(ChunkRow.seq)
        )
        yield from self._session.execute(statement)

    def _stored(self, recording_id: UUID | str) -> StoredChunks:
        return StoredChunks(
            self.get(recording_id), lambda: contextlib.nullcontext(self._session), compute=self._compute
        )

    def _begin(self, new: NewRecording, values: dict[str, Any]) -> None:
        add_source(self._session, new.source, new.started_at)
        self._session.execute(sa.insert(_RECORDING), new_row(new) | values)

    def _update(self, recording_id: UUID, values: dict[str, Any], chain_head: bytes | None = None) -> None:
        statement = _UPDATE_OPEN
        if chain_head is not None:
            statement = statement.where(RecordingRow.chain_head == sa.bindparam("seen_head", chain_head))
        updated = cast(
            "sa.CursorResult[Any]",
            self._session.execute(statement, {"open_id": recording_id} | values),
        )
        if updated.rowcount != 1:
            raise RecordingClosed(
                f"recording {recording_id.hex} was closed, deleted or continued by another program "
                "meanwhile; what it holds is kept"
            )
