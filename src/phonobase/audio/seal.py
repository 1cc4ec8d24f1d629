"""What is written down of every chunk: its place, its level, its outline, its hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phonobase.audio import chain
from phonobase.audio.level import Level, measure
from phonobase.audio.peaks import envelope
from phonobase.pcm import SampleFormat, to_bytes

if TYPE_CHECKING:
    from phonobase.audio.cut import Cut


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a recording: what is committed, hashed and read as one.

    Attributes:
        seq: Its number in the recording, from 0.
        first_frame: Frames of the recording before it.
        frame_count: Frames in it.
        first_byte: Bytes of the recording before it, the header not counted.
        level: How loud it is.
        peaks: Its outline, as phonobase.audio.peaks has it.
        sha256: Of ``data``.
        chain: Its link, as phonobase.audio.chain has it.
        data: The encoded bytes.
        captured_at_us: Wall clock at the first frame, as Cut has it.
    """

    seq: int
    first_frame: int
    frame_count: int
    first_byte: int
    level: Level
    peaks: bytes
    sha256: bytes
    chain: bytes
    data: bytes
    captured_at_us: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What the chunks of a recording add up to."""

    chain_head: bytes
    frame_count: int = 0
    byte_count: int = 0
    chunk_count: int = 0
    level: Level = field(default_factory=Level)

    def plus(self, chunk: Chunk) -> Totals:
        """Return the totals with one more chunk."""
        return Totals(
            chain_head=chunk.chain,
            frame_count=self.frame_count + chunk.frame_count,
            byte_count=self.byte_count + len(chunk.data),
            chunk_count=self.chunk_count + 1,
            level=self.level + chunk.level,
        )


class Sealer:
    """Cuts in, chunks out; each is linked to the one before.

    Args:
        sample_format: Of the frames.
        genesis: The link before the first chunk.
    """

    def __init__(self, sample_format: SampleFormat, genesis: bytes) -> None:
        self._sample_format = sample_format
        self._pcm_sha256 = hashlib.sha256()
        self.totals = Totals(genesis)

    def seal(self, cut: Cut) -> Chunk:
        """Return the cut as the recording's next chunk."""
        self._pcm_sha256.update(to_bytes(cut.frames, self._sample_format))
        before, sha256 = self.totals, hashlib.sha256(cut.data).digest()
        frame_count = len(cut.frames)
        chunk = Chunk(
            seq=before.chunk_count,
            first_frame=before.frame_count,
            frame_count=frame_count,
            first_byte=before.byte_count,
            level=measure(cut.frames, self._sample_format),
            peaks=envelope(cut.frames, self._sample_format),
            sha256=sha256,
            chain=chain.link(before.chain_head, before.chunk_count, before.frame_count, frame_count, sha256),
            data=cut.data,
            captured_at_us=cut.captured_at_us,
        )
        self.totals = before.plus(chunk)
        return chunk

    @property
    def pcm_sha256(self) -> bytes:
        """SHA-256 of the PCM of all chunks so far, little-endian and interleaved."""
        return self._pcm_sha256.digest()
