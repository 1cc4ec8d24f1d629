"""Sound that is there as a whole into an archive: as one recording, or not at all."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Unpack

from phonobase.capture.file import FileInput
from phonobase.errors import StoreError, TruncatedAudio, UnsupportedFormat
from phonobase.store.recording import MAX_SECONDS, Details, Recording
from phonobase.store.recover import WHOLE_OR_NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from phonobase.pcm import AudioFormat, Frames, SampleFormat
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
        details["started_at"], origin = began(
            details.get("started_at"), file.began_at, (_changed(path), "file time"), form.microseconds(count)
        )
        details["capture"] = {**file.description, **origin}
        sound = (block.frames for block in file.blocks())
        try:
            return store_whole(archive, sound, form, on_frames=on_frames, **details)
        except TruncatedAudio as error:
            raise TruncatedAudio(
                f"{error}; nothing was stored, phonobase record --input {path} keeps what is there"
            ) from error


def store_whole(
    archive: Archive,
    sound: Iterable[Frames],
    form: AudioFormat,
    *,
    on_frames: Callable[[int], None] = lambda _frames: None,
    **details: Unpack[Details],
) -> Recording:
    """Store sound as one recording, whole or not at all, and return it.

    It is committed chunk by chunk, so that recorders get their turn. Where this process dies meanwhile, what
    it left is open, and marked to be taken back.

    Args:
        archive: Where to.
        sound: Its frames; what it raises takes back all.
        form: Of the frames.
        on_frames: Called with the number of frames that were stored since the last call.
        details: What is said of it.

    Raises:
        InvalidAudio: There is no frame, or a float sample is NaN or infinite.
        UnsupportedFormat: The encoding cannot hold the format, or it is longer than a day.
        StoreError: The archive failed.
    """
    details["capture"] = {**details.get("capture", {}), WHOLE_OR_NOTHING: True}
    with archive.writer(form.sample_rate, form.channels, form.sample_format, **details) as writer:
        try:
            for frames in sound:
                writer.write(frames)
                on_frames(len(frames))
        except BaseException:
            # Where even this fails, what failed first must be said; recover() closes the rest.
            with contextlib.suppress(StoreError):
                writer.discard()
            raise
        return writer.close()


def began(
    known: datetime | None, said: datetime | None, ended: tuple[datetime, str], duration_us: int
) -> tuple[datetime, dict[str, str]]:
    """Return when sound began, and how that is known, as ``capture`` keeps it.

    Args:
        known: What a person says.
        said: What the file says; without a zone, where it names none.
        ended: When it ended, where nobody says anything, and what time that is.
        duration_us: How long it is, in microseconds.
    """
    if known is not None:
        return known, {"started_at_from": "user"}
    if said is not None and said.tzinfo is not None:
        return said, {"started_at_from": "file"}
    ended_at, what = ended
    origin = {"started_at_from": what}
    if said is not None:
        origin["began_locally"] = said.isoformat()
    return ended_at - timedelta(microseconds=duration_us), origin


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
