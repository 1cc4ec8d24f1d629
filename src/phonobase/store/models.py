"""The tables.

Every column carries its meaning and unit as a comment, which PostgreSQL keeps (``psql`` shows it)
and docs/schema.md repeats. All names start with ``phono_``, so the tables can live beside a host's.
Deleting is restricted everywhere: a cascade would also run when SQLite rebuilds a table to alter it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from phonobase.store.columns import BigInt, JsonObject, UtcDateTime

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Where phonobase's tables are registered; ``Base.metadata`` is public."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class SourceRow(Base):
    """A named place that sound comes from."""

    __tablename__ = "phono_source"
    __table_args__ = (CheckConstraint("length(name) BETWEEN 1 AND 200", name="name_length"),)

    name: Mapped[str] = mapped_column(
        Text, primary_key=True, comment="what the source is called: desk-3, studio-a, reef-north"
    )
    description: Mapped[str | None] = mapped_column(Text, comment="for people")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="when it was first recorded")


class RecordingRow(Base):
    """One stretch of sound from one source, with one format and one unbroken frame count."""

    __tablename__ = "phono_recording"
    __table_args__ = (
        CheckConstraint("sample_rate BETWEEN 1 AND 1048575", name="sample_rate_range"),
        CheckConstraint("channels BETWEEN 1 AND 32", name="channels_range"),
        CheckConstraint(
            "sample_format IN ('int16', 'int24', 'int32', 'float32')", name="sample_format_known"
        ),
        CheckConstraint("encoding IN ('flac', 'pcm')", name="encoding_known"),
        CheckConstraint("state IN ('recording', 'complete', 'interrupted')", name="state_known"),
        CheckConstraint("run_index >= 0", name="run_index_range"),
        CheckConstraint(
            "frame_count BETWEEN 1 AND sample_rate * CAST(86400 AS BIGINT)", name="at_most_24_hours"
        ),
        CheckConstraint("byte_count >= 1", name="byte_count_range"),
        CheckConstraint("chunk_count >= 1", name="chunk_count_range"),
        CheckConstraint("clipped_frames BETWEEN 0 AND frame_count", name="clipped_frames_range"),
        CheckConstraint("ended_at >= started_at", name="ends_after_start"),
        CheckConstraint("length(header) BETWEEN 1 AND 65536", name="header_length"),
        CheckConstraint("length(header_sha256) = 32", name="header_sha256_length"),
        CheckConstraint("length(pcm_sha256) = 32", name="pcm_sha256_length"),
        CheckConstraint("length(chain_head) = 32", name="chain_head_length"),
        CheckConstraint("state = 'recording' OR pcm_sha256 IS NOT NULL", name="closed_has_hash"),
        Index(None, "started_at"),
        Index(None, "source", "started_at"),
        Index(None, "external_id"),
        Index(None, "run_id", "run_index"),
        # SQLite has no index into JSON.
        Index(
            None,
            "tags",
            postgresql_using="gin",
            postgresql_ops={"tags": "jsonb_path_ops"},
            info={"dialect": "postgresql"},
        ).ddl_if(dialect="postgresql"),
        # The few that are open, for whoever closes what a recorder that died left behind.
        Index(
            "ix_phono_recording_open",
            "started_at",
            sqlite_where=text("state = 'recording'"),
            postgresql_where=text("state = 'recording'"),
        ),
        # The few that may go on after all, for whoever follows the archive.
        Index(
            "ix_phono_recording_interrupted",
            "started_at",
            sqlite_where=text("state = 'interrupted'"),
            postgresql_where=text("state = 'interrupted'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, comment="UUID version 7 whose time is started_at"
    )
    source: Mapped[str] = mapped_column(
        Text, ForeignKey(SourceRow.name, ondelete="RESTRICT"), comment="where the sound comes from"
    )
    run_id: Mapped[UUID] = mapped_column(
        Uuid, comment="shared by the recordings that one process made without stopping"
    )
    run_index: Mapped[int] = mapped_column(Integer, comment="place in the run, from 0")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC at the first frame")
    ended_at: Mapped[datetime] = mapped_column(
        UtcDateTime, comment="started_at plus frame_count / sample_rate; moves on while recording"
    )
    sample_rate: Mapped[int] = mapped_column(Integer, comment="frames a second")
    channels: Mapped[int] = mapped_column(Integer, comment="samples in a frame")
    sample_format: Mapped[str] = mapped_column(Text, comment="int16, int24, int32 or float32")
    encoding: Mapped[str] = mapped_column(Text, comment="of the audio rows: flac or pcm")
    media_type: Mapped[str] = mapped_column(Text, comment="of header || audio rows in order")
    header: Mapped[bytes] = mapped_column(
        LargeBinary, comment="makes a playable file of the audio rows; true at every commit"
    )
    header_sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of header")
    state: Mapped[str] = mapped_column(
        Text,
        comment="recording, complete, or interrupted: its recorder failed before the end",
    )
    frame_count: Mapped[int] = mapped_column(BigInt, comment="frames in all chunks")
    byte_count: Mapped[int] = mapped_column(BigInt, comment="bytes in all audio rows, without header")
    chunk_count: Mapped[int] = mapped_column(Integer, comment="chunks")
    peak_dbfs: Mapped[float] = mapped_column(
        Double, comment="largest magnitude in dBFS; -Infinity for digital silence"
    )
    rms_dbfs: Mapped[float] = mapped_column(
        Double, comment="root mean square in dBFS, a full-scale sine being -3.01"
    )
    clipped_frames: Mapped[int] = mapped_column(
        BigInt, comment="frames with a sample at the end of the scale"
    )
    pcm_sha256: Mapped[bytes | None] = mapped_column(
        LargeBinary,
        comment="SHA-256 of the decoded PCM, little-endian, interleaved; set when closed",
    )
    chain_head: Mapped[bytes] = mapped_column(LargeBinary, comment="chain of the last chunk")
    committed_at: Mapped[datetime] = mapped_column(
        UtcDateTime, comment="UTC, by the recorder's clock, when the newest chunk was stored"
    )
    title: Mapped[str | None] = mapped_column(Text, comment="for people")
    notes: Mapped[str | None] = mapped_column(Text, comment="for people")
    tags: Mapped[dict[str, Any]] = mapped_column(JsonObject, comment="names to values, for search")
    external_id: Mapped[str | None] = mapped_column(
        Text, comment="what the recording is called elsewhere: an order, a call, a case"
    )
    capture: Mapped[dict[str, Any]] = mapped_column(
        JsonObject, comment="how it was captured: input, device, host, process, versions"
    )
    drift_ppm: Mapped[float | None] = mapped_column(
        Double,
        comment="sample clock against the system's, in parts per million, positive is fast; "
        "set when closed, where it was measured",
    )


class ChunkRow(Base):
    """A slice of a recording, about two seconds: what is committed, hashed and read as one."""

    __tablename__ = "phono_chunk"
    __table_args__ = (
        UniqueConstraint("recording_id", "first_frame"),
        UniqueConstraint("recording_id", "first_byte"),
        CheckConstraint("seq >= 0", name="seq_range"),
        CheckConstraint("first_frame >= 0", name="first_frame_range"),
        CheckConstraint("frame_count >= 1", name="frame_count_range"),
        CheckConstraint("first_byte >= 0", name="first_byte_range"),
        CheckConstraint("byte_count BETWEEN 1 AND 1048576", name="at_most_1_mib"),
        CheckConstraint("length(sha256) = 32", name="sha256_length"),
        CheckConstraint("length(chain) = 32", name="chain_length"),
    )

    recording_id: Mapped[UUID] = mapped_column(
        ForeignKey(RecordingRow.id, ondelete="RESTRICT"), primary_key=True, comment="the recording"
    )
    seq: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="place in the recording, from 0"
    )
    first_frame: Mapped[int] = mapped_column(BigInt, comment="frames of the recording before it")
    frame_count: Mapped[int] = mapped_column(Integer, comment="frames in it")
    first_byte: Mapped[int] = mapped_column(
        BigInt, comment="bytes of the recording before it, the header not counted"
    )
    byte_count: Mapped[int] = mapped_column(Integer, comment="bytes in its audio row")
    captured_at: Mapped[datetime] = mapped_column(
        UtcDateTime, comment="UTC at its first frame, by the wall clock"
    )
    peak_dbfs: Mapped[float] = mapped_column(
        Double, comment="largest magnitude in dBFS; -Infinity for digital silence"
    )
    rms_dbfs: Mapped[float] = mapped_column(
        Double, comment="root mean square in dBFS, a full-scale sine being -3.01"
    )
    peaks: Mapped[bytes] = mapped_column(
        LargeBinary,
        comment="outline: for every 512 frames and each channel a minimum and a maximum, signed bytes",
    )
    sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of its audio row's data")
    chain: Mapped[bytes] = mapped_column(
        LargeBinary,
        comment="SHA-256 of previous chain || seq || first_frame || frame_count || sha256",
    )


class AudioRow(Base):
    """The bytes of a chunk and nothing else, so that no query on metadata touches a page of audio."""

    __tablename__ = "phono_audio"
    __table_args__ = (
        ForeignKeyConstraint(
            ["recording_id", "seq"], [ChunkRow.recording_id, ChunkRow.seq], ondelete="RESTRICT"
        ),
        CheckConstraint("length(data) BETWEEN 1 AND 1048576", name="at_most_1_mib"),
    )

    recording_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, comment="the recording")
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, comment="the chunk")
    data: Mapped[bytes] = mapped_column(
        LargeBinary,
        deferred=True,
        deferred_raiseload=True,
        comment="whole FLAC frames of one continuous stream, or interleaved little-endian PCM",
    )


class GapRow(Base):
    """A stretch of a source's time that was not heard, with its cause."""

    __tablename__ = "phono_gap"
    __table_args__ = (
        CheckConstraint("ended_at >= started_at", name="ends_after_start"),
        CheckConstraint("length(cause) >= 1", name="cause_length"),
        CheckConstraint("first_frame >= 0", name="first_frame_range"),
        CheckConstraint("frame_count >= 0", name="frame_count_range"),
        CheckConstraint("(recording_id IS NULL) = (first_frame IS NULL)", name="inside_a_recording_or_not"),
        Index(None, "source", "started_at"),
        # A gap may be of any length, so its beginning does not say how far it reaches.
        Index(None, "source", "ended_at", "started_at"),
        # The few that are longer than a day, for whoever looks at one day.
        Index(
            "ix_phono_gap_long",
            "source",
            "started_at",
            sqlite_where=text("julianday(ended_at) - julianday(started_at) > 0.999"),
            postgresql_where=text("ended_at - started_at > interval '24 hours'"),
        ),
        Index(None, "recording_id"),
    )

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, comment="UUID version 7 whose time is started_at"
    )
    source: Mapped[str] = mapped_column(
        Text, ForeignKey(SourceRow.name, ondelete="RESTRICT"), comment="what was not heard"
    )
    run_id: Mapped[UUID | None] = mapped_column(Uuid, comment="the run it belongs to, if any")
    recording_id: Mapped[UUID | None] = mapped_column(
        ForeignKey(RecordingRow.id, ondelete="RESTRICT"),
        comment="the recording it lies in, if any; its frames are silence there",
    )
    first_frame: Mapped[int | None] = mapped_column(BigInt, comment="frames of the recording before the gap")
    frame_count: Mapped[int | None] = mapped_column(
        BigInt,
        comment="frames of silence that stand for it; 0 where the loss could not be measured",
    )
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC at its beginning")
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC at its end")
    cause: Mapped[str] = mapped_column(
        Text, comment="why: overflow, device-lost, process-down, deleted and others"
    )
    detail: Mapped[str | None] = mapped_column(Text, comment="more, for people")


