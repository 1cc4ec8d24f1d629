"""The MD5 that a FLAC file has of its sound, which libsndfile does not look at.

It may have been cut in its middle, or declare less sound than it holds, and every frame of it still decode.

Source: RFC 9639, section 8.2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from phonobase.errors import InvalidAudio
from phonobase.pcm import to_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from phonobase.pcm import Frames, SampleFormat

_MD5_AT, _MD5_BYTES = 26, 16
_HEAD = b"fLaC"


class SoundCheck:
    """Checks that the frames of a file are what its encoder was given, as far as the file says.

    Args:
        file: Its position is where it was, afterwards.
        subtype: How libsndfile calls the encoding of its samples.
        decoded: The sample format of the frames.
    """

    def __init__(self, file: BinaryIO, subtype: str, decoded: SampleFormat) -> None:
        position = file.tell()
        file.seek(0)
        start = file.read(_MD5_AT + _MD5_BYTES)
        file.seek(position)
        md5 = start[_MD5_AT:] if start[: len(_HEAD)] == _HEAD else b""
        self._wanted = md5 if any(md5) else None
        self._is_8_bit = subtype == "PCM_S8"
        self._decoded = decoded
        self._md5 = hashlib.md5(usedforsecurity=False)

    def take(self, frames: Frames) -> None:
        """Take the next frames."""
        if self._wanted is not None:
            narrow = (frames >> 8).astype(np.int8).tobytes() if self._is_8_bit else b""
            self._md5.update(narrow or to_bytes(frames, self._decoded))

    def finish(self, path: Path) -> None:
        """Compare, now that all frames were taken.

        Raises:
            InvalidAudio: They are others.
        """
        if self._wanted not in {None, self._md5.digest()}:
            raise InvalidAudio(
                f"{path} does not decode to the sound whose MD5 is in it; copy it again from where it came"
            )
