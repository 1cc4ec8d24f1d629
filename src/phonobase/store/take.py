"""What goes into one file: frames of recordings, one behind the other, and silence between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from phonobase.pcm import AudioFormat
    from phonobase.store.recording import Recording


@dataclass(frozen=True, slots=True)
class Sound:
    """Consecutive frames of a recording.

    Attributes:
        recording: Whose frames.
        first_frame: Frames of the recording before them.
        frame_count: How many; one at least.
    """

    recording: Recording
    first_frame: int
    frame_count: int

    @property
    def end_frame(self) -> int:
        """The frame of the recording behind the last one."""
        return self.first_frame + self.frame_count


@dataclass(frozen=True, slots=True)
class Silence:
    """Frames of digital silence, for time of which there is no sound.

    Attributes:
        frame_count: How many; one at least.
    """

    frame_count: int


@dataclass(frozen=True, slots=True)
class Take:
    """What goes into one file, all of one format.

    Attributes:
        source: Where it was heard.
        format: sample_rate, channels and sample_format.
        started_at: UTC at its first frame, to the microsecond.
        parts: Sound and silence in their order; one part at least.
    """

    source: str
    format: AudioFormat
    started_at: datetime
    parts: tuple[Sound | Silence, ...]

    @classmethod
    def of(cls, recording: Recording) -> Take:
        """Return a whole recording, as far as it goes."""
        whole = Sound(recording, 0, recording.frame_count)
        return cls(recording.source, recording.format, recording.started_at, (whole,))

    @property
    def frame_count(self) -> int:
        """Frames in all parts."""
        return sum(part.frame_count for part in self.parts)

    @property
    def ended_at(self) -> datetime:
        """UTC behind its last frame."""
        return self.started_at + timedelta(microseconds=self.format.microseconds(self.frame_count))

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """The parts that are sound."""
        return tuple(part for part in self.parts if isinstance(part, Sound))
