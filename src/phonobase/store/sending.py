"""Rows on their way from one archive to another: read and checked here, written there.

Rows are copied column by column as the tables have them, so that a column added later goes along.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from phonobase.audio import chain
from phonobase.audio import encoding as encodings
from phonobase.errors import CorruptRecording
from phonobase.store.columns import to_us
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.models import AnnotationRow, AudioRow, ChunkRow, GapRow, RecordingRow, SourceRow
from phonobase.store.recording import State, comments
from phonobase.store.rows import header_row, to_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

Columns = dict[str, Any]
"""A row, by the names of its columns."""

SOURCE, RECORDING, CHUNK, AUDIO, GAP, ANNOTATION = (
    cast("sa.Table", row.__table__)
    for row in (SourceRow, RecordingRow, ChunkRow, AudioRow, GapRow, AnnotationRow)
)

_ROWS_AT_ONCE = 1024
_IDS_AT_ONCE = 500
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
# What a recording is, and what people may have changed: written once.
_WRITTEN_ONCE = {
    *("id", "source", "run_id", "run_index", "started_at"),
    *("sample_rate", "channels", "sample_format", "encoding", "media_type"),
    *("title", "notes", "tags", "external_id", "capture"),
}

_EXTENTS = sa.select(
    RecordingRow.id,
    RecordingRow.sample_rate,
    RecordingRow.chunk_count,
    RecordingRow.frame_count,
    RecordingRow.byte_count,
    RecordingRow.chain_head,
    RecordingRow.state,
    RecordingRow.pcm_sha256,
    RecordingRow.committed_at,
).order_by(RecordingRow.started_at, RecordingRow.id)
_SIZES = (
    sa.select(ChunkRow.byte_count)
    .where(ChunkRow.recording_id == sa.bindparam("id"), ChunkRow.seq >= sa.bindparam("first"))
    .order_by(ChunkRow.seq)
    .limit(_ROWS_AT_ONCE)
)
_CHUNKS = (
    sa.select(*CHUNK.columns, AudioRow.data)
    .outerjoin(
        AudioRow,
        (AudioRow.recording_id == ChunkRow.recording_id) & (AudioRow.seq == ChunkRow.seq),
    )
    .where(ChunkRow.recording_id == sa.bindparam("id"), ChunkRow.seq >= sa.bindparam("first"))
    .order_by(ChunkRow.seq)
    .limit(sa.bindparam("count"))
    .execution_options(**{FETCHES_AUDIO: True})
)
_CHAIN = sa.select(ChunkRow.chain).where(
    ChunkRow.recording_id == sa.bindparam("id"), ChunkRow.seq == sa.bindparam("seq")
)
_GAPS_INSIDE = sa.select(*GAP.columns).where(
    GapRow.recording_id == sa.bindparam("id"),
    GapRow.first_frame >= sa.bindparam("from_frame"),
    GapRow.first_frame < sa.bindparam("to_frame"),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a recording goes in one of the archives."""

    sample_rate: int
    chunk_count: int
    frame_count: int
    byte_count: int
    chain_head: bytes
    state: State
    pcm_sha256: bytes | None
    committed_at: datetime = field(compare=False)

    @property
    def closed(self) -> bool:
        """Whether its recorder has ended it, or was found dead."""
        return self.state is not State.RECORDING


def extent_of(row: sa.RowMapping | Columns) -> Extent:
    """Return how far a recording goes by its row."""
    return Extent(
        row["sample_rate"],
        row["chunk_count"],
        row["frame_count"],
        row["byte_count"],
        row["chain_head"],
        State(row["state"]),
        row["pcm_sha256"],
        row["committed_at"],
    )


def extents(
    connection: sa.Connection, ids: Sequence[UUID] | None = None, *, keep: bool = False
) -> dict[UUID, Extent]:
    """Return how far recordings go, the oldest first; those that are not there are left out.

    Args:
        connection: To where they are.
        ids: Which; all, with None.
        keep: Whether to keep them from being deleted until the transaction ends.
    """
    statement = _EXTENTS.with_for_update(read=True, key_share=True) if keep else _EXTENTS
    if ids is None:
        return {row["id"]: extent_of(row) for row in connection.execute(statement).mappings()}
    found: dict[UUID, Extent] = {}
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        some = statement.where(RecordingRow.id.in_(ids[begin : begin + _IDS_AT_ONCE]))
        found |= {row["id"]: extent_of(row) for row in connection.execute(some).mappings()}
    return found


def open_extents(connection: sa.Connection) -> dict[UUID, Extent]:
    """Return how far the recordings go that are open; an index knows them."""
    # As a literal: a partial index is used only where its condition can be seen.
    is_open = RecordingRow.state == sa.bindparam(None, str(State.RECORDING), literal_execute=True)
    rows = connection.execute(_EXTENTS.where(is_open)).mappings()
    return {row["id"]: extent_of(row) for row in rows}


