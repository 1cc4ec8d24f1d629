"""What recorders that died have left open: closed as it is stored, or taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.errors import CorruptRecording, RecordingClosed
from phonobase.store.recording import Recording, State
from phonobase.store.recover import closing, is_half_an_import, may_be_live

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from phonobase.store.archive import Archive


def close_as_stored(archive: Archive, recording_id: UUID | str) -> Recording:
    """End a recording as it stands; errors are those of Archive.close_as_stored."""
    recording = archive.get(recording_id)
    if recording.state is not State.RECORDING:
        raise RecordingClosed(f"recording {recording.id.hex} is closed already: {recording.state}")
    return _as_it_was(archive, recording)


def recover(
    archive: Archive,
    source: str | None,
    *,
    certain: bool,
    on_open: Callable[[Recording, bool], None] | None,
) -> list[Recording]:
    """Close what was left open; arguments and errors are those of Archive.recover."""
    closed, failed = [], []
    for recording in archive.find(source=source, state=State.RECORDING, limit=None):
        known_dead = certain and not is_half_an_import(recording)
        live = not known_dead and may_be_live(recording)
        if on_open is not None:
            on_open(recording, live)
        if live:
            continue
        try:
            closed += _closed(archive, recording)
        except CorruptRecording as error:
            failed.append(error)
    if failed:
        raise failed[0] if len(failed) == 1 else CorruptRecording("; ".join(map(str, failed)))
    return closed


def take_back_imports(archive: Archive) -> None:
    """Take back what imports left that were killed, on whatever source; recordings of recorders stay."""
    for recording in archive.walk(state=State.RECORDING, limit=None):
        if is_half_an_import(recording) and not may_be_live(recording):
            _closed(archive, recording)


def _closed(archive: Archive, recording: Recording) -> list[Recording]:
    """Return a recording that was left open as it is now; none where it was taken back, or goes on."""
    if is_half_an_import(recording):
        with archive.writing() as repository:
            repository.discard(recording.id)
        return []
    try:
        return [_as_it_was(archive, recording)]
    except RecordingClosed:  # it went on, or somebody else was faster
        return []


def _as_it_was(archive: Archive, recording: Recording) -> Recording:
    end = closing(archive.stored(recording))
    with archive.writing() as repository:
        return repository.seal(recording, end)
