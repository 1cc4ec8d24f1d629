"""Copying recordings from one archive to another: exactly once, and nothing overwritten.

What the other archive has is asked of it, never remembered, so a push may be killed, repeated or run twice
at once. A chunk is there once by its primary key; that it is the same one the chain of hashes says.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc

from phonobase.errors import CorruptRecording, DatabaseUnavailable, RecordingConflict, StoreError
from phonobase.store import sending
from phonobase.store.engine import WRITES, plain_errors, shown
from phonobase.store.recording import State
from phonobase.store.sending import RECORDING, SOURCE, Columns, Extent, extent_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from phonobase.store.archive import Archive

BATCH_BYTES = 4 * 1024 * 1024
"""Audio in a transaction, about: enough that the round trips cost little, little enough for any memory."""

_GAPS_AT_ONCE = 1000
_ANNOTATIONS_AT_ONCE = 500
_REFUSALS = ("22", "23", "27", "44", "P0")
"""Classes of PostgreSQL's SQLSTATE that are about what was sent: values, constraints and triggers."""


class OursUnavailable(DatabaseUnavailable):
    """It is the archive that is copied from which does not work; the other one may."""


class Standing(StrEnum):
    """How a recording stands at the other archive.

    ``more``: there is more to send. ``level``: what is committed here is there, and the recording is open.
    ``done``: it is closed, and wholly there. ``deleted``: it was, and somebody deleted it there, so it is not
    sent again. ``gone``: it is not here any more.
    """

    MORE = "more"
    LEVEL = "level"
    DONE = "done"
    DELETED = "deleted"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one transaction at most.

    Attributes:
        standing: How the recording stands now.
        frames: Frames that were sent.
        bytes: Bytes of audio that were sent.
        frames_there: Frames that the other archive has now.
        bytes_there: Likewise bytes of audio.
    """

    standing: Standing
    frames: int = 0
    bytes: int = 0
    frames_there: int = 0
    bytes_there: int = 0


@dataclass(frozen=True, slots=True)
class SentGaps:
    """What came of gaps that were sent.

    Attributes:
        before: Those that the other archive had already, and when each ended.
        conflicts: Why others are not there as they are here.
    """

    before: dict[UUID, datetime] = field(default_factory=dict)
    conflicts: dict[UUID, RecordingConflict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What goes in one transaction: a recording's row, its columns as they will be, chunks and gaps."""

    row: Columns
    moving: Columns
    chunks: list[Columns]
    gaps: list[Columns]

    @property
    def standing(self) -> Standing:
        if self.moving["chunk_count"] < self.row["chunk_count"]:
            return Standing.MORE
        return Standing.LEVEL if self.moving["state"] == State.RECORDING else Standing.DONE


