"""A recording while it is being written: frames become cuts, cuts become chunks, totals and header follow.

The two halves may run in two threads: ``cut`` and ``finish`` in one, ``seal`` in the other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Unpack

from phonobase.audio import encoding as encodings
from phonobase.audio import flac
from phonobase.audio.chain import genesis
from phonobase.audio.cut import Cut, Cutter
from phonobase.audio.seal import Chunk, Sealer, Totals
from phonobase.errors import InvalidAudio, UnsupportedFormat
from phonobase.pcm import as_frames, from_bytes
from phonobase.store.columns import to_us
from phonobase.store.recording import MAX_SECONDS, comments, new_recording

if TYPE_CHECKING:
    from phonobase.pcm import AudioFormat, Frames
    from phonobase.store.recording import Details, NewRecording

CHUNK_SECONDS = 2.0
"""How much sound is committed at once, unless the caller says otherwise."""

_BYTES = ("B", "b", "c")


class Draft:
    """A recording while it is being written.

    Args:
        new: What is known before the first frame.
        chunk_seconds: How much sound a chunk holds, at least; never more than fits into a row.
    """

    def __init__(self, new: NewRecording, chunk_seconds: float = CHUNK_SECONDS) -> None:
        if not 0 < chunk_seconds <= MAX_SECONDS:
            raise UnsupportedFormat(
                f"chunks of {chunk_seconds:g} s are not possible; choose more than 0, as 2"
            )
        self.new = new
        chunk_frames = max(1, round(chunk_seconds * new.format.sample_rate))
        self._cutter = Cutter(new.format, new.encoding, chunk_frames)
        start = genesis(new.id, to_us(new.started_at), new.format, new.encoding, new.source)
        self._sealer = Sealer(new.format.sample_format, start)

    def cut(self, frames: Frames, captured_at_us: int | None = None) -> list[Cut]:
        """Encode frames and return the cuts that they complete."""
        return self._cutter.write(frames, captured_at_us)

    def finish(self) -> list[Cut]:
        """End the stream and return the cuts that were still open."""
        return self._cutter.finish()

    def seal(self, cut: Cut) -> Chunk:
        """Return the cut as the next chunk; the totals and the header count it from now on."""
        return self._sealer.seal(cut)

    @property
    def totals(self) -> Totals:
        """What the sealed chunks add up to."""
        return self._sealer.totals

    @property
    def pcm_sha256(self) -> bytes:
        """SHA-256 of the PCM of the sealed chunks."""
        return self._sealer.pcm_sha256

    @property
    def header(self) -> bytes:
        """The header that makes a playable file of the sealed chunks."""
        return self._header(flac.UNKNOWN_MD5)

    @property
    def final_header(self) -> bytes:
        """The header once all chunks are sealed: it lets any FLAC decoder check the sound."""
        return self._header(self._cutter.md5)

    def _header(self, md5: bytes) -> bytes:
        new, frame_count = self.new, self.totals.frame_count
        return encodings.header(new.encoding, new.format, frame_count, md5, comments(new))


def whole(
    audio_bytes: bytes, audio_format: AudioFormat, **details: Unpack[Details]
) -> tuple[Draft, list[Chunk]]:
    """Return sound that is there as a whole as a recording to store, all of its chunks sealed.

    Args:
        audio_bytes: Interleaved little-endian PCM.
        audio_format: Of its frames.
        details: What is to be said of it.

    Raises:
        UnsupportedFormat: The format cannot be stored, or it is longer than a day.
        InvalidAudio: The bytes are no whole number of frames, or none, or hold NaN.
    """
    if memoryview(audio_bytes).format not in _BYTES:
        raise InvalidAudio("audio_bytes are not bytes; of an array pass array.tobytes()")
    frames = as_frames(from_bytes(audio_bytes, audio_format), audio_format)
    if not len(frames):
        raise InvalidAudio("there are no frames in it, so nothing was stored; pass some sound")
    if len(frames) > MAX_SECONDS * audio_format.sample_rate:
        raise UnsupportedFormat("a recording holds 24 hours at most; store it in parts")
    duration = timedelta(microseconds=audio_format.microseconds(len(frames)))
    details["started_at"] = details.get("started_at") or datetime.now(UTC) - duration
    draft = Draft(new_recording(audio_format, **details))
    return draft, [draft.seal(cut) for cut in [*draft.cut(frames), *draft.finish()]]
