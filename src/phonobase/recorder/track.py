"""One source on its way into the archive, whatever happens to the archive meanwhile."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from phonobase.errors import StorageFull, StoreError
from phonobase.recorder.gate import QUIET
from phonobase.recorder.takes import Takes
from phonobase.store.recording import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from phonobase.pcm import AudioFormat
    from phonobase.recorder.settings import SourceSettings
    from phonobase.recorder.timeline import Loss, Sound
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

DISK_FULL = "disk-full"
DATABASE_DOWN = "database-down"
CLOCK_STEP = "clock-step"
DEVICE_LOST = "device-lost"
PROCESS_DOWN = "process-down"

_LARGE_STEP_US = 1_000_000
"""A step of the wall clock that begins a new recording on the new time; smaller ones are only noted."""

_SILENCE_AT_MOST_S = 60
"""A longer loss is not filled with silence: the recording ends, and the next begins behind it."""

_LISTED_EVERY_S = 300
"""A loss that goes on is listed bit by bit, so that a crash cannot take all of it."""

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Unheard:
    """Why nothing is heard, or stored, from some time on.

    Attributes:
        since_us: From when, in microseconds since 1970-01-01 UTC.
        cause: Why, in a word.
        detail: More, for people.
    """

    since_us: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a track asks and tells.

    Attributes:
        has_room: Whether the disk has room for more.
        now_s: A clock for the pauses between trials, in seconds.
        on_recording: Called with every recording that ended.
        on_broken: Called with the id of a recording that could not be ended, once the archive works again.
        on_trouble: Called when sound can be stored no longer, with why, and with None when it can again.
    """

    has_room: Callable[[], bool]
    now_s: Callable[[], float]
    on_recording: Callable[[Recording], None]
    on_broken: Callable[[UUID], None]
    on_trouble: Callable[[Unheard | None], None]


