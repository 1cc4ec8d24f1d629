"""What one spool still has to send, what it has sent, and what may leave it."""

from __future__ import annotations

import itertools
import logging
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from phonobase.errors import CorruptRecording, DatabaseUnavailable, RecordingConflict
from phonobase.store import sending
from phonobase.store.engine import plain_errors, shown
from phonobase.store.pusher import OursUnavailable, Pusher, Standing, Step, blamed_on_ours
from phonobase.store.shedding import may_leave, shed_gaps, shed_recording

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase.store.archive import Archive
    from phonobase.store.sending import Extent

_log = logging.getLogger("phonobase.forward")

_LOOK_PART = 0.1
"""Of the time, at most, goes into looking through the whole spool."""

_FULL_LOOK_S = 30.0
_TRY_AGAIN_S = 600.0
_READ_AGAIN_S = 10.0
"""What could not be read is tried again so soon: it may have been the disk's bad moment."""

_GAPS_AT_ONCE = 500
_TOLD_AT_ONCE = 100
"""Lines on what is not sent on; whoever looks after that needs not read thousands."""

_FREE_KEPT_BYTES = 64 * 1024 * 1024
"""Free room inside the file that stays there for the sound to come."""

_VACUUM_PAGES = 512


@dataclass(frozen=True, slots=True)
class _Stopped:
    """Why a recording or a gap is not sent on, and when it is tried again."""

    message: str
    again_s: float


