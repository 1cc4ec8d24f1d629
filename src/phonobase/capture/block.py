"""What every input hands over, and what every input is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phonobase.pcm import AudioFormat, Frames


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive frames of an input.

    Attributes:
        frames: Shape (frames, channels); nobody else writes to the array.
        captured_at_us: Wall clock at the first frame, in microseconds since 1970-01-01 UTC; None where
            the sound has no time of its own, as in a file.
        overflowed: Whether sound before this block was lost because it was not fetched in time.
        dropped_frames: Frames before this block that were fetched in time and then dropped, because
            whoever asks for blocks did not keep up.
        arrived_ns: ``Clock.elapsed_ns`` when the last frame was there; None where sound waits until it is
            fetched, so that none can be missed.
    """

    frames: Frames
    captured_at_us: int | None = None
    overflowed: bool = False
    dropped_frames: int = 0
    arrived_ns: int | None = None


class Input(Protocol):
    """A stretch of sound that can be read once, from beginning to end.

    ``blocks()`` yields until the sound ends or ``stop()`` was called, and then everything that was heard
    before. An error is raised by it only after all frames that came before the error were yielded.
    """

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""

    @property
    def frame_count(self) -> int | None:
        """Frames that the sound has, where that is known beforehand."""

    @property
    def description(self) -> Mapping[str, str | int | float]:
        """What a reader of the archive should know of where the sound came from."""

    def blocks(self) -> Iterator[Block]:
        """Yield the sound."""

    def stop(self) -> None:
        """Make blocks() end soon. May be called from a signal handler and from any thread."""

    def close(self) -> None:
        """Give back the device or the file."""
