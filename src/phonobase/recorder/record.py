"""An input into an archive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from phonobase.audio.level import Level, measure
from phonobase.capture.limit import limited
from phonobase.errors import StoreError
from phonobase.store.columns import from_us
from phonobase.store.draft import CHUNK_SECONDS
from phonobase.store.recording import MAX_SECONDS, Details, Recording, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from phonobase.capture.block import Block, Input
    from phonobase.pcm import AudioFormat
    from phonobase.store.archive import Archive
    from phonobase.store.writer import RecordingWriter


@dataclass(frozen=True, slots=True)
class Settings:
    """How an input is recorded.

    Attributes:
        frame_count: Frames to record; until the input ends or is stopped, with None.
        chunk_seconds: How much sound is committed at once.
        details: What is said of the recordings; when they began and how they were captured is known here.
    """

    frame_count: int | None = None
    chunk_seconds: float = CHUNK_SECONDS
    details: Details = field(default_factory=Details)


class Recorder:
    """Records an input, in takes of a day at most that follow each other without a lost frame.

    Args:
        archive: Where to.
        source: What; closing it remains with the caller.
        settings: How.
        on_block: Called with the level of every block, for a meter.
    """

    def __init__(
        self,
        archive: Archive,
        source: Input,
        settings: Settings,
        on_block: Callable[[Level], None] = lambda _level: None,
    ) -> None:
        self._archive = archive
        self._input = source
        self._settings = settings
        self._on_block = on_block
        self._writer: RecordingWriter | None = None
        self.recordings: list[Recording] = []
        """What was recorded, also where ``run`` raised."""
        self.left_open: UUID | None = None
        """The recording that could not be closed, because the archive failed; ``recover`` closes it."""
        self.overflows = 0
        """How often the input lost sound because it was not fetched in time."""

    def run(self) -> list[Recording]:
        """Record until there is enough, the input ends, or it is stopped; return the recordings.

        Raises:
            PhonobaseError: The input or the archive failed. What was heard until then is in
                ``recordings``, its last one interrupted, unless it is the archive that failed.
        """
        day = MAX_SECONDS * self._input.format.sample_rate
        try:
            for block in _split_at_multiples(self._blocks(), day, self._input.format):
                self._take(block)
        except KeyboardInterrupt:  # asked twice: do not wait for a database that does not answer
            self.left_open = self._writer.id if self._writer is not None else None
            raise
        except BaseException:
            self._end(State.INTERRUPTED)
            raise
        self._end(State.COMPLETE)
        return self.recordings

    def _blocks(self) -> Iterator[Block]:
        if self._settings.frame_count is None:
            return self._input.blocks()
        return limited(self._input.blocks(), self._settings.frame_count)

    def _take(self, block: Block) -> None:
        writer = self._writer = self._writer or self._begin(block)
        if block.overflowed:
            self.overflows += 1
            writer.lose(0, "overflow", "the device reported lost sound and did not say how much")
        writer.write(block.frames, block.captured_at_us)
        self._on_block(measure(block.frames, self._input.format.sample_format))
        if not writer.frames_left:
            self._end(State.COMPLETE)

    def _begin(self, block: Block) -> RecordingWriter:
        form, at_us = self._input.format, block.captured_at_us
        # A recording of a run begins where the one before ended, unless the clock says better.
        began = from_us(at_us) if at_us is not None else self._previous_end()
        details: Details = {
            **self._settings.details,
            "started_at": began,
            "capture": self._input.description,
        }
        return self._archive.writer(
            form.sample_rate,
            form.channels,
            form.sample_format,
            chunk_seconds=self._settings.chunk_seconds,
            run_id=self.recordings[0].run_id if self.recordings else None,
            run_index=len(self.recordings),
            **details,
        )

    def _previous_end(self) -> datetime | None:
        return self.recordings[-1].ended_at if self.recordings else None

    def _end(self, state: State) -> None:
        writer, self._writer = self._writer, None
        if writer is None or not writer.frames_written:
            return
        try:
            self.recordings.append(writer.close(state))
        except StoreError:
            self.left_open = writer.id if writer.frames_committed else None
            raise


def _split_at_multiples(blocks: Iterable[Block], size: int, form: AudioFormat) -> Iterator[Block]:
    """Yield the same frames in blocks that do not reach across a multiple of so many frames."""
    left = size
    for block in blocks:
        rest = block
        while len(rest.frames) > left:
            yield replace(rest, frames=rest.frames[:left])
            at_us = rest.captured_at_us
            later_us = None if at_us is None else at_us + form.microseconds(left)
            rest = replace(rest, frames=rest.frames[left:], captured_at_us=later_us, overflowed=False)
            left = size
        yield rest
        left = left - len(rest.frames) or size
