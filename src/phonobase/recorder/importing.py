"""Existing files into an archive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from phonobase.capture.file import FileInput
from phonobase.errors import UnsupportedFormat
from phonobase.store.recording import MAX_SECONDS, Note, Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phonobase.pcm import SampleFormat
    from phonobase.store.archive import Archive


def import_file(
    archive: Archive,
    path: Path,
    *,
    source: str,
    started_at: datetime | None = None,
    sample_format: SampleFormat | None = None,
    encoding: str | None = None,
    note: Note | None = None,
    on_frames: Callable[[int], None] = lambda _frames: None,
) -> Recording:
    """Store a file as one recording, whole or not at all, and return it.

    Args:
        archive: Where to.
        path: Whatever libsndfile reads.
        source: Where the sound came from.
        started_at: When it began; where not given, the time the file was changed last less its duration.
        sample_format: To convert to; where not given, the file's own.
        encoding: ``flac`` or ``pcm``; where not given, FLAC if it can hold the format.
        note: What people and programs say of it.
        on_frames: Called with the number of frames that were stored since the last call.

    Raises:
        InvalidAudio: The file does not hold the sound it promises.
        UnsupportedFormat: Its format cannot be stored, or it is longer than a day.
        StoreError: The archive failed.
    """
    file = FileInput(path, sample_format)
    try:
        form, count = file.format, file.frame_count or 0
        if count > MAX_SECONDS * form.sample_rate:
            raise UnsupportedFormat(
                f"{path} is longer than 24 hours, the longest a recording may be; "
                f"store it in parts with: phonobase record --input {path}"
            )
        given = note or Note()
        began = started_at or _changed(path) - timedelta(microseconds=form.microseconds(count))
        facts = {**file.description, "started_at_from": "user" if started_at else "file time"}
        with archive.writer(
            form.sample_rate,
            form.channels,
            form.sample_format,
            source=source,
            started_at=began,
            encoding=encoding,
            note=replace(given, capture={**facts, **given.capture}),
        ) as writer:
            try:
                for block in file.blocks():
                    writer.write(block.frames)
                    on_frames(len(block.frames))
            except BaseException:
                writer.discard()
                raise
            return writer.close()
    finally:
        file.close()


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
