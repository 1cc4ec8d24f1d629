"""Recording for years: an input, the sources that it feeds, and all that may happen to both."""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.audio.level import Level
from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.errors import CaptureError, PhonobaseError, RecorderRunning, StoreError
from phonobase.recorder.closer import Closer
from phonobase.recorder.every import every
from phonobase.recorder.lane import Lane
from phonobase.recorder.past import left_open, unheard_since
from phonobase.recorder.quantities import in_frames
from phonobase.recorder.room import Room
from phonobase.recorder.settings import DEFAULT_FLOOR_BYTES
from phonobase.recorder.timeline import ClockStep, Loss, Sound, Timeline
from phonobase.recorder.track import DISK_FULL, Hooks, Unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction
    from uuid import UUID

    from phonobase.capture.block import Input
    from phonobase.capture.clock import Clock
    from phonobase.recorder.lock import Lock
    from phonobase.recorder.settings import SourceSettings
    from phonobase.recorder.state import StateFolder
    from phonobase.recorder.timeline import Event
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

_log = logging.getLogger("phonobase.recorder")

_BEAT_S = 1.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.25, 10.0
_SLICE_S = 0.05
_CLOSING_S = 10.0
_SECOND_US = 1_000_000


class LiveRecorder:
    """Records the sources that an input feeds until it is stopped, or the input ends.

    A device that is lost is opened again, by its name, for as long as it takes; an archive that does not
    work, likewise. Whatever is not heard or not stored meanwhile becomes a gap. What an earlier recorder left
    open is closed.

    Args:
        archive: Where to: an SQLite file on this machine's disk.
        folder: Beside it, where the recorder says how it does.
        sources: What the input feeds.
        open_input: Opens the input; called again whenever it was lost.
        duration_s: How much time to record, losses included; None for all time.
        floor_bytes: Room on the disk below which nothing more is recorded.
        clock: Tells the time.
        on_level: Called with the level of what was heard, for a meter.
        on_recording: Called with every recording that ended.
    """

    def __init__(
        self,
        archive: Archive,
        folder: StateFolder,
        sources: Sequence[SourceSettings],
        open_input: Callable[[], Input],
        *,
        duration_s: Fraction | None = None,
        floor_bytes: int = DEFAULT_FLOOR_BYTES,
        clock: Clock = SYSTEM_CLOCK,
        on_level: Callable[[Level], None] = lambda _level: None,
        on_recording: Callable[[Recording], None] = lambda _recording: None,
    ) -> None:
        self.frames_lost = 0
        """Frames that the input lost; a device that was away is not counted."""
        self.has_heard = False
        """Whether any sound came, recorded or not."""
        self._archive = archive
        self._folder = folder
        self._open_input = open_input
        self._duration_s = duration_s
        self._clock = clock
        self._on_level = on_level
        self._on_recording = on_recording
        self._room = Room(archive, floor_bytes)
        self._closer: Closer | None = None
        self._lanes = [
            Lane(archive, folder, source, self._room, self._hooks(source.name), clock) for source in sources
        ]
        self._names = ", ".join(source.name for source in sources)
        self._lost_detail = ""
        self._locks: list[Lock] = []
        self._fatal: PhonobaseError | None = None
        self._input: Input | None = None
        self._stopped = False
        self._run_begun = False
        self._ends_us: int | None = None
        self._ends_ns: int | None = None
        self._frames_left: int | None = None

    @property
    def left_open(self) -> list[UUID]:
        """The recordings that are being written."""
        return [lane.open_id for lane in self._lanes if lane.open_id is not None]

    def stop(self) -> None:
        """Make ``run`` end soon. May be called from a signal handler and from any thread."""
        self._stopped = True
        if self._input is not None:
            self._input.stop()

    def run(self) -> None:
        """Record.

        Raises:
            RecorderRunning: Another recorder is at one of the sources.
            StoreError: The archive does not work at the beginning, or its file was removed meanwhile.
        """
        with contextlib.ExitStack() as stack:
            for lane in self._lanes:
                self._locks.append(stack.enter_context(self._folder.lock(lane.settings.name)))
            self._room.measure()
            self._closer = Closer(self._archive, self._on_recording)
            for lane in self._lanes:
                self._begin(lane)
            stack.enter_context(every(_BEAT_S, self._beat, "phonobase-heartbeat"))
            try:
                self._record_until_the_end()
            except KeyboardInterrupt:  # asked twice: do not wait for anything
                raise
            except BaseException:
                self._finish()
                raise
            self._finish()
            self._closer.stop(_CLOSING_S)
            if self._fatal is not None:
                raise self._fatal

    def _finish(self) -> None:
        for lane in self._lanes:
            lane.finish()

    def _begin(self, lane: Lane) -> None:
        name = lane.settings.name
        lane.begin(unheard_since(self._archive, name, self._folder.said(name), self._clock.wall_us()))
        for recording_id in left_open(self._archive, name):
            self._close(recording_id)

    def _record_until_the_end(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._is_over():
            opened = False
            try:
                with contextlib.closing(self._open()) as self._input:
                    opened = True
                    self._record(self._input)
            except CaptureError as error:
                self._lose_device(error)
            else:
                return
            retry_s = _FIRST_RETRY_S if opened else min(2 * retry_s, _LONGEST_RETRY_S)
            self._sleep(retry_s)

    def _open(self) -> Input:
        input_ = self._open_input()
        try:
            for lane in self._lanes:
                lane.open(input_.format)
        except BaseException:
            input_.close()
            raise
        if self._stopped:
            input_.stop()
        return input_

    def _record(self, input_: Input) -> None:
        """Record a run: until the input ends, fails, is stopped or there is enough."""
        timeline = Timeline(input_.format, self._clock)
        self._run_begun = False
        try:
            for block in input_.blocks():
                self._take(timeline, timeline.take(block), input_)
                if self._frames_left == 0:
                    break
        except Exception:
            self._take(timeline, timeline.finish(), input_)
            raise
        self._take(timeline, timeline.finish(), input_)

    def _take(self, timeline: Timeline, events: list[Event], input_: Input) -> None:
        for lane in self._lanes:
            lane.look()
        if events and not self._run_begun:
            self._begin_run(timeline.started_at_us, input_)
        for event in self._limited(events):
            if isinstance(event, Loss):
                self.frames_lost += event.frame_count
                said = {"source": self._names, "cause": event.cause, "detail": event.detail}
                _log.warning("sound was lost", extra=said)
            levels = [lane.take(event, timeline.drift_ppm) for lane in self._lanes]
            heard = [level for level in levels if level is not None]
            if heard:
                self._on_level(sum(heard, Level()))

    def _begin_run(self, started_us: int, input_: Input) -> None:
        self._run_begun = self.has_heard = True
        self._count_down(started_us, input_.format.sample_rate)
        self._lost_detail = ""
        _log.info("recording", extra={"source": self._names, "input": dict(input_.description)})
        for lane in self._lanes:
            lane.begin_run(started_us, input_.description)

    def _count_down(self, started_us: int, rate: int) -> None:
        """Know how many frames are left, now that the first one of a run has a time."""
        if self._duration_s is None:
            return
        if self._ends_us is None:
            self._ends_us = started_us + math.floor(self._duration_s * _SECOND_US)
            self._ends_ns = self._clock.elapsed_ns() + self._ends_us * 1000 - self._clock.wall_us() * 1000
            self._frames_left = in_frames(self._duration_s, rate)
        else:
            self._frames_left = max(0, (self._ends_us - started_us) * rate // _SECOND_US)

    def _limited(self, events: list[Event]) -> Iterator[Event]:
        """Yield no more than the frames that are left."""
        for event in events:
            if self._frames_left is None or isinstance(event, ClockStep):
                yield event
                continue
            frame_count = len(event.frames) if isinstance(event, Sound) else event.frame_count
            if frame_count <= self._frames_left:
                yield event
            elif self._frames_left and isinstance(event, Sound):
                yield replace(event, frames=event.frames[: self._frames_left])
            elif self._frames_left and isinstance(event, Loss):
                yield replace(event, frame_count=self._frames_left)
            self._frames_left -= min(frame_count, self._frames_left)

    def _lose_device(self, error: CaptureError) -> None:
        if str(error) != self._lost_detail:  # not at every trial
            self._lost_detail = str(error)
            said = {"source": self._names, "detail": self._lost_detail}
            _log.warning("the input gives no sound", extra=said)
        for lane in self._lanes:
            lane.lose_device(str(error))

    def _is_over(self) -> bool:
        return self._stopped or (self._ends_ns is not None and self._clock.elapsed_ns() >= self._ends_ns)

    def _sleep(self, seconds: float) -> None:
        due_ns = self._clock.elapsed_ns() + round(seconds * 1_000_000_000)
        while not self._is_over() and self._clock.elapsed_ns() < due_ns:
            self._clock.sleep(_SLICE_S)

    def _beat(self) -> None:
        """Say how each source is doing, whatever recording waits for."""
        try:
            self._room.check_file()
            if not all(lock.is_held() for lock in self._locks):
                raise RecorderRunning(f"another recorder took over one of {self._names}: {self._folder.path}")
        except PhonobaseError as error:  # what is recorded from now on would be lost, or there twice
            self._fatal = error
            self.stop()
        with contextlib.suppress(StoreError):  # whoever writes to it finds out
            self._room.measure()
        for lane in self._lanes:
            lane.say()

    def _hooks(self, source: str) -> Hooks:
        def on_trouble(trouble: Unheard | None) -> None:
            if trouble is None:
                _log.info("sound is stored again", extra={"source": source})
            else:
                if trouble.cause == DISK_FULL:
                    self._room.run_out()
                said = {"source": source, "cause": trouble.cause, "detail": trouble.detail}
                _log.error("sound cannot be stored", extra=said)

        return Hooks(
            has_room=lambda: self._room.suffices,
            now_s=lambda: self._clock.elapsed_ns() / 1_000_000_000,
            on_recording=self._on_recording,
            on_broken=self._close,
            on_trouble=on_trouble,
        )

    def _close(self, recording_id: UUID) -> None:
        if self._closer is not None:
            self._closer.close(recording_id)
