"""Sound as a file that has begun and whose end nobody knows yet."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonobase.audio import flac, wav
from phonobase.audio.encoding import Encoding
from phonobase.audio.renumber import placed, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from phonobase.pcm import AudioFormat

_LARGEST_PLACE = 1 << 36
"""The samples that a FLAC stream can count; at 48 kHz sixteen days."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Encoded frames that belong together: a FLAC frame, or PCM.

    Attributes:
        first_frame: Frames of the recording before them.
        frame_count: How many.
        data: What they were encoded to.
    """

    first_frame: int
    frame_count: int
    data: bytes


def stretches(encoding: Encoding, first_frame: int, frame_count: int, data: bytes) -> Iterator[Stretch]:
    """Yield the stretches of which a chunk consists.

    Args:
        encoding: Of the chunk.
        first_frame: Frames of the recording before it.
        frame_count: Frames in it.
        data: What they were encoded to.

    Raises:
        CorruptRecording: It does not consist of FLAC frames, or not of those.
    """
    if encoding is not Encoding.FLAC:
        yield Stretch(first_frame, frame_count, data)
        return
    place, end = first_frame, first_frame + frame_count
    for frame in split(io.BytesIO(data).read, first_frame // flac.FRAMES_PER_PACKET):
        count = min(flac.FRAMES_PER_PACKET, end - place)
        yield Stretch(place, count, frame)
        place += count


class Endless:
    """A file of stretches, one behind the other, from whichever recording they are.

    Args:
        encoding: Of the stretches.
        audio_format: Of their frames.
        comments: What the file says of itself, where it has a place for that.
    """

    def __init__(
        self, encoding: Encoding, audio_format: AudioFormat, comments: Mapping[str, str] | None = None
    ) -> None:
        self._is_flac = encoding is Encoding.FLAC
        self._frames, self._frames_of_last = 0, flac.LEAST_FRAMES
        self.header = (
            flac.endless_header(audio_format, comments) if self._is_flac else wav.endless_header(audio_format)
        )

    @property
    def can_go_on(self) -> bool:
        """Whether more may follow: not behind a FLAC frame that only the last one may be as short as."""
        room = _LARGEST_PLACE - flac.FRAMES_PER_PACKET
        return not self._is_flac or (self._frames_of_last >= flac.LEAST_FRAMES and self._frames < room)

    def add(self, more: Iterable[Stretch]) -> bytes:
        """Return what stretches become when they follow what was added before."""
        added = []
        for one in more:
            if self._is_flac:
                added.append(placed(one.data, one.first_frame // flac.FRAMES_PER_PACKET, self._frames))
            else:
                added.append(one.data)
            self._frames += one.frame_count
            self._frames_of_last = one.frame_count
        return b"".join(added)
