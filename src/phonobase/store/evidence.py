"""What is written down of exported files: their manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import soundfile
from sqlalchemy import select

from phonobase.audio import chain
from phonobase.audio.samples import samples
from phonobase.errors import CorruptRecording
from phonobase.pcm import to_bytes
from phonobase.store import manifest as form
from phonobase.store.accounting import holds_chunks, losses
from phonobase.store.columns import to_us
from phonobase.store.models import ChunkRow
from phonobase.store.take import Silence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phonobase.audio.kinds import Kind
    from phonobase.store.archive import Archive
    from phonobase.store.coverage import Gap
    from phonobase.store.cut import Cut
    from phonobase.store.take import Sound, Take


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written.

    Attributes:
        name: What it is called, without a folder.
        path: Where it is now.
        kind: Of which kind.
        take: What went into it.
    """

    name: str
    path: Path
    kind: Kind
    take: Take


def manifest_of(archive: Archive, cut: Cut, files: Sequence[Written]) -> form.Manifest:
    """Return the manifest of a cut that was written to files; these are read again for it.

    Raises:
        CorruptRecording: Chunks are missing meanwhile.
        InvalidAudio: A file does not decode.
    """
    period_us = (cut.until - cut.since) // timedelta(microseconds=1)
    gaps = tuple(_gap(gap) for gap in cut.gaps)
    return form.Manifest(
        phonobase_manifest=form.VERSION,
        made_at=form.to_text(datetime.now(UTC)),
        made_by=(("phonobase", version("phonobase")), ("libsndfile", soundfile.__libsndfile_version__)),
        source=cut.source,
        since=form.to_text(cut.since),
        until=form.to_text(cut.until),
        policy=cut.policy,
        heard_us=period_us - cut.lost_us,
        gaps=gaps,
        files=tuple(_file(archive, written, gaps) for written in files),
    )


def sha256_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _gap(gap: Gap) -> form.GapEntry:
    return form.GapEntry(
        started_at=form.to_text(gap.started_at),
        ended_at=form.to_text(gap.ended_at),
        cause=gap.cause,
        recording=gap.recording_id.hex if gap.recording_id else None,
        first_frame=gap.first_frame,
        frame_count=gap.frame_count,
    )


def _file(archive: Archive, written: Written, gaps: Sequence[form.GapEntry]) -> form.FileEntry:
    take, path, size = written.take, written.path, written.path.stat().st_size
    with path.open("rb") as file:
        head = written.kind.header_bytes(file)
    entry = form.FileEntry(
        name=written.name,
        kind=written.kind,
        bytes=size,
        sha256=sha256_of(path),
        header_bytes=head,
        started_at=form.to_text(take.started_at),
        sample_rate=take.format.sample_rate,
        channels=take.format.channels,
        sample_format=take.format.sample_format,
        frame_count=take.frame_count,
        pcm_sha256=None if written.kind.is_lossy else _pcm_sha256(path, take),
        parts=tuple(
            form.PartEntry(part.frame_count) if isinstance(part, Silence) else _sound(archive, part, gaps)
            for part in take.parts
        ),
    )
    return replace(
        entry, parts=tuple(replace(part, copied=holds_chunks(entry, part)) for part in entry.parts)
    )


def _pcm_sha256(path: Path, take: Take) -> str:
    sha256 = hashlib.sha256()
    for frames in samples(path, take.format.sample_format):
        sha256.update(to_bytes(frames, take.format.sample_format))
    return sha256.hexdigest()


def _sound(archive: Archive, sound: Sound, gaps: Sequence[form.GapEntry]) -> form.PartEntry:
    recording = sound.recording
    entry = form.RecordingEntry(
        id=recording.id.hex,
        started_at=form.to_text(recording.started_at),
        encoding=recording.encoding,
        state=recording.state,
        frame_count=recording.frame_count,
        chunk_count=recording.chunk_count,
        chain_head=recording.chain_head.hex(),
    )
    before, chunks = _chunks(archive, sound)
    return form.PartEntry(
        frame_count=sound.frame_count,
        recording=entry,
        first_frame=sound.first_frame,
        losses=losses(gaps, recording.format, entry, sound.first_frame, sound.frame_count),
        chain_before=before.hex(),
        chunks=chunks,
    )


def _chunks(archive: Archive, sound: Sound) -> tuple[bytes, tuple[form.ChunkEntry, ...]]:
    """Return the link before the chunks that hold a sound, and what is written down of each of these."""
    recording = sound.recording
    statement = select(
        ChunkRow.seq,
        ChunkRow.first_frame,
        ChunkRow.frame_count,
        ChunkRow.byte_count,
        ChunkRow.sha256,
        ChunkRow.chain,
    ).where(ChunkRow.recording_id == recording.id)
    first_seq = archive.stored(recording).seq_at_frame(sound.first_frame)
    with archive.session() as session:
        found = [
            form.ChunkEntry(*row[:4], row.sha256.hex(), row.chain.hex())
            for row in session.execute(
                statement.where(ChunkRow.seq >= first_seq, ChunkRow.first_frame < sound.end_frame).order_by(
                    ChunkRow.seq
                )
            )
        ]
        before = session.scalar(
            select(ChunkRow.chain).where(ChunkRow.recording_id == recording.id, ChunkRow.seq == first_seq - 1)
        )
    if not found or (before is None and first_seq):
        raise CorruptRecording(
            f"recording {recording.id.hex}: chunk {first_seq} is missing; "
            f"see what is left with: phonobase verify {recording.id.hex}"
        )
    start = chain.genesis(
        recording.id, to_us(recording.started_at), recording.format, recording.encoding, recording.source
    )
    return before or start, tuple(found)
