"""The archive as a whole: one object that opens the database and owns its transactions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, Unpack

from phonobase.errors import InvalidDetails
from phonobase.pcm import silence
from phonobase.store import gaps, left, recover
from phonobase.store.chunks import BATCH_BYTES, StoredChunks
from phonobase.store.cut import GapPolicy, cut
from phonobase.store.database import Database
from phonobase.store.draft import CHUNK_SECONDS
from phonobase.store.file import open_file
from phonobase.store.follow import PART_SECONDS, follow, position_now
from phonobase.store.found import walk
from phonobase.store.position import NOW
from phonobase.store.query import query_of
from phonobase.store.recording import (
    Details,
    Recording,
    audio_format,
    new_recording,
)
from phonobase.store.repository import RecordingRepository
from phonobase.store.take import Silence, Take
from phonobase.store.writer import RecordingWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime
    from uuid import UUID

    from phonobase.pcm import Frames
    from phonobase.store.annotations import Annotation, AnnotationConditions
    from phonobase.store.coverage import Coverage, Gap
    from phonobase.store.cut import Cut
    from phonobase.store.editing import Changes
    from phonobase.store.follow import Part
    from phonobase.store.found import Recordings
    from phonobase.store.query import Conditions, Query
    from phonobase.store.verify import Verification


class Archive(Database):
    """Recordings in a database.

    Every method is a transaction of its own; inside a host's transaction use RecordingRepository.

    Args:
        bind: A URL, as ``sqlite:///clips.db`` or ``postgresql://user@host/name``, or an engine, which is
            left open. A new SQLite file is made and gets its tables at once; PostgreSQL gets them from
            ``phonobase db upgrade``.
        create: Whether to make an SQLite file that is not there.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        SchemaError: Its tables are missing, older or newer; the message says what to run.
    """

    # Writing

    def add(
        self,
        audio_bytes: bytes,
        samplerate: int,
        channels: int = 1,
        dtype: str = "int16",
        **details: Unpack[Details],
    ) -> Recording:
        """Store sound that is there as a whole; arguments and errors are those of RecordingRepository.add."""
        with self.writing() as repository:
            return repository.add(audio_bytes, samplerate, channels, dtype, **details)

    def writer(
        self,
        samplerate: int,
        channels: int = 1,
        dtype: str = "int16",
        *,
        chunk_seconds: float = CHUNK_SECONDS,
        run_id: UUID | None = None,
        run_index: int = 0,
        **details: Unpack[Details],
    ) -> RecordingWriter:
        """Return a writer for sound that comes bit by bit; use it in a ``with`` block.

        Args:
            samplerate: In Hz.
            channels: 1 to 32.
            dtype: ``int16``, ``int24`` (left-justified in int32), ``int32`` or ``float32``.
            chunk_seconds: How much sound is committed at once.
            run_id: The run it continues; a new one, where not given.
            run_index: Its place in the run.
            details: What else is to be said of it, as Details lists: source, title, tags and others.

        Raises:
            UnsupportedFormat: The format cannot be stored.
        """
        details["capture"] = recover.recorder_facts() | dict(details.get("capture", {}))
        form = audio_format(samplerate, channels, dtype)
        new = new_recording(form, run_id=run_id, run_index=run_index, **details)
        return RecordingWriter(new, self.writing, chunk_seconds)

    def delete(self, recording_id: UUID | str, reason: str) -> None:
        """Delete a recording; its time stays listed, as a gap of cause ``deleted``.

        Raises:
            RecordingNotFound: There is no such recording.
            StoreError: It is still being recorded.
        """
        with self.writing() as repository:
            repository.delete(recording_id, reason)

    def edit(self, recording_id: UUID | str, **changes: Unpack[Changes]) -> Recording:
        """Change what is said of a recording, as RecordingRepository.edit does, and return it."""
        with self.writing() as repository:
            return repository.edit(recording_id, **changes)

    def add_gap(
        self,
        source: str,
        started_at: datetime,
        ended_at: datetime,
        cause: str,
        *,
        detail: str | None = None,
        run_id: UUID | None = None,
    ) -> None:
        """List a stretch of a source's time, outside any recording, as not heard.

        Arguments and errors are those of RecordingRepository.add_gap.
        """
        with self.writing() as repository:
            repository.add_gap(source, started_at, ended_at, cause, detail=detail, run_id=run_id)

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

        Arguments and errors are those of RecordingRepository.annotate.
        """
        with self.writing() as repository:
            return repository.annotate(
                recording_id, first_frame, frame_count, kind, text, score, author=author
            )

    def delete_annotation(self, annotation_id: UUID | str) -> None:
        """Take an annotation back, as RecordingRepository.delete_annotation does."""
        with self.writing() as repository:
            repository.delete_annotation(annotation_id)

    def close_as_stored(self, recording_id: UUID | str) -> Recording:
        """End a recording that nobody will complete as it stands: interrupted; and return it.

        It is decoded before the transaction begins, so that nobody waits for that.

        Raises:
            RecordingNotFound: There is no such recording.
            RecordingClosed: It is closed, or was continued meanwhile.
            CorruptRecording: Chunks are missing or do not decode.
        """
        return left.close_as_stored(self, recording_id)

    def recover(
        self,
        source: str | None = None,
        *,
        certain: bool = False,
        on_open: Callable[[Recording, bool], None] | None = None,
    ) -> list[Recording]:
        """Close the recordings whose recorder died, and return them as they are now.

        Their state becomes ``interrupted``; their header and hash become those of what was committed. What a
        killed import left is taken back: its file is still there.

        Args:
            source: Only those of this source.
            certain: Whether the caller knows that no recorder of them lives, as one does that took the
                source's lock; imports need no lock, so those that may be alive are left alone even then.
            on_open: Called with each open recording and whether it is left alone, because its recorder
                may be alive.

        Raises:
            CorruptRecording: Some could not be closed, because chunks are missing or do not decode; all
                others were.
        """
        return left.recover(self, source, certain=certain, on_open=on_open)

    # Reading

    def get(self, recording_id: UUID | str) -> Recording:
        """Return a recording.

        Raises:
            RecordingNotFound: No recording, or more than one, answers to the id.
        """
        with self.reading() as repository:
            return repository.get(recording_id)

    def find(self, query: Query | None = None, /, **conditions: Unpack[Conditions]) -> Recordings:
        """Return the recordings that meet all conditions, as RecordingRepository.find does."""
        with self.reading() as repository:
            return repository.find(query, **conditions)

    def walk(self, query: Query | None = None, /, **conditions: Unpack[Conditions]) -> Iterator[Recording]:
        """Yield what ``find`` returns, page after page, in memory that does not grow.

        With ``limit=None`` that is all there is. Each page is of the moment when it is needed.

        Raises:
            InvalidDetails: A condition is none that a recording could meet or miss.
        """
        return walk(query_of(query, conditions), self.find)

    def annotations(
        self, recording_id: UUID | str | None = None, **conditions: Unpack[AnnotationConditions]
    ) -> list[Annotation]:
        """Return the annotations that meet all conditions, as RecordingRepository.annotations does."""
        with self.reading() as repository:
            return repository.annotations(recording_id, **conditions)

    def sources(self) -> list[str]:
        """Return the names of all sources."""
        with self.reading() as repository:
            return repository.sources()

    def accounted_until(self, source: str) -> datetime | None:
        """Return where the last recording or gap of a source ends; None where it has neither."""
        with self.session() as session:
            return gaps.accounted_until(session, source)

    def gaps(
        self,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        unrecorded: bool = False,
    ) -> list[Gap]:
        """Return the gaps that reach into a period, the first to begin first; parts of one are one.

        Args:
            source: Only those of this source.
            since: Only those that reach behind this time, or begin at it.
            until: Only those that begin before this time.
            unrecorded: Whether to compute, too, what no row accounts for: stretches of cause
                ``unrecorded``, which need a source's whole period.

        Raises:
            InvalidDetails: The period ends before it begins, or has no beginning or end although
                ``unrecorded`` is asked for.
        """
        with self.one_moment() as session:
            names = [source] if source is not None else RecordingRepository(session).sources()
            found: list[Gap] = []
            for name in names:
                found += gaps.find_gaps(session, name, since, until)
                if unrecorded:
                    if since is None or until is None:
                        raise InvalidDetails("what is unrecorded depends on the period; pass since and until")
                    found += gaps.find_unrecorded(session, name, since, until)
        return sorted(found, key=lambda gap: gap.started_at)

    def coverage(self, source: str, since: datetime, until: datetime) -> Coverage:
        """Return what became of a source's time in a period: heard, or lost, and why.

        Both add up to the period exactly, whatever the rows hold. Time that several recordings hold counts
        once; so does time that several gaps cover: for the one that began first. What no row accounts for is
        lost by the cause ``unrecorded``; so is sound that is not committed yet.

        Raises:
            InvalidDetails: The period ends before it begins.
        """
        with self.one_moment() as session:
            return gaps.coverage(session, source, since, until)

    def cut(self, source: str, since: datetime, until: datetime, gaps: str = GapPolicy.SILENCE) -> Cut:
        """Return a stretch of a source's time: what goes into files, and what was not heard.

        A frame belongs to the stretch its first instant lies in. Where several recordings heard a moment, it
        is the one that began first. No audio is read; ``sound`` gives the frames of a take.

        Args:
            source: Whose time.
            since: Its beginning.
            until: Its end.
            gaps: What to make of time without sound: ``silence`` of its length, ``split`` into a take for
                every stretch without a gap, or ``error``. Where the format changes, another take begins.

        Raises:
            InvalidDetails: It ends before it begins, or is still to come; or there is no such policy.
            RecordingNotFound: There is no such source.
            GapInCut: There is a gap, and the policy is ``error``.
        """
        with self.one_moment() as session:
            return cut(session, source, since, until, gaps)

    def read(self, recording_id: UUID | str, start: int = 0, stop: int | None = None) -> Frames:
        """Return the frames from start to stop, as RecordingRepository.read does."""
        return self.stored(self.get(recording_id)).array(start, stop)

    def frames(self, recording_id: UUID | str, start: int = 0, stop: int | None = None) -> Iterator[Frames]:
        """Yield the frames from start to stop, block by block, in memory that does not grow."""
        return self.stored(self.get(recording_id)).frames(start, stop)

    def sound(self, take: Take) -> Iterator[Frames]:
        """Yield the frames of a take, block by block, in memory that does not grow.

        Raises:
            CorruptRecording: Chunks are missing or do not decode.
            TypeError: It is no take.
        """
        if not isinstance(take, Take):
            raise TypeError(f"sound() takes a Take, not a {type(take).__name__}; give it one of cut.takes")
        for part in take.parts:
            if isinstance(part, Silence):
                yield from silence(part.frame_count, take.format)
            else:
                yield from self.stored(part.recording).frames(part.first_frame, part.end_frame)

    def open(self, recording_id: UUID | str) -> BinaryIO:
        """Return ``header || audio`` as a seekable read-only file; bytes are fetched as they are read.

        Of a recording in progress it is what was committed when it was opened.
        """
        return open_file(self.stored(self.get(recording_id)))

    def verify(
        self, recording_id: UUID | str, on_progress: Callable[[int], None] = lambda _bytes: None
    ) -> Verification:
        """Re-read every byte of a recording and say what is not as it was recorded."""
        with self.reading() as repository:
            return repository.verify(recording_id, on_progress)

    def stored(self, recording: Recording) -> StoredChunks:
        """Return the stored chunks of a recording, each fetch in a session of its own."""
        # PostgreSQL's answer is held twice while it is unpacked.
        times = 2 if self.engine.dialect.name == "sqlite" else 1
        return StoredChunks(recording, self.session, times * BATCH_BYTES)

    # Following

    def follow(
        self,
        source: str | None = None,
        after: str = NOW,
        *,
        idle_seconds: float | None = None,
        part_seconds: float = PART_SECONDS,
    ) -> Generator[Part]:
        """Yield every frame that is committed, once, in parts, as they come, whoever commits them.

        The parts of a recording come in their order. A part's position says where to go on, at any later
        time: then nothing is missed and nothing comes again, whatever was recorded, imported, pushed or
        deleted meanwhile. Close it where it is not read to its end, as contextlib.closing does.

        After the database is restored from a backup no position of before is good: sound that is committed
        since would be missed. Not every such position is refused, so begin anew.

        Args:
            source: Only of this source; of all, where not given.
            after: A position, or ``start``: before everything, or ``now``: behind all that is committed.
            idle_seconds: End once nothing came for so long; with 0 behind what is committed now. Without it
                there is no end.
            part_seconds: How much sound a part holds at most.

        Raises:
            InvalidDetails: The position is none, or none of this archive and source.
            DatabaseUnavailable: The database does not work; go on from the last position once it does.
        """
        return follow(self, source, after, idle_seconds=idle_seconds, part_seconds=part_seconds)

    def position(self, source: str | None = None) -> str:
        """Return the position behind all that is committed now, of one source or of all."""
        return position_now(self, source)

    # Transactions

    @contextlib.contextmanager
    def writing(self) -> Iterator[RecordingRepository]:
        """Give a repository in a transaction: committed at the end, rolled back where the block raises."""
        with self.session(writes=True) as session, session.begin():
            yield RecordingRepository(session)

    @contextlib.contextmanager
    def reading(self) -> Iterator[RecordingRepository]:
        """Give a repository for reading; nothing that is done with it stays."""
        with self.session() as session:
            yield RecordingRepository(session)
