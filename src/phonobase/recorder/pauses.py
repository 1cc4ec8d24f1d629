"""What of a sound was heard while its source was paused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phonobase.recorder.timeline import Loss, Sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat
    from phonobase.recorder.state import Pause, StateFolder

PAUSED = "paused"

_SECOND_US = 1_000_000


class Pauses:
    """Knows when a source was paused. What counts is when sound was heard, not when it is dealt with.

    Args:
        folder: Where pauses are asked for.
        source: Whose.
        clock: Tells the time.
    """

    def __init__(self, folder: StateFolder, source: str, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._source = source
        self._seen: object = None
        self._pauses: Sequence[Pause] = ()

    def look(self) -> Pause | None:
        """See what was asked for since the last look; return the pause that holds at present."""
        changed = self._folder.pauses_changed(self._source)
        if changed != self._seen:
            self._pauses = [self._begun(pause) for pause in self._folder.pauses(self._source)]
            self._seen = changed
        last = self._pauses[-1] if self._pauses else None
        return last if last is not None and last.until_us is None else None

    def without(self, sound: Sound, audio_format: AudioFormat) -> Iterator[Sound | Loss]:
        """Yield sound, with a loss in the place of what was heard in a pause."""
        first, rate = 0, audio_format.sample_rate
        while first < len(sound.frames):
            at_us = sound.captured_at_us + audio_format.microseconds(first)
            pause, until_us = self._at(at_us)
            count = len(sound.frames) - first
            if until_us is not None:
                # Rounded up, so that it goes on behind the boundary, and by a frame at least.
                count = min(count, max(1, -(-(until_us - at_us) * rate // _SECOND_US)))
            if pause is not None:
                yield Loss(count, PAUSED, pause.reason)
            else:
                yield replace(sound, frames=sound.frames[first : first + count], captured_at_us=at_us)
            first += count

    def _begun(self, pause: Pause) -> Pause:
        """Return a pause that holds now as one that has begun, though the clock was set back since."""
        if pause.until_us is not None:
            return pause
        return replace(pause, since_us=min(pause.since_us, self._clock.wall_us()))

    def _at(self, time_us: int) -> tuple[Pause | None, int | None]:
        """Return the pause in which a time lies, if any, and when that changes next, if known."""
        next_us: int | None = None
        for pause in self._pauses:
            if pause.since_us <= time_us and (pause.until_us is None or time_us < pause.until_us):
                return pause, pause.until_us
            if pause.since_us > time_us:
                next_us = pause.since_us if next_us is None else min(next_us, pause.since_us)
        return None, next_us
