"""Sound that waits for whoever fetches it, into an archive: a file, or what comes through a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.audio.level import Level, measure
from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.capture.limit import limited
from phonobase.errors import StoreError
from phonobase.recorder.takes import Takes
from phonobase.store.recording import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from phonobase.capture.block import Block, Input
    from phonobase.capture.clock import Clock
    from phonobase.recorder.settings import SourceSettings
    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording


class Recorder:
    """Records an input as fast as it gives sound, in takes that follow each other without a lost frame.

    Nothing is lost where it fails, for the sound is still there: so it ends then, and says why.

    Args:
        archive: Where to.
        source: What; closing it remains with the caller.
        settings: How.
        frame_count: Frames to record; until the input ends or is stopped, with None.
        on_block: Called with the level of every block, for a meter.
        clock: Tells when the first frame is said to have been heard.
    """

    def __init__(
        self,
        archive: Archive,
        source: Input,
        settings: SourceSettings,
        frame_count: int | None = None,
        on_block: Callable[[Level], None] = lambda _level: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.recordings: list[Recording] = []
        """What was recorded, also where ``run`` raised."""
        self.left_open: UUID | None = None
        """The recording that could not be closed, because the archive failed; ``recover`` closes it."""
        self._input = source
        self._frame_count = frame_count
        self._on_block = on_block
        self._clock = clock
        self._takes = Takes(archive, settings, source.format, self.recordings.append)

    def run(self) -> list[Recording]:
        """Record until there is enough, the input ends, or it is stopped; return the recordings.

        Raises:
            PhonobaseError: The input or the archive failed. What was heard until then is in
                ``recordings``, its last one interrupted, unless it is the archive that failed.
        """
        try:
            self._takes.begin_run(self._clock.wall_us(), self._input.description)
            for block in self._blocks():
                self._takes.write(block.frames, self._takes.next_us)
                self._on_block(measure(block.frames, self._input.format.sample_format))
        except KeyboardInterrupt:  # asked twice: do not wait for a database that does not answer
            self.left_open = self._takes.open_id
            raise
        except BaseException:
            self._end(State.INTERRUPTED)
            raise
        self._end(State.COMPLETE)
        return self.recordings

    def _blocks(self) -> Iterator[Block]:
        if self._frame_count is None:
            return self._input.blocks()
        return limited(self._input.blocks(), self._frame_count)

    def _end(self, state: State) -> None:
        try:
            self._takes.end(state)
        except StoreError:
            broken = self._takes.abandon()
            self.left_open = broken.id if broken and broken.frames_committed else None
            raise
