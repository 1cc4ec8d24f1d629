"""Sound from a file, of whatever kind libsndfile reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from phonobase.capture._began import began_at
from phonobase.capture._declared import SoundBytes, sound_bytes
from phonobase.capture._finite import finite_frames
from phonobase.capture._lossy import remedy
from phonobase.capture._riff import is_wav
from phonobase.capture._soundfile import SoundReader
from phonobase.capture.block import Block
from phonobase.errors import InvalidAudio, TruncatedAudio, UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat, convert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_BLOCK_SAMPLES = 16_384


class FileInput:
    """The sound of a file, as fast as it is asked for, in constant memory.

    Unless another sample format is asked for, it is the file's own: what has up to 16 bits, or is
    companded or lossy, becomes int16; 24 bits become int24; 32 bits int32; floats float32, and doubles
    are rounded to float32.

    Args:
        path: Of the file.
        sample_format: To convert to.
        opened: The file, where it is open already, unbuffered; ``path`` is then what to call it in errors.

    Raises:
        InvalidAudio: The file cannot be read, or is not sound, or has no frame.
        TruncatedAudio: Its header declares more sound than it holds.
        UnsupportedFormat: Its rate or its channels are outside the limits.
    """

    def __init__(
        self,
        path: str | Path,
        sample_format: SampleFormat | None = None,
        *,
        opened: BinaryIO | None = None,
    ) -> None:
        self._path = Path(path)
        self._stopped = False
        self._file = opened or _opened(self._path)
        try:
            size = sound_bytes(self._file)
            _check_size(size, self._file, self._path)
            self._reader = SoundReader(self._file, self._path)
            _check_frames(self._reader.frame_count, size, self._path)
            self._began_at = began_at(self._file, self._reader.sample_rate)
            self._format = self._format_as(sample_format or self._reader.native)
        except BaseException:
            self._file.close()
            raise

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""
        return self._format

    @property
    def frame_count(self) -> int | None:
        """Frames that the file declares; None where it does not."""
        return self._reader.frame_count

    @property
    def began_at(self) -> datetime | None:
        """When the file says that its sound began; without a zone, where it names none; None, if nothing."""
        return self._began_at

    @property
    def description(self) -> dict[str, str | int | float]:
        """The file's name and what kind of file it is."""
        return {"input": "file", "file": self._path.name, **self._reader.description}

    def blocks(self) -> Iterator[Block]:
        """Yield the sound.

        Raises:
            InvalidAudio: It does not decode, or a float sample is NaN or infinite.
            TruncatedAudio: It ends before the declared number of frames.
        """
        step = max(1, _BLOCK_SAMPLES // self._format.channels)
        frames_done = 0
        for frames in self._reader.read(step):
            if self._stopped:
                return
            finite = finite_frames(frames)
            if finite:
                target = self._format.sample_format
                yield Block(convert(frames[:finite], self._reader.decoded, target))
            frames_done += finite
            if finite < len(frames):
                raise InvalidAudio(
                    f"{self._path}: frame {frames_done} holds NaN or infinity, which is not sound; "
                    "mend what wrote it"
                )

    def stop(self) -> None:
        """Make blocks() end soon."""
        self._stopped = True

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._file.close()

    def _format_as(self, sample_format: SampleFormat) -> AudioFormat:
        try:
            return AudioFormat(self._reader.sample_rate, self._reader.channels, sample_format)
        except UnsupportedFormat as error:
            raise UnsupportedFormat(f"{self._path}: {error}") from None


def _opened(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InvalidAudio(f"{path} is a directory; name the files in it")
        if not stat.S_ISREG(mode):
            raise InvalidAudio(f"{path} is not a file; send it with --input - < {path}")
        file = path.open("rb", buffering=0)  # libsndfile shares its position
    except FileNotFoundError:
        raise InvalidAudio(f"there is no file {path}; check the name") from None
    except OSError as error:
        raise InvalidAudio(f"{path} cannot be read: {error.strerror}; check who may") from None
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise InvalidAudio(f"{path} is empty; copy it again from where it came")
    return file


def _check_size(size: SoundBytes | None, file: BinaryIO, path: Path) -> None:
    if size is None or size.declared is None:
        return
    if size.stray:
        raise InvalidAudio(
            f"{path} declares {size.declared} bytes of sound and holds {size.present}, and what is behind "
            f"is no chunk; if it is sound, send all: ffmpeg -ignore_length 1 -i {path} -f wav - | "
            "phonobase record --input -"
        )
    if size.declared <= size.present:
        return
    file.seek(0)
    streams = is_wav(file.read(12))
    command = f"`phonobase record --input - < {path}`" if streams else remedy(path)
    raise TruncatedAudio(
        f"{path} holds {size.present} of the {size.declared} bytes of sound that its header "
        f"declares; {command} keeps what is there"
    )


def _check_frames(frames: int | None, size: SoundBytes | None, path: Path) -> None:
    if frames != 0:
        return
    if size is not None and size.declared is None and size.present:
        raise InvalidAudio(
            f"{path} declares no sound, but {size.present} bytes stand behind its header; "
            f"`phonobase record --input - < {path}` takes them for sound"
        )
    raise InvalidAudio(f"{path} holds no sound; record it again")