class AnnotationRow(Base):
    """What a person or a program says of a stretch of a recording."""

    __tablename__ = "phono_annotation"
    __table_args__ = (
        CheckConstraint("first_frame >= 0", name="first_frame_range"),
        CheckConstraint("frame_count >= 0", name="frame_count_range"),
        CheckConstraint("length(kind) BETWEEN 1 AND 100", name="kind_length"),
        CheckConstraint("length(author) BETWEEN 1 AND 200", name="author_length"),
        Index(None, "recording_id", "first_frame"),
        Index(None, "kind", "recording_id"),
    )

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, comment="UUID version 7 whose time is created_at"
    )
    recording_id: Mapped[UUID] = mapped_column(
        ForeignKey(RecordingRow.id, ondelete="RESTRICT"), comment="the recording it speaks of"
    )
    first_frame: Mapped[int] = mapped_column(BigInt, comment="frames of the recording before the stretch")
    frame_count: Mapped[int] = mapped_column(BigInt, comment="frames in the stretch; 0 for a moment")
    kind: Mapped[str] = mapped_column(
        Text, comment="what sort of thing is said: note, label, transcript, speech"
    )
    text: Mapped[str | None] = mapped_column(Text, comment="what is said, in words")
    score: Mapped[float | None] = mapped_column(
        Double, comment="how sure or how strong, on the author's own scale"
    )
    author: Mapped[str] = mapped_column(Text, comment="who says it: a person, or a program and its version")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="when it was said")


