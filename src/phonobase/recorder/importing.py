"""Existing files into an archive."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Unpack

from phonobase.capture.file import FileInput
from phonobase.errors import StoreError, TruncatedAudio, UnsupportedFormat
from phonobase.store.recording import MAX_SECONDS, Details, Recording
from phonobase.store.recover import WHOLE_OR_NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phonobase.pcm import SampleFormat
    from phonobase.store.archive import Archive


def import_file(
    archive: Archive,
    path: Path,
    *,
    sample_format: SampleFormat | None = None,
    on_frames: Callable[[int], None] = lambda _frames: None,
    **details: Unpack[Details],
) -> Recording:
    """Store a file as one recording, whole or not at all, and return it.

    Args:
        archive: Where to.
        path: Whatever libsndfile reads.
        sample_format: To convert to; where not given, the file's own.
        on_frames: Called with the number of frames that were stored since the last call.
        details: What is said of it; where ``started_at`` is not, it is what a file that phonobase exported
            says, or else the time the file was changed last less its duration. What another Broadcast Wave
            says is in an unknown time zone; it is kept in ``capture`` as ``began_locally``.

    Raises:
        InvalidAudio: The file does not hold the sound it promises.
        UnsupportedFormat: Its format cannot be stored, or it is longer than a day.
        StoreError: The archive failed.
    """
    with contextlib.closing(FileInput(path, sample_format)) as file:
        form, count = file.format, file.frame_count or 0
        if count > MAX_SECONDS * form.sample_rate:
            raise UnsupportedFormat(
                f"{path} is longer than 24 hours, the longest a recording may be; "
                f"store it in parts with: phonobase record --input {path}"
            )
        details["started_at"], origin = _began(path, file, details.get("started_at"))
        details["capture"] = {**file.description, **origin, WHOLE_OR_NOTHING: True}
        with archive.writer(form.sample_rate, form.channels, form.sample_format, **details) as writer:
            try:
                for block in file.blocks():
                    writer.write(block.frames)
                    on_frames(len(block.frames))
            except BaseException as error:
                # Where even this fails, what failed first must be said; recover() closes the rest.
                with contextlib.suppress(StoreError):
                    writer.discard()
                if isinstance(error, TruncatedAudio):
                    raise TruncatedAudio(
                        f"{error}; nothing was stored, phonobase record --input {path} keeps what is there"
                    ) from error
                raise
            return writer.close()


def _began(path: Path, file: FileInput, known: datetime | None) -> tuple[datetime, dict[str, str]]:
    """Return when the sound of a file began, and how that is known."""
    if known is not None:
        return known, {"started_at_from": "user"}
    said = file.began_at
    if said is not None and said.tzinfo is not None:
        return said, {"started_at_from": "file"}
    origin = {"started_at_from": "file time"}
    if said is not None:
        origin["began_locally"] = said.isoformat()
    duration = timedelta(microseconds=file.format.microseconds(file.frame_count or 0))
    return _changed(path) - duration, origin


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