def chain_at(connection: sa.Connection, recording_id: UUID, seq: int) -> bytes | None:
    """Return the link of a chunk; None where it is missing."""
    link: bytes | None = connection.scalar(_CHAIN, {"id": recording_id, "seq": seq})
    return link


def recording_row(connection: sa.Connection, recording_id: UUID) -> Columns | None:
    """Return all columns of a recording; None where there is none."""
    row = connection.execute(sa.select(*RECORDING.columns).where(RecordingRow.id == recording_id)).mappings()
    found = row.one_or_none()
    return dict(found) if found is not None else None


def source_row(connection: sa.Connection, name: str) -> Columns:
    """Return all columns of a source."""
    row = connection.execute(sa.select(*SOURCE.columns).where(SourceRow.name == name)).mappings()
    return dict(row.one())


def gaps_inside(
    connection: sa.Connection, recording_id: UUID, from_frame: int, to_frame: int
) -> list[Columns]:
    """Return the gaps of a recording that begin at one frame or later and before another."""
    values = {"id": recording_id, "from_frame": from_frame, "to_frame": to_frame}
    return [dict(row) for row in connection.execute(_GAPS_INSIDE, values).mappings()]


def all_gaps(connection: sa.Connection) -> dict[UUID, UUID | None]:
    """Return the ids of all gaps, the oldest first, each with the recording it lies in, if any."""
    statement = sa.select(GapRow.id, GapRow.recording_id).order_by(GapRow.started_at)
    return {row.id: row.recording_id for row in connection.execute(statement)}


def gap_rows(connection: sa.Connection, ids: Sequence[UUID]) -> list[Columns]:
    """Return gaps by their ids; those that are not there are left out."""
    found: list[Columns] = []
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        statement = sa.select(*GAP.columns).where(GapRow.id.in_(ids[begin : begin + _IDS_AT_ONCE]))
        found += [dict(row) for row in connection.execute(statement).mappings()]
    return found


def annotated(connection: sa.Connection) -> list[UUID]:
    """Return the recordings of which something is said."""
    return list(connection.scalars(sa.select(AnnotationRow.recording_id).distinct()))


def annotation_ids(connection: sa.Connection, recording_ids: Sequence[UUID]) -> list[UUID]:
    """Return the ids of what is said of recordings."""
    found: list[UUID] = []
    for begin in range(0, len(recording_ids), _IDS_AT_ONCE):
        some = AnnotationRow.recording_id.in_(recording_ids[begin : begin + _IDS_AT_ONCE])
        found += connection.scalars(sa.select(AnnotationRow.id).where(some))
    return found


def annotation_rows(connection: sa.Connection, ids: Sequence[UUID]) -> list[Columns]:
    """Return annotations by their ids, at most so many as one statement takes; the others are left out."""
    statement = sa.select(*ANNOTATION.columns).where(AnnotationRow.id.in_(ids))
    return [dict(row) for row in connection.execute(statement).mappings()]


def put_annotations(connection: sa.Connection, annotations: Sequence[Columns]) -> None:
    """Insert the annotations that are not there; what is said stays as it was said."""
    if annotations:
        connection.execute(_insert_new(connection, ANNOTATION), annotations)


def checked_chunks(
    connection: sa.Connection, recording: Columns, there: Extent | None, batch_bytes: int
) -> list[Columns]:
    """Return the chunks that come next with their audio, at least one, as long as they are as recorded.

    Args:
        connection: To where they are.
        recording: The row of their recording.
        there: How much of it the other archive has; None for nothing.
        batch_bytes: How much audio, about.

    Raises:
        CorruptRecording: The very next one is missing or not as it was recorded: it must not spread.
    """
    link, seq, frame, byte = _genesis(recording), 0, 0, 0
    if there is not None:
        link, seq = there.chain_head, there.chunk_count
        frame, byte = there.frame_count, there.byte_count
    values = {"id": recording["id"], "first": seq}
    wanted = recording["chunk_count"] - seq
    count = min(wanted, _how_many(connection.scalars(_SIZES, values).all(), batch_bytes))
    # All at once: of a statement that is left half read SQLite would keep the view open.
    rows = connection.execute(_CHUNKS, values | {"count": count}).mappings().all()
    checked: list[Columns] = []
    for row in map(dict, rows):
        data = row["data"]
        right = (
            data is not None
            and (row["seq"], row["first_frame"], row["first_byte"]) == (seq, frame, byte)
            and len(data) == row["byte_count"]
            and hashlib.sha256(data).digest() == row["sha256"]
            and chain.link(link, seq, frame, row["frame_count"], row["sha256"]) == row["chain"]
        )
        if not right:
            break
        checked.append(row)
        link, seq = row["chain"], seq + 1
        frame, byte = frame + row["frame_count"], byte + row["byte_count"]
    if not checked or (seq == recording["chunk_count"] and link != recording["chain_head"]):
        raise rotten(recording, f"chunk {seq} is missing or not as it was recorded")
    return checked


