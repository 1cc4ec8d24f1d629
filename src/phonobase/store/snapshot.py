"""A recording as it was when it had fewer frames: a file that stays as it is while the recording goes on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from phonobase.audio import encoding
from phonobase.errors import InvalidDetails
from phonobase.store.models import ChunkRow
from phonobase.store.recording import Recording, State, comments

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def as_of(session: Session, recording: Recording, frame_count: int) -> Recording:
    """Return what a recording was after one of its commits; its levels and sums are those of today.

    Args:
        session: Of the archive.
        recording: As it is now.
        frame_count: How many frames it had then.

    Raises:
        InvalidDetails: It never had so many: no chunk ends there.
    """
    chunk = session.execute(
        select(
            ChunkRow.seq,
            ChunkRow.first_frame,
            ChunkRow.frame_count,
            ChunkRow.first_byte,
            ChunkRow.byte_count,
            ChunkRow.chain,
        )
        .where(ChunkRow.recording_id == recording.id, ChunkRow.first_frame < frame_count)
        .order_by(ChunkRow.first_frame.desc())
        .limit(1)
    ).one_or_none()
    if chunk is None or chunk.first_frame + chunk.frame_count != frame_count:
        raise InvalidDetails(
            f"recording {recording.id.hex} never had {frame_count} frames; it has {recording.frame_count}"
        )
    header = encoding.header(recording.encoding, recording.format, frame_count, comments=comments(recording))
    lasted = timedelta(microseconds=recording.format.microseconds(frame_count))
    return replace(
        recording,
        state=State.RECORDING,
        ended_at=recording.started_at + lasted,
        frame_count=frame_count,
        byte_count=chunk.first_byte + chunk.byte_count,
        chunk_count=chunk.seq + 1,
        header=header,
        header_sha256=hashlib.sha256(header).digest(),
        chain_head=chunk.chain,
    )
