"""What a recorder says every second: that it lives, what it hears, and what it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.audio.level import Level, measure
from phonobase.recorder.state import SourceStatus
from phonobase.store.recover import recorder_facts

if TYPE_CHECKING:
    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat
    from phonobase.recorder.room import Room
    from phonobase.recorder.takes import Takes
    from phonobase.recorder.timeline import Sound

STARTING, RECORDING, STOPPED = "starting", "recording", "stopped"


class Pulse:
    """What is known of one source at this moment.

    Args:
        source: Its name.
        clock: Tells the time.
    """

    def __init__(self, source: str, clock: Clock) -> None:
        self.source = source
        self.state = STARTING
        self.detail = ""
        self._clock = clock
        self._state_since_us = self._started_us = clock.wall_us()
        self._frames_heard = 0
        self._heard_until_us: int | None = None
        self._level = Level()
        self._zeros_since_us: int | None = None
        self._format: AudioFormat | None = None

    def be(self, state: str, detail: str = "") -> bool:
        """Take another state; return whether it is another."""
        if (state, detail) == (self.state, self.detail):
            return False
        if state != self.state:
            self._state_since_us = self._clock.wall_us()
        self.state, self.detail = state, detail
        return True

    def hear(self, sound: Sound, audio_format: AudioFormat) -> Level:
        """Take sound that came in, recorded or not; return its level."""
        level = measure(sound.frames, audio_format.sample_format)
        ended_us = sound.captured_at_us + audio_format.microseconds(len(sound.frames))
        if level.peak > 0:
            self._zeros_since_us = None
        elif self._zeros_since_us is None:
            self._zeros_since_us = sound.captured_at_us
        self._format = audio_format
        self._frames_heard += len(sound.frames)
        self._heard_until_us = ended_us
        self._level += level
        return level

    def status(self, takes: Takes | None, room: Room) -> SourceStatus:
        """Return what is to be said now."""
        level, self._level = self._level, Level()
        loud = level.peak > 0
        facts = recorder_facts()
        return SourceStatus(
            source=self.source,
            pid=int(facts["pid"] or 0),
            process=str(facts["process"]) if facts["process"] else None,
            state=self.state,
            detail=self.detail,
            state_since_us=self._state_since_us,
            updated_us=self._clock.wall_us(),
            run_id=takes.run_id.hex if takes and takes.run_id else "",
            sample_rate=self._format.sample_rate if self._format else 0,
            frames_heard=self._frames_heard,
            heard_until_us=self._heard_until_us,
            peak_dbfs=level.peak_dbfs if loud else None,
            rms_dbfs=level.rms_dbfs if loud else None,
            zeros_since_us=self._zeros_since_us,
            committed_us=takes.committed_us if takes else None,
            committed_bytes=takes.bytes_committed if takes else 0,
            started_us=self._started_us,
            drift_ppm=takes.drift_ppm if takes else None,
            gaps=takes.gaps if takes else 0,
            free_bytes=room.free_bytes,
            floor_bytes=room.floor_bytes,
        )
