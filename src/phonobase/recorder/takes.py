"""A source's recordings, one after the other: where each begins and ends, and what lies between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonobase.recorder.words import storable_words
from phonobase.store.columns import from_us, to_us
from phonobase.store.ids import uuid7
from phonobase.store.recording import MAX_SECONDS, Details, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from phonobase.pcm import AudioFormat, Frames
    from phonobase.recorder.settings import SourceSettings
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording
    from phonobase.store.writer import RecordingWriter

CLOCK_DRIFT = "clock-drift"

_SECOND_US = 1_000_000
_DAY_US = MAX_SECONDS * _SECOND_US
_ASTRAY_US = 500_000
"""A recording of a run begins where the one before ended, unless the clock went astray by more than that."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A recording that could not be written on.

    Attributes:
        id: Which.
        frames_committed: How many frames of it are surely stored.
        ended_us: The end of these, in microseconds since 1970-01-01 UTC.
    """

    id: UUID
    frames_committed: int
    ended_us: int


class Takes:
    """Writes the frames of a run into recordings that follow each other without a lost frame.

    Everything may raise StoreError; ``abandon`` and ``skip`` then bring it back into a state to go on from.

    Args:
        archive: Where to.
        settings: How.
        audio_format: Of the frames.
        on_recording: Called with every recording that ended.
    """

    def __init__(
        self,
        archive: Archive,
        settings: SourceSettings,
        audio_format: AudioFormat,
        on_recording: Callable[[Recording], None],
    ) -> None:
        self.drift_ppm: float | None = None
        """The sample clock against the system's, to be kept with the recordings that end from now on."""
        self.gaps = 0
        """Gaps listed so far."""
        self._archive = archive
        self._settings = settings
        self._format = audio_format
        self._on_recording = on_recording
        self._writer: RecordingWriter | None = None
        self._frames_left = 0
        self._origin_us = 0
        self.frames = 0
        """Frames of the run so far, recorded or skipped."""
        self._run_id: UUID | None = None
        self._run_index = 0
        self._capture: Mapping[str, str | int | float] = {}
        self._bytes_before = 0
        self._committed_before_us: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether a recording is being written."""
        return self._writer is not None

    @property
    def open_id(self) -> UUID | None:
        """The recording that is being written."""
        return self._writer.id if self._writer else None

    @property
    def next_us(self) -> int:
        """When the next frame is heard, by counting, in microseconds since 1970-01-01 UTC."""
        return self._origin_us + self._format.microseconds(self.frames)

    @property
    def run_id(self) -> UUID | None:
        """The run; None before the first."""
        return self._run_id

    @property
    def bytes_committed(self) -> int:
        """Bytes of audio that were committed since the beginning."""
        return self._bytes_before + (self._writer.bytes_committed if self._writer else 0)

    @property
    def committed_us(self) -> int | None:
        """When something was committed last; None where nothing was."""
        newest = self._writer.committed_at_us if self._writer else None
        return newest or self._committed_before_us

    def begin_run(self, started_us: int, capture: Mapping[str, str | int | float]) -> None:
        """Count anew from a first frame that was heard at that time."""
        self._capture = capture
        self._run_id, self._run_index = uuid7(started_us), 0
        self._origin_us, self.frames = started_us, 0

    def write(self, frames: Frames, captured_at_us: int) -> None:
        """Record frames, in the recording that is open and in new ones."""
        while len(frames):
            writer = self._writer or self._begin(captured_at_us)
            part = frames[: self._frames_left]
            writer.write(part, captured_at_us)
            self._advance(len(part))
            frames = frames[len(part) :]
            captured_at_us += self._format.microseconds(len(part))

    def silence(self, frame_count: int, cause: str, detail: str) -> None:
        """Put silence in the place of frames that were not heard, and list them; with 0, only list that."""
        self.gaps += 1
        while True:
            writer = self._writer or self._begin(self.next_us)
            part = min(frame_count, self._frames_left)
            writer.lose(part, cause, storable_words(detail))
            self._advance(part)
            frame_count -= part
            if not frame_count:
                return

    def gap(self, started_us: int, ended_us: int, cause: str, detail: str) -> None:
        """List a stretch of time in which there is no recording."""
        self._archive.add_gap(
            self._settings.name,
            from_us(started_us),
            from_us(ended_us),
            cause,
            detail=storable_words(detail),
            run_id=self._run_id,
        )
        self.gaps += 1

    def skip(self, frame_count: int) -> None:
        """Count frames that are not recorded."""
        self.frames += frame_count

    def shift(self, step_us: int) -> None:
        """Count the time of the frames to come from another origin: somebody set the wall clock."""
        self._origin_us += step_us

    def end(self, state: State) -> None:
        """End the recording that is open, if any."""
        if self._writer is None:
            return
        recording = self._writer.close(state, drift_ppm=self.drift_ppm)
        self._put_away(self._writer)
        self._on_recording(recording)

    def abandon(self) -> Broken | None:
        """Let go of the recording that is open, without a word to the archive."""
        writer = self._writer
        if writer is None:
            return None
        writer.abandon()
        self._put_away(writer)
        committed = writer.frames_committed
        ended_us = to_us(writer.new.started_at) + self._format.microseconds(committed)
        return Broken(writer.id, committed, ended_us)

    def _begin(self, captured_at_us: int) -> RecordingWriter:
        started_us = self._anchored(captured_at_us)
        details: Details = {
            **self._settings.details,
            "started_at": from_us(started_us),
            "capture": self._capture,
        }
        form = self._format
        self._writer = self._archive.writer(
            form.sample_rate,
            form.channels,
            form.sample_format,
            chunk_seconds=self._settings.chunk_seconds,
            run_id=self._run_id,
            run_index=self._run_index,
            **details,
        )
        self._run_index += 1
        self._frames_left = frames_until_rollover(started_us, self._settings.rollover_s, form)
        return self._writer

    def _anchored(self, captured_at_us: int) -> int:
        """Return when a recording begins that begins now, and count from there."""
        counted_us = self.next_us
        if self._run_index and abs(captured_at_us - counted_us) > _ASTRAY_US:
            self._origin_us += captured_at_us - counted_us
            if captured_at_us > counted_us:
                self.gap(
                    counted_us, captured_at_us, CLOCK_DRIFT, "the sample clock is slow; no sound is missing"
                )
        return self.next_us

    def _advance(self, frame_count: int) -> None:
        self.frames += frame_count
        self._frames_left -= frame_count
        if not self._frames_left:
            self.end(State.COMPLETE)

    def _put_away(self, writer: RecordingWriter) -> None:
        self._bytes_before += writer.bytes_committed
        self._committed_before_us = writer.committed_at_us or self._committed_before_us
        self._writer = None


def frames_until_rollover(started_us: int, rollover_s: int | None, form: AudioFormat) -> int:
    """Return how many frames a recording may have that begins at that time, in microseconds since 1970."""
    at_most = MAX_SECONDS * form.sample_rate
    if rollover_s is None:
        return at_most
    since_midnight_us = started_us % _DAY_US
    rollover_us = rollover_s * _SECOND_US
    next_us = min((since_midnight_us // rollover_us + 1) * rollover_us, _DAY_US)
    left_us = next_us - since_midnight_us
    # Rounded up: the first frame of the next recording is the first at or behind the boundary.
    return min(-(-left_us * form.sample_rate // _SECOND_US), at_most)