class Pusher:
    """Copies what one archive has and another has not.

    Args:
        ours: Where the recordings are. It may be written to meanwhile.
        theirs: Where they go. Others may push there too.
    """

    def __init__(self, ours: Archive, theirs: Archive) -> None:
        self._ours, self._theirs = ours, theirs
        self._seen: dict[UUID, Extent] = {}

    def extents(self, ids: Sequence[UUID]) -> dict[UUID, Extent]:
        """Return how far recordings go at the other archive; those that it has not are left out."""
        with self._reading(self._theirs) as theirs:
            return sending.extents(theirs, ids)

    def advance(self, recording_id: UUID, batch_bytes: int = BATCH_BYTES) -> Step:
        """Send what comes next of a recording, in one transaction; behind the last, what is said of it.

        Args:
            recording_id: Which.
            batch_bytes: How much audio, about; never less than a chunk.

        Raises:
            RecordingConflict: The archive holds other sound under its id; nothing was overwritten.
            CorruptRecording: What comes next is not as it was recorded, so it was not sent.
            DatabaseUnavailable: One of the two does not work, ours where it is OursUnavailable. What the
                archive said it took is there.
        """
        step = self._advance(recording_id, batch_bytes)
        if step.standing is Standing.DONE:
            self.send_annotations([recording_id])
        return step

    def _advance(self, recording_id: UUID, batch_bytes: int) -> Step:
        # What was seen last saves asking; whatever fails may have changed it.
        there = self._seen.pop(recording_id, None) or self._there(recording_id)
        row = self._row(recording_id)
        if row is None:
            return Step(Standing.GONE)
        if there is not None:
            self._compare(row, there)
            if there.chunk_count >= row["chunk_count"]:
                return self._finish(row, there)
        elif self._was_deleted(row):
            return Step(Standing.DELETED)
        batch = self._read(recording_id, there, batch_bytes)
        return self._send(batch, there) if batch is not None else Step(Standing.GONE)

    def is_done(self, recording_id: UUID) -> bool:
        """Whether a closed recording is wholly at the other archive, or was deleted there: asked anew.

        Raises:
            RecordingConflict: The archive holds other sound under its id.
        """
        row = self._row(recording_id)
        if row is None or row["state"] == State.RECORDING:
            return False
        there = self._there(recording_id)
        if there is None:
            return self._was_deleted(row)
        self._compare(row, there)
        return there.chunk_count > row["chunk_count"] or (
            there.chunk_count == row["chunk_count"] and not _says_less(there, row)
        )

    def send_gaps(self, ids: Sequence[UUID]) -> dict[UUID, RecordingConflict]:
        """Send gaps by their ids; those inside a recording only once that is there.

        Returns:
            What the archive has otherwise or refuses, by id; the others are sent.
        """
        conflicts: dict[UUID, RecordingConflict] = {}
        batches = [ids[begin : begin + _GAPS_AT_ONCE] for begin in range(0, len(ids), _GAPS_AT_ONCE)]
        while batches:
            batch = batches.pop()
            try:
                conflicts |= self.put_gaps(batch).conflicts
            except RecordingConflict:
                half = len(batch) // 2
                batches += [batch[:half], batch[half:]]
        return conflicts

    def put_gaps(self, ids: Sequence[UUID]) -> SentGaps:
        """Send some gaps in one transaction; those inside a recording only once that is there.

        Raises:
            RecordingConflict: The archive refuses one of several, so none of them was sent.
        """
        with self._reading(self._ours) as ours:
            gaps = sending.gap_rows(ours, ids)
        if not gaps:
            return SentGaps()
        inside = {gap["recording_id"] for gap in gaps} - {None}
        what = f"gap {gaps[0]['id'].hex} of {gaps[0]['source']}"
        if len(gaps) > 1:
            what = f"one of {len(gaps)} gaps"
        try:
            with self._writing(what) as theirs:
                there = sending.extents(theirs, list(inside), keep=True).keys() | {None}
                gaps = [gap for gap in gaps if gap["recording_id"] in there]
                for source in {gap["source"] for gap in gaps}:
                    self._put_source(theirs, source)
                before, others = sending.put_gaps(theirs, gaps)
        except RecordingConflict as error:
            if len(ids) > 1:
                raise
            (gap,) = gaps
            return SentGaps(conflicts={gap["id"]: error})
        return SentGaps(
            {gap["id"]: gap["ended_at"] for gap in before}, {gap["id"]: _other_gap(gap) for gap in others}
        )

    def send_annotations(self, recording_ids: Sequence[UUID]) -> set[UUID]:
        """Send what is said of recordings, as far as its frames are there; what is there stays as it is.

        Returns:
            The annotations here that need no sending any more: they are there, or their recording is not, as
            where it was deleted.

        Raises:
            RecordingConflict: The archive refuses one, so none that went with it was sent.
        """
        with self._reading(self._ours) as ours:
            here = sending.annotation_ids(ours, recording_ids)
        if not here:
            return set()
        with self._reading(self._theirs) as theirs:
            settled = set(sending.annotation_ids(theirs, recording_ids)).intersection(here)
        missing = [annotation for annotation in here if annotation not in settled]
        for begin in range(0, len(missing), _ANNOTATIONS_AT_ONCE):
            settled |= self._put_annotations(missing[begin : begin + _ANNOTATIONS_AT_ONCE])
        return settled

    def _put_annotations(self, ids: Sequence[UUID]) -> set[UUID]:
        """Send some annotations in one transaction, and return those that need no sending any more."""
        with self._reading(self._ours) as ours:
            rows = sending.annotation_rows(ours, ids)
        inside_ids = list({row["recording_id"] for row in rows})
        what = f"an annotation of recording {inside_ids[0].hex}" if len(inside_ids) == 1 else "an annotation"
        with self._writing(what) as theirs:
            inside = sending.extents(theirs, inside_ids, keep=True)
            ends = {recording_id: extent.frame_count for recording_id, extent in inside.items()}
            sent = [row for row in rows if _end_frame(row) <= ends.get(row["recording_id"], -1)]
            sending.put_annotations(theirs, sent)
        gone = {row["id"] for row in rows if row["recording_id"] not in ends}
        return gone | {row["id"] for row in sent}

    def _read(self, recording_id: UUID, there: Extent | None, batch_bytes: int) -> _Batch | None:
        """Return what comes next, checked; None where the recording is gone."""
        with self._reading(self._ours) as ours:
            # Once more, in one view with its chunks: it may be longer by now, or gone.
            row = sending.recording_row(ours, recording_id)
            if row is None:
                return None
            chunks = sending.checked_chunks(ours, row, there, batch_bytes)
            first, last = chunks[0], chunks[-1]
            moving = sending.columns_at(row, last)
            closes = moving["state"] != State.RECORDING
            # At the end of a recording a loss of unknown length may be listed behind its last frame.
            from_frame = 0 if closes else first["first_frame"]
            gaps = sending.gaps_inside(ours, recording_id, from_frame, moving["frame_count"] + closes)
        return _Batch(row, moving, chunks, gaps)

    def _send(self, batch: _Batch, there: Extent | None) -> Step:
        row, moving = batch.row, batch.moving
        with self._writing(_named(row)) as theirs:
            if there is None:
                self._put_source(theirs, row["source"])
                taken = sending.put_new(theirs, RECORDING, row | moving)
                # Asked behind the insert, which waits for whoever is deleting it.
                if taken and sending.is_deleted(theirs, row):
                    theirs.rollback()
                    return Step(Standing.DELETED)
            else:
                taken = sending.move_on(theirs, row["id"], there, moving)
            if not taken:
                return Step(Standing.MORE)  # somebody else was faster: look again
            sending.put_chunks(theirs, batch.chunks)
            self._put_gaps_of(theirs, row, batch.gaps)
        if batch.standing is not Standing.DONE:
            self._seen[row["id"]] = extent_of(row | moving)
        return Step(
            batch.standing,
            frames=sum(chunk["frame_count"] for chunk in batch.chunks),
            bytes=sum(chunk["byte_count"] for chunk in batch.chunks),
            frames_there=moving["frame_count"],
            bytes_there=moving["byte_count"],
        )

    def _finish(self, row: Columns, there: Extent) -> Step:
        """Close a recording whose chunks are all there, where it is closed here."""
        size = {"frames_there": there.frame_count, "bytes_there": there.byte_count}
        if row["state"] == State.RECORDING:
            self._seen[row["id"]] = there
            return Step(Standing.LEVEL, **size)
        with self._reading(self._ours) as ours:
            gaps = sending.gaps_inside(ours, row["id"], 0, row["frame_count"] + 1)
        closes = there.chunk_count == row["chunk_count"] and _says_less(there, row)
        moving = sending.last_columns(row) if closes else None
        with self._writing(_named(row)) as theirs:
            if moving is not None and not sending.move_on(theirs, row["id"], there, moving):
                return Step(Standing.MORE)
            self._put_gaps_of(theirs, row, gaps)
        return Step(Standing.DONE, **size)

    def _compare(self, row: Columns, there: Extent) -> None:
        """Raise RecordingConflict unless one of the two is the other's beginning."""
        count = min(row["chunk_count"], there.chunk_count)
        here: bytes | None = row["chain_head"]
        found: bytes | None = there.chain_head
        if row["chunk_count"] > count:
            with self._reading(self._ours) as ours:
                here = sending.chain_at(ours, row["id"], count - 1)
        elif there.chunk_count > count:
            with self._reading(self._theirs) as theirs:
                found = sending.chain_at(theirs, row["id"], count - 1)
        if here is None:
            raise sending.rotten(row, f"chunk {count - 1} is missing")
        if here != found:
            raise self._conflict(row, f"its first {count} chunks are others there")
        if there.chunk_count < row["chunk_count"] and there.state is State.COMPLETE:
            raise self._conflict(row, f"it is complete there, with {count} of {row['chunk_count']} chunks")
        both_closed = there.closed and row["state"] != State.RECORDING
        same_length = there.chunk_count == row["chunk_count"]
        if both_closed and same_length and there.pcm_sha256 != row["pcm_sha256"]:
            raise self._conflict(row, "its pcm_sha256 is another there")

    def _conflict(self, row: Columns, what: str) -> RecordingConflict:
        return RecordingConflict(
            f"{_named(row)}: {what}, so nothing was overwritten; find the one "
            f"that is right with phonobase verify, here and with --db {shown(self._theirs.engine)}"
        )

    def _row(self, recording_id: UUID) -> Columns | None:
        with self._reading(self._ours) as ours:
            return sending.recording_row(ours, recording_id)

    def _there(self, recording_id: UUID) -> Extent | None:
        return self.extents([recording_id]).get(recording_id)

    def _was_deleted(self, row: Columns) -> bool:
        with self._reading(self._theirs) as theirs:
            return sending.is_deleted(theirs, row)

    def _put_source(self, theirs: sa.Connection, name: str) -> None:
        with self._reading(self._ours) as ours:
            source = sending.source_row(ours, name)
        sending.put_new(theirs, SOURCE, source)

    def _put_gaps_of(self, theirs: sa.Connection, row: Columns, gaps: Sequence[Columns]) -> None:
        for gap in sending.put_gaps(theirs, gaps)[1]:
            raise self._conflict(row, f"gap {gap['id'].hex} in it says something else there")

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[sa.Connection]:
        engine = self._theirs.engine.execution_options(**{WRITES: True})
        with plain_errors(engine):
            try:
                with engine.begin() as connection:
                    yield connection
            except exc.DBAPIError as error:
                if not _is_refusal(error):
                    raise
                reason = str(error.orig).strip().partition("\n")[0]
                raise RecordingConflict(
                    f"{what}: {shown(engine)} refuses what is pushed: {reason}; nothing was overwritten"
                ) from error

    @contextlib.contextmanager
    def _reading(self, archive: Archive) -> Iterator[sa.Connection]:
        blamed = blamed_on_ours() if archive is self._ours else contextlib.nullcontext()
        with blamed, _connected(archive) as connection:
            yield connection


