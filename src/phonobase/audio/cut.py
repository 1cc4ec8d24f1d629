"""Where a stream is cut into chunks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phonobase.audio import encoding as encodings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phonobase.audio.encoding import Encoding
    from phonobase.audio.packet import Packet
    from phonobase.pcm import AudioFormat, Frames

MAX_CHUNK_BYTES = 1_048_576
"""A row of audio is never larger: both databases are at their best from 64 KiB to 1 MiB."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The frames of one chunk and what they were encoded to.

    Attributes:
        frames: Shape (frames, channels).
        data: What they were encoded to.
        captured_at_us: Wall clock at the first frame, in microseconds since 1970-01-01 UTC; None where
            the sound has no time of its own.
    """

    frames: Frames
    data: bytes
    captured_at_us: int | None = None


class Cutter:
    """Frames in, cuts out.

    A cut ends with the packet that makes it ``chunk_frames`` long, or before the one that would make it
    larger than a row may be. Where it ends depends on the sound alone, never on the sizes of the blocks.

    Args:
        audio_format: Of the frames.
        encoding: To encode them in.
        chunk_frames: Frames in a chunk, at least; the last one may be shorter.
    """

    def __init__(self, audio_format: AudioFormat, encoding: Encoding, chunk_frames: int) -> None:
        self._format = audio_format
        self._encoder = encodings.encoder(encoding, audio_format)
        self._chunk_frames = chunk_frames
        self._unclaimed: deque[tuple[Frames, int | None]] = deque()
        self._packets: list[Packet] = []
        self._packed_frames = 0
        self._packed_bytes = 0

    def write(self, frames: Frames, captured_at_us: int | None = None) -> list[Cut]:
        """Encode frames and return the cuts that they complete. The array is kept, not copied."""
        if not len(frames):
            return []
        self._unclaimed.append((frames, captured_at_us))
        return self._pack(self._encoder.write(frames))

    def finish(self) -> list[Cut]:
        """End the stream and return the cuts that were still open."""
        cuts = self._pack(self._encoder.finish())
        return [*cuts, self._cut()] if self._packets else cuts

    @property
    def md5(self) -> bytes:
        """MD5 of all PCM, for the header, once finished; sixteen zero bytes where none is needed."""
        return self._encoder.md5

    def _pack(self, packets: Iterable[Packet]) -> list[Cut]:
        cuts = []
        for packet in packets:
            if self._packets and self._packed_bytes + len(packet.data) > MAX_CHUNK_BYTES:
                cuts.append(self._cut())
            self._packets.append(packet)
            self._packed_frames += packet.frame_count
            self._packed_bytes += len(packet.data)
            if self._packed_frames >= self._chunk_frames:
                cuts.append(self._cut())
        return cuts

    def _cut(self) -> Cut:
        captured_at_us = self._unclaimed[0][1]
        frames = self._claim(self._packed_frames)
        cut = Cut(frames, b"".join(packet.data for packet in self._packets), captured_at_us)
        self._packets, self._packed_frames, self._packed_bytes = [], 0, 0
        return cut

    def _claim(self, frame_count: int) -> Frames:
        """Take so many of the frames that were written and belong to no cut yet."""
        taken = []
        while frame_count:
            block, captured_at_us = self._unclaimed.popleft()
            if len(block) > frame_count:
                if captured_at_us is not None:
                    captured_at_us += self._format.microseconds(frame_count)
                self._unclaimed.appendleft((block[frame_count:], captured_at_us))
                block = block[:frame_count]
            taken.append(block)
            frame_count -= len(block)
        return taken[0] if len(taken) == 1 else np.concatenate(taken)
