"""What an earlier recorder of a source left: until when its time is accounted for, and what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.recorder.gate import QUIET
from phonobase.recorder.pauses import PAUSED
from phonobase.recorder.pulse import STOPPED
from phonobase.recorder.track import DATABASE_DOWN, DEVICE_LOST, DISK_FULL, PROCESS_DOWN, Unheard
from phonobase.store.columns import from_us, to_us
from phonobase.store.recording import State
from phonobase.store.recover import is_half_an_import

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase.recorder.state import SourceStatus
    from phonobase.store.archive import Archive

_HEARING = (QUIET, PAUSED)
_DEAF = (DEVICE_LOST, DISK_FULL, DATABASE_DOWN)


def unheard_since(archive: Archive, source: str, said: SourceStatus | None) -> Unheard | None:
    """Return since when, and why, nothing was heard of a source; None where it is new.

    What its last recorder said, but could not list before it died, is listed.

    Args:
        archive: Where it is recorded.
        source: Its name.
        said: What its last recorder said last.

    Raises:
        StoreError: The archive does not work.
    """
    until = archive.accounted_until(source)
    if until is not None:
        until_us = to_us(until)
    elif said is not None:
        until_us = said.started_us
    else:
        return None
    if said is not None:
        known_us = said.heard_until_us if said.state in _HEARING else said.updated_us
        if said.state in (*_HEARING, *_DEAF) and known_us is not None and known_us > until_us:
            archive.add_gap(source, from_us(until_us), from_us(known_us), said.state, detail=said.detail)
            until_us = known_us
    stopped = said is not None and said.state == STOPPED
    return Unheard(until_us, PROCESS_DOWN, "the recorder was stopped" if stopped else "no recorder ran")


def left_open(archive: Archive, source: str) -> list[UUID]:
    """Return the recordings of a source that nobody will complete: the caller is its only recorder.

    Raises:
        StoreError: The archive does not work.
    """
    found = archive.find(source=source, state=State.RECORDING, limit=None)
    return [recording.id for recording in found if not is_half_an_import(recording)]
