"""A recording that its recorder has not ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.draft import Draft
from phonobase.store.recording import new_recording
from tests.store.judge import frames_of

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase import Archive

RATE = 8000


def leave_open(archive: Archive, source: str, *pcm: bytes) -> UUID:
    """Commits mono 16-bit sound, a chunk a piece, to a recording that ends now, and leaves it open."""
    form = AudioFormat(RATE, 1, SampleFormat.INT16)
    frames = sum(map(len, pcm)) // 2
    began = datetime.now(UTC) - timedelta(microseconds=form.microseconds(frames))
    draft = Draft(new_recording(form, source=source, started_at=began, encoding="pcm"), chunk_seconds=10)
    chunks = []
    for piece in pcm:
        chunks += [draft.seal(cut) for cut in [*draft.cut(frames_of(piece, 1, "int16")), *draft.finish()]]
    with archive.writing() as repository:
        repository.append(draft, chunks)
    return draft.new.id
