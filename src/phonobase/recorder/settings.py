"""What is recorded, and how: plain values, from a command line or a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phonobase.store.draft import CHUNK_SECONDS
from phonobase.store.recording import Details

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonobase.pcm import Frames

DEFAULT_FLOOR_BYTES = 256 * 1024 * 1024
"""Free space below which nothing more is recorded, unless another is named."""


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Where sound comes from; what is None is the input's own or the usual.

    Attributes:
        kind: ``device``, ``tone``, ``-`` (standard input), ``plugin:MODULE:NAME`` or the path of a file.
        device: A device's number, its name or a part of that; the default one, with None.
        samplerate: In Hz.
        channels: How many are opened.
        dtype: The sample format.
        realtime: Whether time passes while it is heard; None where that follows from ``kind``.
    """

    kind: str = "device"
    device: str | None = None
    samplerate: int | None = None
    channels: int | None = None
    dtype: str | None = None
    realtime: bool | None = None

    @property
    def is_half_described(self) -> bool:
        """Whether some of what raw PCM needs is named, and some is not."""
        return [self.samplerate, self.channels, self.dtype].count(None) in (1, 2)


@dataclass(frozen=True, slots=True)
class Trigger:
    """When sound is worth keeping.

    Attributes:
        level_dbfs: What is louder (root mean square of a tenth of a second) is recorded.
        pre_roll_s: How much before is recorded too.
        hang_s: For how long recording goes on when it is quiet again.
        detector: Says of (frames, channels) whether to record them, in place of the level.
    """

    level_dbfs: float = -40.0
    pre_roll_s: float = 2.0
    hang_s: float = 5.0
    detector: Callable[[Frames], bool] | None = None


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How one source is recorded.

    Attributes:
        details: What is said of every recording: source, title, tags and others.
        channels: Which of the input's channels, counted from 1; all, with None.
        chunk_seconds: How much sound is committed at once.
        rollover_s: New recordings begin at whole multiples of this since midnight UTC; with None, when
            one is a day long.
        trigger: When to record; always, with None.
    """

    details: Details = field(default_factory=Details)
    channels: tuple[int, ...] | None = None
    chunk_seconds: float = CHUNK_SECONDS
    rollover_s: int | None = None
    trigger: Trigger | None = None

    @property
    def name(self) -> str:
        """The source's name."""
        return self.details["source"]
