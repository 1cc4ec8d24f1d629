"""Sound from a pipe: WAV as it streams in, or raw PCM whose format is known."""

from __future__ import annotations

import io
import os
import time
from typing import IO, TYPE_CHECKING

from phonobase.capture import _riff
from phonobase.capture._finite import finite_frames
from phonobase.capture._pump import Pump
from phonobase.capture.block import Block
from phonobase.errors import InvalidAudio, TruncatedAudio, UnsupportedFormat
from phonobase.pcm import from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.pcm import AudioFormat

_NAME = "standard input"
_READ_BYTES = 65_536
_HELD_BYTES = 524_288
_STOPPING_S = 0.2
_IDLE_S = 0.02
_START_BYTES = 12
_DECODERS = {
    b"fLaC": "FLAC; send `flac -d -c FILE`",
    b"OggS": "Ogg; send `ffmpeg -i FILE -f wav -`",
    b"ID3\x03": "MP3; send `ffmpeg -i FILE -f wav -`",
    b"ID3\x04": "MP3; send `ffmpeg -i FILE -f wav -`",
    b"FORM": "AIFF; send `ffmpeg -i FILE -f wav -`",
}


class PipeInput:
    """What comes through a pipe, as fast as it comes.

    Constructing it waits for the header, so that the format is known before a recording is begun. A WAV
    header that was written to a pipe does not know the size of the sound; then it goes on until the end.

    Args:
        stream: To read from; nobody has read from it before. Where it has a file descriptor, that is
            read.
        raw_format: What the bytes are where they are not WAV. Where they are, it must be the same.

    Raises:
        InvalidAudio: The stream is empty, or is neither WAV nor raw PCM of a known format.
        TruncatedAudio: It ends within its header.
        UnsupportedFormat: It is WAV of another format than ``raw_format``, or of one not read here.
    """

    def __init__(self, stream: IO[bytes], raw_format: AudioFormat | None = None) -> None:
        self._stream = _of_our_own(stream)
        self._pump: Pump[bytes] = Pump(self._fetch, capacity=_HELD_BYTES, name="phonobase-pipe")
        self._inflow = _Inflow(self._pump.items(grace_s=_STOPPING_S))
        try:
            self._header = self._begin(raw_format)
        except BaseException:
            self._pump.stop()
            raise

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""
        return self._header.format

    @property
    def frame_count(self) -> int | None:
        """Frames that the header declares, if it does."""
        size = self._header.data_bytes
        return None if size is None else size // self.format.frame_bytes

    @property
    def description(self) -> dict[str, str | int | float]:
        """That it came through a pipe."""
        return {"input": "pipe"}

    def blocks(self) -> Iterator[Block]:
        """Yield the sound until the pipe ends, the declared size is reached, or it was stopped.

        Raises:
            TruncatedAudio: It ended before the declared size, or within a frame.
            InvalidAudio: It cannot be read, or a float sample is NaN or infinite.
        """
        frames_done = 0
        partial = b""
        for data in self._inflow.until(self._header.data_bytes):
            joined = partial + data if partial else data
            whole = len(joined) // self.format.frame_bytes * self.format.frame_bytes
            partial = joined[whole:]
            frames = from_bytes(memoryview(joined)[:whole], self.format)
            finite = finite_frames(frames)
            if finite:
                yield Block(frames[:finite])
            frames_done += finite
            if finite < len(frames):
                raise InvalidAudio(
                    f"{_NAME}: frame {frames_done} holds NaN or infinity, which is not sound; "
                    "mend what produces it"
                )
        if not self._pump.stopping:
            self._check_end(frames_done, len(partial))

    def stop(self) -> None:
        """Make blocks() end soon, even while nothing comes."""
        self._pump.stop()

    def close(self) -> None:
        """Leave the pipe; it belongs to whoever opened it."""
        self._pump.stop()

    def _begin(self, raw_format: AudioFormat | None) -> _riff.Header:
        start = self._inflow.read(_START_BYTES)
        if not start:
            raise InvalidAudio(f"{_NAME} is empty; {_remedy()}")
        if _riff.is_wav(start):
            header = _riff.read_header(self._inflow, _NAME)
            if raw_format not in (None, header.format):
                raise UnsupportedFormat(
                    f"{_NAME} is WAV of {header.format}, not of {raw_format}; leave away "
                    "--samplerate, --channels and --dtype, or send what they say"
                )
            return header
        if start[:4] in _DECODERS:
            raise InvalidAudio(f"{_NAME} is {_DECODERS[start[:4]]}, or give the file to --input")
        if raw_format is None:
            raise InvalidAudio(f"{_NAME} is not WAV; {_remedy()}")
        self._inflow.push_back(start)
        return _riff.Header(raw_format, None)

    def _check_end(self, frames: int, partial_bytes: int) -> None:
        declared = self._header.data_bytes
        done = frames * self.format.frame_bytes + partial_bytes
        if declared is not None and done < declared:
            raise TruncatedAudio(
                f"{_NAME} ended after {done} of the {declared} bytes of sound that its header "
                f"declares; the {frames} frames that came are there, send the rest again"
            )
        if partial_bytes:
            raise TruncatedAudio(
                f"{_NAME} ended {self.format.frame_bytes - partial_bytes} bytes before the end of "
                f"frame {frames} ({self.format}); check --channels and --dtype"
            )

    def _fetch(self, pump: Pump[bytes]) -> None:
        read = getattr(self._stream, "read1", self._stream.read)
        try:
            while not pump.stopping:
                data: bytes | None = read(_READ_BYTES)
                if data is None:  # whoever shares the pipe has made it so that reading never waits
                    time.sleep(_IDLE_S)
                elif not data:
                    return
                else:
                    pump.put(data, len(data))
        except OSError as error:
            raise _unreadable(error) from None
        finally:
            if isinstance(self._stream, io.FileIO):
                self._stream.close()


class _Inflow:
    """The bytes of a pump, read by count or as they come."""

    def __init__(self, items: Iterator[bytes]) -> None:
        self._items = items
        self._pending = b""

    def read(self, count: int) -> bytes:
        found = bytearray()
        for data in self.until(count):
            found += data
        return bytes(found)

    def skip(self, count: int) -> None:
        for _ in self.until(count):
            pass

    def push_back(self, data: bytes) -> None:
        self._pending = data + self._pending

    def until(self, count: int | None) -> Iterator[bytes]:
        """Yield the next so many bytes in the pieces they come in, or all that come."""
        left = count
        while left is None or left > 0:
            data = self._pending or next(self._items, b"")
            if not data:
                return
            taken = data if left is None else data[:left]
            self._pending = data[len(taken) :]
            left = None if left is None else left - len(taken)
            yield taken


def _of_our_own(stream: IO[bytes]) -> IO[bytes] | io.FileIO:
    """Return what a thread may read while, and after, others close what they have.

    Not through Python's buffer either: its lock, held by a thread that waits, would abort the end of
    the interpreter.
    """
    try:
        return io.FileIO(os.dup(stream.fileno()))
    except io.UnsupportedOperation:
        return stream
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> InvalidAudio:
    return InvalidAudio(f"{_NAME} cannot be read: {error.strerror}; {_remedy()}")


def _remedy() -> str:
    return "send WAV, or raw PCM with --samplerate, --channels and --dtype"
