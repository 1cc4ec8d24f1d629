"""What files of recordings are called."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from phonobase.store.recording import Recording

_NAME_BYTES = 100


def recording_name(recording: Recording, suffix: str) -> str:
    """Return what a file of a recording is called."""
    moment = recording.started_at.strftime("%Y%m%dT%H%M%SZ")
    return f"{_plain(recording.source)}_{moment}_{recording.id.hex[-8:]}{suffix}"


def moment_name(source: str, moment: datetime, suffix: str) -> str:
    """Return what a file of a source is called that begins at a moment; no other of it does."""
    return f"{_plain(source)}_{moment.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}{suffix}"


def _plain(name: str) -> str:
    """Return a source's name as every file system takes it."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore")
