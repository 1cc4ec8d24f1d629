"""Closing what a recorder that died left open."""

from __future__ import annotations

import hashlib
import os
import platform
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from phonobase.audio import encoding as encodings
from phonobase.pcm import to_bytes
from phonobase.store.recording import comments

if TYPE_CHECKING:
    from phonobase.store.chunks import StoredChunks
    from phonobase.store.recording import Recording

SILENT_FOR = timedelta(seconds=60)
"""A recording that was committed to within this time may have a recorder that is alive."""


def recorder_facts() -> dict[str, str | int]:
    """Return what tells later whether this process still lives, to be kept with a recording."""
    return {"host": platform.node(), "pid": os.getpid()}


def may_be_live(recording: Recording, now: datetime | None = None) -> bool:
    """Whether somebody may still be writing an open recording.

    Nobody is where nothing was committed for a minute, or where the recorder ran on this machine and its
    process is gone.
    """
    recent = (now or datetime.now(UTC)) - recording.committed_at < SILENT_FOR
    here = recording.capture.get("host") == platform.node()
    return recent and not (here and _is_gone(recording.capture.get("pid")))


def closing(stored: StoredChunks) -> tuple[bytes, bytes]:
    """Return the header and the pcm_sha256 that close a recording as it stands in the database.

    Raises:
        CorruptRecording: Chunks are missing or do not decode.
    """
    recording = stored.recording
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for frames in stored.frames():
        pcm = to_bytes(frames, recording.format.sample_format)
        sha256.update(pcm)
        md5.update(pcm)
    header = encodings.header(
        recording.encoding,
        recording.format,
        recording.frame_count,
        md5.digest(),
        comments(recording),
    )
    return header, sha256.digest()


def _is_gone(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
