"""What an earlier recorder of a source left: until when its time is accounted for, and what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.recorder.gate import QUIET
from phonobase.recorder.pauses import PAUSED
from phonobase.recorder.pulse import STOPPED
from phonobase.recorder.track import DATABASE_DOWN, DEVICE_LOST, DISK_FULL, PROCESS_DOWN, Unheard
from phonobase.recorder.words import storable_words
from phonobase.store.columns import from_us, to_us
from phonobase.store.recording import State
from phonobase.store.recover import is_half_an_import

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase.recorder.state import SourceStatus
    from phonobase.store.archive import Archive

_HEARING = (QUIET, PAUSED)
_DEAF = (DEVICE_LOST, DISK_FULL, DATABASE_DOWN)


def unheard_since(
    archive: Archive, source: str, said: SourceStatus | None, now_us: int | None = None
) -> Unheard | None:
    """Return since when, and why, nothing was heard of a source; None where it is new.

    What its last recorder said, but could not list before it died, is listed, though nothing that is still
    to come: a clock that was wrong, or a file that somebody wrote, may say that.

    Args:
        archive: Where it is recorded.
        source: Its name.
        said: What its last recorder said last.
        now_us: The time, in microseconds since 1970-01-01 UTC; the system's, with None.

    Raises:
        StoreError: The archive does not work.
    """
    if now_us is None:
        now_us = SYSTEM_CLOCK.wall_us()
    until = archive.accounted_until(source)
    if until is not None:
        until_us = to_us(until)
    elif said is not None:
        until_us = min(said.started_us, now_us)
    else:
        return None
    if said is not None:
        known_us = said.heard_until_us if said.state in _HEARING else said.updated_us
        known_us = until_us if known_us is None else min(known_us, now_us)
        if said.state == PAUSED and until_us < said.state_since_us < known_us:
            # What was heard before the pause and not committed is not the pause's.
            times = from_us(until_us), from_us(said.state_since_us)
            archive.add_gap(source, *times, PROCESS_DOWN, detail="no recorder ran")
            until_us = said.state_since_us
        if said.state in (*_HEARING, *_DEAF) and known_us > until_us:
            detail = storable_words(said.detail)
            archive.add_gap(source, from_us(until_us), from_us(known_us), said.state, detail=detail)
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
