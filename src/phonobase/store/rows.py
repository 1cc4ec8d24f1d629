"""Values as rows, and rows as values."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from phonobase.audio.encoding import Encoding
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.columns import from_us, to_us
from phonobase.store.recording import NewRecording, Recording, State

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from phonobase.audio.seal import Chunk, Totals

_PLAIN = {field.name for field in fields(Recording)} - {"format", "encoding", "state"}


def new_row(new: NewRecording) -> dict[str, Any]:
    """Return the columns of a recording that are known before its first frame."""
    return {
        "id": new.id,
        "source": new.source,
        "run_id": new.run_id,
        "run_index": new.run_index,
        "started_at": new.started_at,
        "sample_rate": new.format.sample_rate,
        "channels": new.format.channels,
        "sample_format": new.format.sample_format,
        "encoding": new.encoding,
        "media_type": new.encoding.media_type,
        "state": State.RECORDING,
        "title": new.title,
        "notes": new.notes,
        "tags": dict(new.tags),
        "external_id": new.external_id,
        "capture": dict(new.capture),
    }


def progress_row(new: NewRecording, totals: Totals) -> dict[str, Any]:
    """Return the columns of a recording that move on with every chunk."""
    return {
        "ended_at": new.started_at + timedelta(microseconds=new.format.microseconds(totals.frame_count)),
        "frame_count": totals.frame_count,
        "byte_count": totals.byte_count,
        "chunk_count": totals.chunk_count,
        "peak_dbfs": totals.level.peak_dbfs,
        "rms_dbfs": totals.level.rms_dbfs,
        "clipped_frames": totals.level.clipped_frames,
        "chain_head": totals.chain_head,
        "committed_at": datetime.now(UTC),
    }


def chunk_row(new: NewRecording, chunk: Chunk) -> dict[str, Any]:
    """Return the columns of a chunk."""
    nominal_us = to_us(new.started_at) + new.format.microseconds(chunk.first_frame)
    captured_at_us = nominal_us if chunk.captured_at_us is None else chunk.captured_at_us
    return {
        "recording_id": new.id,
        "seq": chunk.seq,
        "first_frame": chunk.first_frame,
        "frame_count": chunk.frame_count,
        "first_byte": chunk.first_byte,
        "byte_count": len(chunk.data),
        "captured_at": from_us(captured_at_us),
        "peak_dbfs": chunk.level.peak_dbfs,
        "rms_dbfs": chunk.level.rms_dbfs,
        "peaks": chunk.peaks,
        "sha256": chunk.sha256,
        "chain": chunk.chain,
    }


def header_row(header: bytes) -> dict[str, Any]:
    """Return the columns of a recording's header."""
    return {"header": header, "header_sha256": hashlib.sha256(header).digest()}


def to_recording(row: RowMapping) -> Recording:
    """Return a row of all columns of phono_recording as a value."""
    form = AudioFormat(row["sample_rate"], row["channels"], SampleFormat(row["sample_format"]))
    return Recording(
        format=form,
        encoding=Encoding(row["encoding"]),
        state=State(row["state"]),
        **{name: row[name] for name in _PLAIN},
    )


def facts(recording: Recording) -> dict[str, Any]:
    """Return what programs get of a recording: the columns of ``phono_clips`` that hold no audio."""
    return {
        "id": recording.id.hex,
        "source": recording.source,
        "title": recording.title,
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "seconds": recording.seconds,
        "state": recording.state,
        "peak_dbfs": recording.peak_dbfs,
        "rms_dbfs": recording.rms_dbfs,
        "clipped_frames": recording.clipped_frames,
        "sample_rate": recording.format.sample_rate,
        "channels": recording.format.channels,
        "sample_format": recording.format.sample_format,
        "encoding": recording.encoding,
        "media_type": recording.media_type,
        "file_bytes": recording.file_bytes,
        "tags": dict(recording.tags),
        "notes": recording.notes,
        "external_id": recording.external_id,
        "run_id": recording.run_id.hex,
        "run_index": recording.run_index,
        "frame_count": recording.frame_count,
        "byte_count": recording.byte_count,
        "chunk_count": recording.chunk_count,
        "pcm_sha256": recording.pcm_sha256.hex() if recording.pcm_sha256 else None,
        "chain_head": recording.chain_head.hex(),
        "committed_at": recording.committed_at,
        "capture": dict(recording.capture),
        "drift_ppm": recording.drift_ppm,
    }
