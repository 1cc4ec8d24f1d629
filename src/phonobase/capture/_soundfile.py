"""libsndfile, made to read forward only and to say where and why it stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

import soundfile

from phonobase.capture._lossy import check_mpeg, check_mpeg_rest, check_ogg, remedy
from phonobase.capture._md5 import SoundCheck
from phonobase.errors import InvalidAudio, TruncatedAudio
from phonobase.pcm import SampleFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phonobase.pcm import Frames

_NATIVE = {
    "DWVW_24": SampleFormat.INT24,
    "PCM_24": SampleFormat.INT24,
    "PCM_32": SampleFormat.INT32,
    "DOUBLE": SampleFormat.FLOAT32,
    "FLOAT": SampleFormat.FLOAT32,
}
_LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
_UNKNOWN_FRAMES = 2**62
"""What libsndfile reports of a FLAC whose encoder wrote to a pipe is beyond this."""


class SoundReader:
    """The frames of an open file, from beginning to end.

    Args:
        file: Open for reading, with a file descriptor.
        path: What to call it in an error.

    Attributes:
        sample_rate: In Hz.
        channels: Samples in a frame.
        frame_count: Frames that the file declares; None where it does not.
        decoded: The sample format of what ``read`` yields.
        native: The sample format that holds all there is in it.
        description: The container and the encoding of the file.

    Raises:
        InvalidAudio: The file is not sound that libsndfile reads whole and right.
        TruncatedAudio: The end of an Ogg file is missing.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._descriptor = file.fileno()
        self._path = path
        self._sound = self._open()
        position = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        self._is_mpeg = self._sound.subtype.startswith("MPEG")
        if self._is_mpeg:
            check_mpeg(file, path)
        if self._sound.format == "OGG":
            check_ogg(file, path)
        if self._sound.subtype.startswith("ALAC"):
            # libsndfile and ffmpeg decode different samples from the same noise.
            raise InvalidAudio(f"{path} is ALAC, which is not read right; {remedy(path)} reads it")
        os.lseek(self._descriptor, position, os.SEEK_SET)
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        frames = self._sound.frames
        self.frame_count: int | None = frames if frames < _UNKNOWN_FRAMES else None
        subtype = self._sound.subtype
        self.native = _NATIVE.get(subtype, SampleFormat.INT16)
        self.decoded = SampleFormat.FLOAT32 if subtype in _LOSSY else self.native
        self.description = {"container": self._sound.format, "subtype": subtype}

    def read(self, step: int) -> Iterator[Frames]:
        """Yield so many frames at a time, the last time fewer.

        Raises:
            InvalidAudio: The rest does not decode, or is more than the file declares, or is other sound than
                the MD5 in it is of.
            TruncatedAudio: The rest is missing.
        """
        done = 0
        check = SoundCheck(self._file, self._sound.subtype, self.decoded)
        try:
            for frames in self._decode(self._sound, step):
                check.take(frames)
                yield frames
                done += len(frames)
        except soundfile.LibsndfileError as error:
            at_end = os.lseek(self._descriptor, 0, os.SEEK_CUR) >= os.fstat(self._descriptor).st_size
            for frames in self._decodable_rest(done, step):
                yield frames
                done += len(frames)
            raise self._broken(done, at_end=at_end, why=error.error_string) from None
        if self.frame_count is not None and done < self.frame_count:
            raise self._broken(done, at_end=True, why="")
        if self._is_mpeg:
            check_mpeg_rest(self._file, self._path)
        check.finish(self._path)

    def close(self) -> None:
        """Let go of the file, which stays open."""
        self._sound.close()

    def _decodable_rest(self, done: int, step: int) -> Iterator[Frames]:
        """Yield frame by frame what came before an error: libsndfile throws it away with the read."""
        self._sound.close()
        self._sound = self._open()
        decoding = self._decode(self._sound, step)
        for _ in range(done // step):
            next(decoding)
        try:
            yield from self._decode(self._sound, 1)
        except soundfile.LibsndfileError:
            return

    def _decode(self, sound: Any, step: int) -> Iterator[Frames]:  # noqa: ANN401
        dtype = self.decoded.dtype.name
        while len(frames := sound.read(step, dtype=dtype, always_2d=True)):
            yield frames

    def _open(self) -> Any:  # noqa: ANN401 - soundfile has no types
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        try:
            return _Forward(self._descriptor, closefd=False)
        except soundfile.LibsndfileError as error:
            raise InvalidAudio(
                f"{self._path} is not sound that can be read ({error.error_string.rstrip('.')}); "
                f"{remedy(self._path)} may read it"
            ) from None

    def _broken(self, done: int, *, at_end: bool, why: str) -> InvalidAudio:
        declared = f"{done} of {self.frame_count}" if self.frame_count else str(done)
        if at_end:
            return TruncatedAudio(
                f"{self._path} ends after {declared} frames; copy it again from where it came"
            )
        return InvalidAudio(
            f"{self._path} does not decode after {declared} frames ({why.rstrip('.')}); "
            "copy it again from where it came"
        )


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that soundfile does not wind to where it already is after every read.

    That costs time, and fails at the end of a file that is cut off.
    """

    def seekable(self) -> bool:
        return False