def rotten(recording: Columns, what: str) -> CorruptRecording:
    """Return the error that stops a recording whose rows here cannot be trusted."""
    return CorruptRecording(
        f"recording {recording['id'].hex} of {recording['source']}: {what}, so it is not pushed on; "
        f"see all that is wrong with: phonobase verify {recording['id'].hex}"
    )


def last_columns(recording: Columns) -> Columns:
    """Return the columns that move on, as they are now.

    Raises:
        CorruptRecording: The header is not as it was recorded.
    """
    if hashlib.sha256(recording["header"]).digest() != recording["header_sha256"]:
        raise rotten(recording, "its header is not as it was recorded")
    return {name: value for name, value in recording.items() if name not in _WRITTEN_ONCE}


def columns_at(recording: Columns, last: Columns) -> Columns:
    """Return the columns that move on, as they are when a chunk is the recording's last.

    Before the last one, level and time of the last commit are those of the whole, and the state is open.
    """
    moving = last_columns(recording)
    if last["seq"] + 1 == recording["chunk_count"]:
        return moving
    value = to_recording(cast("sa.RowMapping", recording))
    frame_count = last["first_frame"] + last["frame_count"]
    duration = timedelta(microseconds=value.format.microseconds(frame_count))
    header = encodings.header(value.encoding, value.format, frame_count, comments=comments(value))
    return (
        moving
        | header_row(header)
        | {
            "state": State.RECORDING,
            "pcm_sha256": None,
            "frame_count": frame_count,
            "byte_count": last["first_byte"] + last["byte_count"],
            "chunk_count": last["seq"] + 1,
            "ended_at": value.started_at + duration,
            "chain_head": last["chain"],
            "clipped_frames": min(value.clipped_frames, frame_count),
        }
    )


def put_new(connection: sa.Connection, table: sa.Table, row: Columns) -> bool:
    """Insert a row unless one of its key is there; whether it was inserted."""
    statement = _insert_new(connection, table)
    counted = connection.execute(statement.execution_options(preserve_rowcount=True), row)
    return counted.rowcount == 1


def put_chunks(connection: sa.Connection, chunks: Sequence[Columns]) -> None:
    """Insert chunks and their audio."""
    rows = [{name: value for name, value in chunk.items() if name != "data"} for chunk in chunks]
    connection.execute(sa.insert(CHUNK), rows)
    data = [{name: chunk[name] for name in ("recording_id", "seq", "data")} for chunk in chunks]
    connection.execute(sa.insert(AUDIO), data)


def move_on(connection: sa.Connection, recording_id: UUID, seen: Extent, moving: Columns) -> bool:
    """Change a recording that still is as it was seen, and keep it locked; whether it still was."""
    statement = sa.update(RECORDING).where(
        RecordingRow.id == recording_id,
        RecordingRow.chunk_count == seen.chunk_count,
        RecordingRow.chain_head == seen.chain_head,
        RecordingRow.state == seen.state,
    )
    return connection.execute(statement.values(moving)).rowcount == 1


def put_gaps(connection: sa.Connection, gaps: Sequence[Columns]) -> tuple[list[Columns], list[Columns]]:
    """Insert the gaps that are not there; return those that were there as they are, and as others."""
    if not gaps:
        return [], []
    there = {row["id"]: row for row in gap_rows(connection, [gap["id"] for gap in gaps])}
    if missing := [gap for gap in gaps if gap["id"] not in there]:
        connection.execute(_insert_new(connection, GAP), missing)
    found = [gap for gap in gaps if gap["id"] in there]
    return (
        [gap for gap in found if there[gap["id"]] == gap],
        [gap for gap in found if there[gap["id"]] != gap],
    )


def is_deleted(connection: sa.Connection, recording: Columns) -> bool:
    """Whether a gap says that a recording was deleted."""
    statement = sa.select(GapRow.id).where(
        GapRow.source == recording["source"],
        GapRow.started_at == recording["started_at"],
        GapRow.cause == "deleted",
        GapRow.detail.startswith(f"recording {recording['id'].hex}:", autoescape=True),
    )
    return connection.execute(statement.limit(1)).first() is not None


def _insert_new(connection: sa.Connection, table: sa.Table) -> Any:  # noqa: ANN401 - of either dialect
    """Return the insert that leaves alone what is there by its key, and fails at any other constraint."""
    insert = _INSERTS[connection.dialect.name](table)
    return insert.on_conflict_do_nothing(index_elements=list(table.primary_key.columns))


def _how_many(sizes: Iterable[int], batch_bytes: int) -> int:
    count = total = 0
    for size in sizes:
        total += size
        if count and total > batch_bytes:
            break
        count += 1
    return max(1, count)


def _genesis(recording: Columns) -> bytes:
    value = to_recording(cast("sa.RowMapping", recording))
    return chain.genesis(value.id, to_us(value.started_at), value.format, value.encoding, value.source)