class CommitRow(Base):
    """When a recording last got sound or was closed, in the order of this database's commits.

    Triggers write it, so that whoever follows an archive misses nothing, however a row got there.
    """

    __tablename__ = "phono_commit"
    __table_args__ = (Index(None, "place", "recording_id"),)

    recording_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, comment="the recording")
    place: Mapped[int] = mapped_column(
        BigInt, comment="PostgreSQL: the transaction's id; SQLite: a number that only rises"
    )


class TokenRow(Base):
    """What somebody shows who asks over HTTP; of its secret only the hash is kept."""

    __tablename__ = "phono_token"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 200", name="name_length"),
        CheckConstraint("length(secret_sha256) = 32", name="secret_sha256_length"),
        CheckConstraint("scope IN ('read', 'write', 'admin')", name="scope_known"),
    )

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, comment="UUID version 7 whose time is created_at"
    )
    name: Mapped[str] = mapped_column(Text, comment="whose it is: a person, or a program")
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of its secret")
    scope: Mapped[str] = mapped_column(Text, comment="read, write or admin; each includes the last")
    sources: Mapped[list[str] | None] = mapped_column(
        JsonObject, comment="list of the sources it is for; all of them, if null"
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="when it was made")
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when it ends; never, if null")
    revoked_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="when it was taken back, if it was"
    )


