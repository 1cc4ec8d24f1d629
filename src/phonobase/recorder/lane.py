"""A source's share of an input: its channels, its pauses, what of it is loud enough."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phonobase.audio.level import Level
from phonobase.errors import DeviceUnavailable, StoreError, UnsupportedFormat
from phonobase.recorder.gate import Gate
from phonobase.recorder.numbers import numbers_only
from phonobase.recorder.pauses import PAUSED, Pauses
from phonobase.recorder.pulse import RECORDING, STOPPED, Pulse
from phonobase.recorder.timeline import Loss, Sound
from phonobase.recorder.track import DEVICE_LOST, Track, Unheard
from phonobase.store.columns import from_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat, Frames
    from phonobase.recorder.room import Room
    from phonobase.recorder.settings import SourceSettings
    from phonobase.recorder.state import Pause, StateFolder
    from phonobase.recorder.timeline import Event
    from phonobase.recorder.track import Hooks
    from phonobase.store.archive import Archive


_LEAST_STEP_US = 1_000_000
"""A wall clock that is off by less since the last run was not set but read at another moment."""


class Lane:
    """Takes what an input gives, and records what is its source's.

    Args:
        archive: Where to.
        folder: Where it says how it does, and is told to pause.
        settings: Which source, and how.
        room: On the disk.
        hooks: What its track asks and tells.
        clock: Tells the time.
    """

    def __init__(
        self,
        archive: Archive,
        folder: StateFolder,
        settings: SourceSettings,
        room: Room,
        hooks: Hooks,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._archive = archive
        self._folder = folder
        self._room = room
        self._hooks = hooks
        self._clock = clock
        self._pulse = Pulse(settings.name, clock)
        self._unheard: Unheard | None = None
        self._track: Track | None = None
        self._input_format: AudioFormat | None = None
        self._gate: Gate | None = None
        self._pauses = Pauses(folder, settings.name, clock)
        self._pause: Pause | None = None
        self._offset_us: int | None = None
        self._saying = threading.Lock()

    @property
    def open_id(self) -> UUID | None:
        """The recording that is being written."""
        return self._track.takes.open_id if self._track else None

    def begin(self, unheard: Unheard | None) -> None:
        """Know since when, and why, nothing was heard of the source."""
        self._unheard = unheard

    def open(self, audio_format: AudioFormat) -> None:
        """Get ready for sound of an input.

        Raises:
            UnsupportedFormat: It has not the channels that are asked for.
            DeviceUnavailable: It has another format than before.
        """
        if self._input_format not in (None, audio_format):
            raise DeviceUnavailable(
                f"the input of {self.settings.name} has {audio_format} now, and had {self._input_format}; "
                "restart the recorder to go on with that"
            )
        if self._track is None:
            form = self._share_of(audio_format)
            self._track = Track(self._archive, self.settings, form, self._unheard, self._hooks)
            self._gate = Gate(self.settings.trigger, form) if self.settings.trigger else None
            self._input_format = audio_format

    def begin_run(self, started_us: int, capture: Mapping[str, str | int | float]) -> None:
        """Go on on a new frame count, whose first frame was heard at that time."""
        self._opened.begin_run(started_us, capture, self._set_by_us())
        self._offset_us = self._read_offset_us()

    def look(self) -> None:
        """See whether somebody paused the source, or resumed it; to be called with whatever comes."""
        before, self._pause = self._pause, self._pauses.look()
        if self._pause != before and self._track is not None and self._track.is_running:
            self._be_as_it_is()

    def take(self, event: Event, drift_ppm: float | None) -> Level | None:
        """Record what came; return its level where it is sound."""
        self._opened.takes.drift_ppm = drift_ppm
        if isinstance(event, Sound):
            return self._hear(event)
        if isinstance(event, Loss):
            self._miss(event)
        else:
            self._shut_gate()
            self._opened.step(event.step_us)
        return None

    def lose_device(self, detail: str) -> None:
        """Account for an input that gives nothing any more, or cannot be opened."""
        unheard = self._track.unheard if self._track else self._unheard
        if unheard is None or unheard.cause != DEVICE_LOST:
            if self._track is None:
                now_us = self._clock.wall_us()
                self._unheard = self._list_until_now() or Unheard(now_us, DEVICE_LOST, detail)
            else:
                self._shut_gate()
                self._track.cut_off(DEVICE_LOST, detail, self._clock.wall_us())
            self._offset_us = self._read_offset_us()
        elif self._track is not None and not self._set_by_us():
            self._track.account_until(self._clock.wall_us())
        self._be(DEVICE_LOST, detail)

    def finish(self) -> None:
        """End because somebody wants so, or because the sound has ended."""
        if self._track is None:
            self._unheard = self._list_until_now()
        else:
            self._shut_gate()
            self._track.finish(self._clock.wall_us())
        unheard = self._track.unheard if self._track else self._unheard
        # What could not be listed, the next recorder learns from the state.
        self._be(*((STOPPED, "") if unheard is None else (unheard.cause, unheard.detail)))

    def say(self) -> None:
        """Tell how the source is doing."""
        takes = self._track.takes if self._track else None
        # A disk that is full has no room for this either, and the recorder must go on.
        with self._saying, contextlib.suppress(OSError):
            self._folder.say(self._pulse.status(takes, self._room))

    @property
    def _opened(self) -> Track:
        if self._track is None:
            raise RuntimeError("open the lane first")
        return self._track

    def _hear(self, sound: Sound) -> Level:
        mine = replace(sound, frames=self._my_channels(sound))
        level = Level()
        for part in numbers_only(mine, self._opened.format):
            if isinstance(part, Sound):
                level += self._hear_numbers(part)
            else:
                self._miss(part)
        return level

    def _hear_numbers(self, mine: Sound) -> Level:
        track = self._opened
        level = self._pulse.hear(mine, track.format)
        for part in self._pauses.without(mine, track.format):
            if isinstance(part, Loss):
                self._miss(part)
                continue
            for event in self._gate.take(part) if self._gate else (part,):
                if isinstance(event, Sound):
                    track.hear(event)
                else:
                    track.miss(event)
        self._be_as_it_is()
        return level

    def _be_as_it_is(self) -> None:
        """Say what is so at present; what was heard before a pause may still be on its way."""
        unheard = self._opened.unheard
        if self._pause is not None:
            self._be(PAUSED, self._pause.reason)
        elif unheard is None or unheard.cause == PAUSED:
            self._be(RECORDING, "")
        else:
            self._be(unheard.cause, unheard.detail)

    def _miss(self, loss: Loss) -> None:
        """Account for what did not come, behind what the gate still holds."""
        self._shut_gate()
        self._opened.miss(loss)

    def _shut_gate(self) -> None:
        for quiet in self._gate.finish() if self._gate else ():
            self._opened.miss(quiet)

    def _share_of(self, audio_format: AudioFormat) -> AudioFormat:
        channels = self.settings.channels
        if channels is None:
            return audio_format
        if max(channels) > audio_format.channels:
            raise UnsupportedFormat(
                f"{self.settings.name} is to be channel {max(channels)} of an input that has "
                f"{audio_format.channels}; open more of them"
            )
        return replace(audio_format, channels=len(channels))

    def _my_channels(self, sound: Sound) -> Frames:
        channels = self.settings.channels
        if channels is None:
            return sound.frames
        return np.ascontiguousarray(sound.frames[:, [channel - 1 for channel in channels]])

    def _list_until_now(self) -> Unheard | None:
        """List what was not heard of a source whose input never opened; return what could not be."""
        unheard, now_us = self._unheard, self._clock.wall_us()
        if unheard is not None and now_us > unheard.since_us:
            times = from_us(unheard.since_us), from_us(now_us)
            try:
                self._archive.add_gap(self.settings.name, *times, unheard.cause, detail=unheard.detail)
            except StoreError:
                return unheard
        return None

    def _set_by_us(self) -> int:
        """Return by how much somebody set the wall clock since the last run."""
        step_us = 0 if self._offset_us is None else self._read_offset_us() - self._offset_us
        return step_us if abs(step_us) >= _LEAST_STEP_US else 0

    def _read_offset_us(self) -> int:
        """Return the wall clock less the one that nobody sets."""
        return self._clock.wall_us() - self._clock.elapsed_ns() // 1000

    def _be(self, state: str, detail: str) -> None:
        if self._pulse.be(state, detail):
            self.say()
