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
    """Commits mono 16-bit sound to a recording that ends now, and leaves it open.

    Args:
        archive: Where to.
        source: Of which source.
        pcm: What is heard, a chunk a piece; several are of one length, a multiple of 4096 frames.
    """
    form = AudioFormat(RATE, 1, SampleFormat.INT16)
    frames = frames_of(b"".join(pcm), 1, "int16")
    began = datetime.now(UTC) - timedelta(microseconds=form.microseconds(len(frames)))
    new = new_recording(form, source=source, started_at=began, encoding="pcm")
    draft = Draft(new, chunk_seconds=len(pcm[0]) / 2 / RATE)
    chunks = [draft.seal(cut) for cut in [*draft.cut(frames), *draft.finish()]]
    assert len(chunks) == len(pcm)
    with archive.writing() as repository:
        repository.append(draft, chunks)
    return draft.new.id
