"""Recording on sound: what is loud, with its lead-in, and not the quiet between."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.audio.level import measure
from phonobase.recorder.timeline import Loss, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.pcm import AudioFormat
    from phonobase.recorder.settings import Trigger

QUIET = "quiet"

_WINDOWS_PER_SECOND = 10


class Gate:
    """Lets sound through from ``pre_roll_s`` before it is loud to ``hang_s`` after it was.

    What is not let through comes out as a loss of the cause ``quiet``, so that every frame is accounted for.

    Args:
        trigger: What is loud.
        audio_format: Of the sound.
    """

    def __init__(self, trigger: Trigger, audio_format: AudioFormat) -> None:
        self._trigger = trigger
        self._format = audio_format
        self._window_frames = max(1, audio_format.sample_rate // _WINDOWS_PER_SECOND)
        self._pre_roll_frames = round(trigger.pre_roll_s * audio_format.sample_rate)
        self._hang_frames = max(1, round(trigger.hang_s * audio_format.sample_rate))
        self._detail = "no sound was detected" if trigger.detector else f"below {trigger.level_dbfs:g} dBFS"
        self._held: deque[Sound] = deque()
        self._held_frames = 0
        self._hang_left = 0

    def take(self, sound: Sound) -> list[Sound | Loss]:
        """Return what is decided now: sound to record, and quiet before it."""
        decided: list[Sound | Loss] = []
        for window in self._windows(sound):
            if self._is_loud(window):
                self._hang_left = self._hang_frames
                decided.extend(self._held)
                decided.append(window)
                self._held.clear()
                self._held_frames = 0
            elif self._hang_left > 0:
                self._hang_left -= len(window.frames)
                decided.append(window)
            else:
                decided.extend(self._hold(window))
        return decided

    def finish(self) -> list[Loss]:
        """Return what is held as quiet: the sound is interrupted here, or ends."""
        quiet = [self._as_quiet(sound) for sound in self._held]
        self._held.clear()
        self._held_frames = 0
        return quiet

    def _windows(self, sound: Sound) -> Iterator[Sound]:
        for first in range(0, len(sound.frames), self._window_frames):
            yield replace(
                sound,
                frames=sound.frames[first : first + self._window_frames],
                captured_at_us=sound.captured_at_us + self._format.microseconds(first),
            )

    def _is_loud(self, window: Sound) -> bool:
        if self._trigger.detector is not None:
            return self._trigger.detector(window.frames)
        level = measure(window.frames, self._format.sample_format)
        return level.rms_dbfs > self._trigger.level_dbfs

    def _hold(self, window: Sound) -> Iterator[Loss]:
        self._held.append(window)
        self._held_frames += len(window.frames)
        while self._held and self._held_frames - len(self._held[0].frames) >= self._pre_roll_frames:
            oldest = self._held.popleft()
            self._held_frames -= len(oldest.frames)
            yield self._as_quiet(oldest)

    def _as_quiet(self, sound: Sound) -> Loss:
        return Loss(len(sound.frames), QUIET, self._detail)