class Track:
    """Records a source for as long as it is fed; sound that cannot be stored becomes a gap.

    No StoreError comes out of it. It tries again, every second, until the archive works, and keeps in mind
    what it owes the archive.

    Args:
        archive: Where to; on this machine's disk.
        settings: How.
        audio_format: Of the source's frames.
        unheard: Since when, and why, nothing was heard of it before; None where it is new.
        hooks: What it asks and tells.
    """

    def __init__(
        self,
        archive: Archive,
        settings: SourceSettings,
        audio_format: AudioFormat,
        unheard: Unheard | None,
        hooks: Hooks,
    ) -> None:
        self.takes = Takes(archive, settings, audio_format, hooks.on_recording)
        self.format = audio_format
        self.is_running = False
        """Whether a run has begun, and was not cut off."""
        self._hooks = hooks
        self._before = unheard
        self._missing: Loss | None = None
        self._failed: Unheard | None = None
        self._broken: deque[UUID] = deque()
        self._owed: deque[tuple[Unheard, int]] = deque()
        self._retry_s = 0.0

    @property
    def unheard(self) -> Unheard | None:
        """Why nothing is stored at present; None while sound is."""
        if self._failed is not None:
            return self._failed
        if self._missing is not None:
            # It is not counted before it is settled, so the next frame is still the first of it.
            return Unheard(self.takes.next_us, self._missing.cause, self._missing.detail)
        return self._before

    def begin_run(self, started_us: int, capture: Mapping[str, str | int | float], step_us: int = 0) -> None:
        """Go on with sound on a new frame count, whose first frame was heard at that time.

        Args:
            started_us: In microseconds since 1970-01-01 UTC.
            capture: How it is captured.
            step_us: By how much somebody set the wall clock since the last run.
        """
        self.takes.begin_run(started_us, capture)
        before, self._before = self._before, None
        if before is not None:
            # What was not heard was so by the clock as it was before.
            until_us = started_us - step_us
            self._list(before, until_us)
            if step_us:
                self._list(Unheard(until_us, CLOCK_STEP, _set_by(step_us)), started_us)
        self.is_running = True

    def hear(self, sound: Sound) -> None:
        """Record frames."""
        self._settle_missing()
        after = self.takes.frames + len(sound.frames)
        if self._is_working():
            self._try(lambda: self.takes.write(sound.frames, sound.captured_at_us))
        self.takes.skip(after - self.takes.frames)

    def miss(self, loss: Loss) -> None:
        """Account for frames that were not heard; with a count of 0, for a loss of unknown length."""
        if self._missing is not None and (self._missing.cause, self._missing.detail) != (
            loss.cause,
            loss.detail,
        ):
            self._settle_missing()
        if self._missing is None:
            self._missing = replace(loss, frame_count=0)
        frame_count = self._missing.frame_count + loss.frame_count
        self._missing = replace(self._missing, frame_count=frame_count)
        if loss.cause == QUIET or frame_count > _SILENCE_AT_MOST_S * self.format.sample_rate:
            self._try(lambda: self.takes.end(State.COMPLETE))
        if not self._missing.frame_count or frame_count >= _LISTED_EVERY_S * self.format.sample_rate:
            self._settle_missing()

    def step(self, step_us: int) -> None:
        """Account for somebody setting the wall clock, which moves nothing that is recorded.

        After a large step the next recording begins on the new time, at the frame where it happened.
        """
        self._settle_missing()
        step = Unheard(self.takes.next_us, CLOCK_STEP, _set_by(step_us))
        if abs(step_us) < _LARGE_STEP_US:
            if not (self.takes.is_open and self._try(lambda: self.takes.silence(0, step.cause, step.detail))):
                self._list(step, step.since_us)
            return
        self._try(lambda: self.takes.end(State.COMPLETE))
        self.takes.shift(step_us)
        if self._failed is not None:
            self._list(self._failed, step.since_us)
            self._failed = replace(self._failed, since_us=self.takes.next_us)
        self._list(step, self.takes.next_us)

    def cut_off(self, cause: str, detail: str, now_us: int) -> None:
        """End the run because its sound was cut off: until the next begins, nothing is heard."""
        if self.is_running:
            self._end(State.INTERRUPTED)
            self.is_running = False
            self._before = Unheard(self.takes.next_us, cause, detail)
            return
        # It was cut off before its first frame: until now there was another reason.
        if self._before is not None:
            self._list(self._before, now_us)
        self._before = Unheard(now_us, cause, detail)

    def account_until(self, now_us: int) -> None:
        """List, now and then, what is not heard between runs, though it goes on."""
        before = self._before
        if before is not None and now_us - before.since_us >= _LISTED_EVERY_S * 1_000_000:
            self._list(before, now_us)
            self._before = replace(before, since_us=now_us)

    def finish(self, now_us: int) -> None:
        """End because somebody wants so; what is not heard between runs is listed until now."""
        self._end(State.COMPLETE)
        before, self._before = self._before, None
        if before is not None:
            self._list(before, now_us)

    def _end(self, state: State) -> None:
        self._settle_missing()
        if self._is_working():
            self._try(lambda: self.takes.end(state))

    def _settle_missing(self) -> None:
        """Put what is missing in its place: as silence into the recording that is open, or between two."""
        missing, self._missing = self._missing, None
        if missing is None:
            return
        since = Unheard(self.takes.next_us, missing.cause, missing.detail)
        after = self.takes.frames + missing.frame_count
        inside = self.takes.is_open and self._try(
            lambda: self.takes.silence(missing.frame_count, missing.cause, missing.detail)
        )
        self.takes.skip(after - self.takes.frames)
        if not inside:
            self._list(since, self.takes.next_us)

    def _list(self, unheard: Unheard, until_us: int) -> None:
        if until_us <= unheard.since_us and unheard.cause in (PROCESS_DOWN, DEVICE_LOST):
            return  # the clock was set back meanwhile, or there was no time between
        # A clock that was set back must not make a gap that ends before it begins.
        self._owed.append((unheard, max(until_us, unheard.since_us)))
        if self._failed is None:
            self._try(self._pay)

    def _pay(self) -> None:
        while self._owed:
            unheard, until_us = self._owed[0]
            self.takes.gap(unheard.since_us, until_us, unheard.cause, unheard.detail)
            self._owed.popleft()

    def _try(self, action: Callable[[], None]) -> bool:
        """Do something with the archive; return whether that went well."""
        try:
            action()
        except StoreError as error:
            cause = DISK_FULL if isinstance(error, StorageFull) else DATABASE_DOWN
            self._fail(cause, str(error))
            return False
        return True

    def _fail(self, cause: str, detail: str) -> None:
        broken = self.takes.abandon()
        since_us = self.takes.next_us
        if broken is not None:
            self._broken.append(broken.id)
            since_us = broken.ended_us
        self._failed = Unheard(since_us, cause, detail)
        self._retry_s = self._hooks.now_s()  # at once: it may be about this recording alone
        self._hooks.on_trouble(self._failed)

    def _is_working(self) -> bool:
        """Whether the archive takes more sound, as far as is known; now and then, try it."""
        if self._failed is None:
            if self._hooks.has_room():
                return True
            if self._try(lambda: self.takes.end(State.INTERRUPTED)):
                self._fail(DISK_FULL, "there was less room on the disk than the floor")
            return False
        if self._hooks.now_s() < self._retry_s or not self._hooks.has_room():
            return False
        return self._rise(self._failed)

    def _rise(self, failed: Unheard) -> bool:
        """List what was not stored, and go on, where the archive works again."""
        self._owed.append((failed, max(failed.since_us, self.takes.next_us)))
        try:
            self._pay()
        except StoreError:
            # It stays one gap, however often this is tried.
            self._owed.pop()
            self._retry_s = self._hooks.now_s() + _RETRY_S
            return False
        self._failed = None
        while self._broken:
            self._hooks.on_broken(self._broken.popleft())
        self._hooks.on_trouble(None)
        return True


def _set_by(step_us: int) -> str:
    way = "forward" if step_us > 0 else "back"
    return f"the wall clock was set {way} by {abs(step_us) / 1_000_000:.3f} s"