class Feed:
    """Follows a spool, and forwards it bit by bit.

    All times are of the monotonic clock, in seconds. Where the spool itself does not work, everything raises
    OursUnavailable.

    Args:
        spool: What is forwarded.
    """

    def __init__(self, spool: Archive) -> None:
        self.spool = spool
        self._pusher: Pusher | None = None
        self._here: dict[UUID, Extent] = {}
        self._there: dict[UUID, Extent | Step] = {}
        self._gaps: dict[UUID, UUID | None] = {}
        self._done: dict[UUID, float] = {}
        self._level: dict[UUID, Extent] = {}
        self._stopped: dict[UUID, _Stopped] = {}
        self._gaps_stopped: dict[UUID, _Stopped] = {}
        self._gaps_at_once = _GAPS_AT_ONCE
        self._gaps_sent: set[UUID] = set()
        self._gaps_kept: set[UUID] = set()
        self._gaps_done: dict[UUID, float] = {}
        self._version: object = None
        self._watch: Any = None
        self._full_look_from_s = self._full_look_by_s = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether it has an archive to forward to."""
        return self._pusher is not None

    @property
    def conflicts(self) -> list[str]:
        """Why some is not sent on, a line each."""
        stopped = [*self._stopped.values(), *self._gaps_stopped.values()]
        lines = [one.message for one in stopped[:_TOLD_AT_ONCE]]
        more = len(stopped) - len(lines)
        return [*lines, f"and {more} more that are not sent on; see the log"] if more else lines

    @property
    def backlog(self) -> tuple[int, int]:
        """Sound that the archive does not have yet: microseconds and bytes."""
        us = size = 0
        for recording_id, here in self._here.items():
            if recording_id not in self._done:
                there = self._there.get(recording_id)
                frames, bytes_ = _size(there) if there is not None else (0, 0)
                us += max(0, here.frame_count - frames) * 1_000_000 // here.sample_rate
                size += max(0, here.byte_count - bytes_)
        return us, size

    def connect(self, archive: Archive) -> None:
        """Forward to an archive from now on; what it has is asked of it."""
        self._pusher = Pusher(self.spool, archive)
        there = self._pusher.extents(list(self._here))
        self._there = dict(there)
        self._level.clear()
        self._gaps_sent.clear()
        done = [
            recording_id
            for recording_id, here in self._here.items()
            if here.closed and there.get(recording_id) == here
        ]
        # It may have gone back to an older state: what it has no more is sent again.
        self._done = {
            recording_id: self._done.get(recording_id) or _had_since_s(self._here[recording_id].committed_at)
            for recording_id in done
        }

    def close(self) -> None:
        """Let go of the spool."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def disconnect(self) -> None:
        """Forward no more until connected again."""
        self._pusher = None

    def look(self, *, fully: bool = False) -> None:
        """See what is new in the spool."""
        try:
            with blamed_on_ours():
                self._look(fully=fully)
        except OursUnavailable:
            self._version = None  # so that it is read again
            raise

    def _look(self, *, fully: bool) -> None:
        now_s, version = time.monotonic(), self._data_version()
        if version == self._version and not fully and now_s < self._full_look_by_s:
            return
        with plain_errors(self.spool.engine), self.spool.engine.connect() as connection:
            if fully or now_s >= self._full_look_from_s:
                self._here = sending.extents(connection)
                before, self._gaps = self._gaps, sending.all_gaps(connection)
                if before.keys() != self._gaps.keys():
                    self._gaps_kept.clear()
                self._version = version
                took_s = time.monotonic() - now_s
                self._full_look_from_s = now_s + took_s / _LOOK_PART
                self._full_look_by_s = self._full_look_from_s + _FULL_LOOK_S
                self._drop_what_left()
            else:
                was_open = [recording_id for recording_id, here in self._here.items() if not here.closed]
                self._here |= sending.open_extents(connection)
                self._here |= sending.extents(connection, was_open)

    def live(self) -> list[UUID]:
        """Return the open recordings of which there is more."""
        return [recording_id for recording_id in self._waiting() if not self._here[recording_id].closed]

    def backlogged(self) -> list[UUID]:
        """Return the closed recordings that are not wholly there, the oldest first."""
        return [recording_id for recording_id in self._waiting() if self._here[recording_id].closed]

    def gaps_waiting(self) -> list[UUID]:
        """Return some gaps that are to be sent: outside recordings, or in one that is there."""
        now_s = time.monotonic()
        waiting = (
            gap
            for gap, inside in self._gaps.items()
            if gap not in self._gaps_sent
            and (inside is None or inside in self._done)
            and (gap not in self._gaps_stopped or self._gaps_stopped[gap].again_s <= now_s)
        )
        return list(itertools.islice(waiting, self._gaps_at_once))

    def send(self, recording_id: UUID, batch_bytes: int) -> Step | None:
        """Send what comes next of a recording; None where it cannot be sent, which is remembered."""
        try:
            step = self._connected.advance(recording_id, batch_bytes)
        except (RecordingConflict, CorruptRecording) as error:
            known = self._stopped.get(recording_id)
            if known is None or known.message != str(error):
                _log.error("%s", error, extra={"recording": recording_id.hex})
            self._stopped[recording_id] = _Stopped(str(error), time.monotonic() + _TRY_AGAIN_S)
            return None
        self._stopped.pop(recording_id, None)
        if step.standing is Standing.GONE:
            self._here.pop(recording_id, None)
        elif step.standing in (Standing.DONE, Standing.DELETED):
            self._done[recording_id] = time.monotonic()
        elif step.standing is Standing.LEVEL:
            self._level[recording_id] = self._here[recording_id]
        if step.frames_there:
            self._there[recording_id] = step
        return step

    def put_off(self, recording_id: UUID, error: OursUnavailable) -> None:
        """Send a recording that cannot be read only in a while, and the others meanwhile."""
        if recording_id not in self._stopped:
            _log.error("recording %s cannot be read: %s", recording_id.hex, error)
        self._stopped[recording_id] = _Stopped(str(error), time.monotonic() + _READ_AGAIN_S)

    def send_gaps(self, ids: list[UUID]) -> None:
        """Send gaps at once; where the archive refuses that, fewer are next, down to the one it means."""
        try:
            sent = self._connected.put_gaps(ids)
        except RecordingConflict:
            self._gaps_at_once = max(1, len(ids) // 2)
            return
        self._gaps_at_once = min(2 * self._gaps_at_once, _GAPS_AT_ONCE)
        now_s = time.monotonic()
        for gap, error in sent.conflicts.items():
            known = self._gaps_stopped.get(gap)
            if known is None or known.message != str(error):
                _log.error("%s", error)
            self._gaps_stopped[gap] = _Stopped(str(error), now_s + _TRY_AGAIN_S)
            self._gaps_done.pop(gap, None)
        for gap in set(ids) - sent.conflicts.keys():
            self._gaps_stopped.pop(gap, None)
            self._gaps_sent.add(gap)
            if gap not in sent.before:
                self._gaps_done[gap] = now_s
            elif gap not in self._gaps_done:
                self._gaps_done[gap] = _had_since_s(sent.before[gap])

    def shed(self, grace_s: float) -> bool:
        """Take some of what the archive has had for so long out of the spool; whether there may be more."""
        before_s = time.monotonic() - grace_s
        gap_waits = {inside for gap, inside in self._gaps.items() if gap not in self._gaps_sent}
        old_recordings = [id_ for id_, done_s in self._done.items() if done_s <= before_s]
        for recording_id in [id_ for id_ in old_recordings if id_ not in gap_waits]:
            sent = self._here[recording_id]
            with blamed_on_ours():
                leaves = may_leave(self.spool, recording_id, sent)
            if leaves:
                # Where the archive has lost it meanwhile, it is sent again.
                said = self._said_there(recording_id)
                left = said is not None
                if said is not None:
                    with blamed_on_ours():
                        left = shed_recording(self.spool, recording_id, sent, said)
                del self._done[recording_id]
                if left:
                    del self._here[recording_id]
                return True
        old = [
            gap
            for gap, done_s in self._gaps_done.items()
            if done_s <= before_s and gap not in self._gaps_kept and self._gaps.get(gap) is None
        ][: self._gaps_at_once]
        if old:
            # Where the archive has lost them meanwhile, they are sent again.
            self._gaps_sent.difference_update(old)
            self.send_gaps(old)
            there = {gap for gap in self._gaps_sent.intersection(old) if self._gaps_done[gap] <= before_s}
            with blamed_on_ours():
                shed = shed_gaps(self.spool, list(there))
            for gap in shed:
                del self._gaps_done[gap], self._gaps[gap]
            self._gaps_kept.update(there.difference(shed))
            return True
        with blamed_on_ours():
            self._vacuum()
        return False

    def _said_there(self, recording_id: UUID) -> set[UUID] | None:
        """Return the annotations that the archive has of a recording; None where it has not all of that."""
        try:
            if self._connected.is_done(recording_id):
                return self._connected.send_annotations([recording_id])
        except (RecordingConflict, CorruptRecording):
            pass  # said when it is sent again
        return None

    @property
    def _connected(self) -> Pusher:
        if self._pusher is None:
            raise RuntimeError("the feed is not connected to an archive")
        return self._pusher

    def _waiting(self) -> list[UUID]:
        now_s = time.monotonic()
        return [
            recording_id
            for recording_id, here in self._here.items()
            if recording_id not in self._done
            and self._level.get(recording_id) != here
            and (recording_id not in self._stopped or self._stopped[recording_id].again_s <= now_s)
        ]

    def _drop_what_left(self) -> None:
        """Forget what is not in the spool any more, so that memory does not grow."""
        known: list[dict[UUID, Any]] = [self._there, self._done, self._level, self._stopped]
        for values in known:
            for recording_id in values.keys() - self._here.keys():
                del values[recording_id]
        of_gaps: list[dict[UUID, Any]] = [self._gaps_done, self._gaps_stopped]
        for values in of_gaps:
            for gap in values.keys() - self._gaps.keys():
                del values[gap]
        self._gaps_sent &= self._gaps.keys()

    def _data_version(self) -> object:
        """Return what changes when somebody commits; always something new where that is not to be had."""
        return self._pragma("data_version") if self._is_sqlite else object()

    def _vacuum(self) -> None:
        """Give some of the room that became free back to the file system, but for what is soon used again."""
        if self._is_sqlite:
            too_many = self._pragma("freelist_count") - _FREE_KEPT_BYTES // self._pragma("page_size")
            if too_many > 0:
                self._pragma(f"incremental_vacuum({min(too_many, _VACUUM_PAGES)})", gives_rows=False)

    @property
    def _is_sqlite(self) -> bool:
        return self.spool.engine.dialect.name == "sqlite"

    def _pragma(self, pragma: str, *, gives_rows: bool = True) -> int:
        """Run a pragma and return its number, if it has one.

        It needs the plain driver: the version is told to one connection that stays and is in no transaction.
        """
        try:
            if self._watch is None:
                self._watch = self.spool.engine.raw_connection()
            cursor = self._watch.cursor()
            if not gives_rows:
                # The driver takes one step of it, which is one page, unless it is a script.
                cursor.executescript(f"PRAGMA {pragma};")
                return 0
            return int(cursor.execute(f"PRAGMA {pragma}").fetchone()[0])
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{shown(self.spool.engine)}: {error}; is the file there?") from error


def _had_since_s(moment: datetime) -> float:
    """Return since when an archive may have had what was stored at a moment: nobody knows when it came.

    It cannot count from when it was found there: a forwarder that is started often would never let it leave.
    """
    return time.monotonic() - max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _size(there: Extent | Step) -> tuple[int, int]:
    if isinstance(there, Step):
        return there.frames_there, there.bytes_there
    return there.frame_count, there.byte_count