class SessionRow(Base):
    """A browser that showed a token once and has a cookie since; it has that token's rights."""

    __tablename__ = "phono_session"
    __table_args__ = (
        CheckConstraint("length(secret_sha256) = 32", name="secret_sha256_length"),
        Index(None, "token_id"),
    )

    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, comment="UUID version 7 whose time is created_at"
    )
    token_id: Mapped[UUID] = mapped_column(
        ForeignKey(TokenRow.id, ondelete="RESTRICT"), comment="the token it was begun with"
    )
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the cookie's secret")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="when it began")
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="when it ends")


class EventRow(Base):
    """A request over HTTP: who asked for what, when, from where, and what became of it.

    What it names may be gone by now: nothing refers to it, and it refers to nothing.
    """

    __tablename__ = "phono_event"
    __table_args__ = (
        CheckConstraint("length(action) BETWEEN 1 AND 100", name="action_length"),
        CheckConstraint("status BETWEEN 100 AND 599", name="status_range"),
        Index(None, "at"),
        Index(None, "recording_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, comment="UUID version 7 whose time is at")
    at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC when it was asked for")
    who: Mapped[str | None] = mapped_column(Text, comment="name of who asked, if it is known")
    token_id: Mapped[UUID | None] = mapped_column(Uuid, comment="the token they showed, if any")
    address: Mapped[str | None] = mapped_column(Text, comment="network address the request came from")
    action: Mapped[str] = mapped_column(Text, comment="what was asked for: get_audio, edit, upload")
    source: Mapped[str | None] = mapped_column(Text, comment="the source it concerned, if one")
    recording_id: Mapped[UUID | None] = mapped_column(Uuid, comment="the recording it concerned, if one")
    detail: Mapped[str | None] = mapped_column(Text, comment="more: a range of bytes, what was changed")
    status: Mapped[int] = mapped_column(
        Integer, comment="HTTP status it was answered with; 102 for a change before it is made"
    )