@contextlib.contextmanager
def blamed_on_ours() -> Iterator[None]:
    """Say of a database that does not work in the block that it is the one that is copied from.

    Raises:
        OursUnavailable: It does not work.
    """
    try:
        yield
    except StoreError as error:
        if isinstance(error, (RecordingConflict, CorruptRecording)):
            raise
        raise OursUnavailable(str(error)) from error


@contextlib.contextmanager
def _connected(archive: Archive) -> Iterator[sa.Connection]:
    engine = archive.engine
    if engine.dialect.name == "postgresql":  # saves two round trips
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with plain_errors(engine), engine.connect() as connection:
        yield connection


def _is_refusal(error: exc.DBAPIError) -> bool:
    """Whether a database works, but does not take what was sent."""
    if isinstance(error.orig, psycopg.Error):  # a trigger's own error is an internal one to the driver
        return (error.orig.sqlstate or "")[:2] in _REFUSALS
    return isinstance(error, (exc.IntegrityError, exc.DataError))


def _named(row: Columns) -> str:
    return f"recording {row['id'].hex} of {row['source']}"


def _end_frame(annotation: Columns) -> int:
    end: int = annotation["first_frame"] + annotation["frame_count"]
    return end


def _says_less(there: Extent, row: Columns) -> bool:
    """Whether a recording is still open there, or was taken for dead before its recorder ended it."""
    return not there.closed or (there.state is State.INTERRUPTED and row["state"] == State.COMPLETE)


def _other_gap(gap: Columns) -> RecordingConflict:
    return RecordingConflict(
        f"gap {gap['id'].hex} of {gap['source']}: the archive says something else of it, and keeps that; "
        "compare the two with: phonobase gaps"
    )
