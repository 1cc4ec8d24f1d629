"""Decode files that nobody vouches for, each in a process of its own. Run as a program, by Decoders.

The program has imported all that decoding takes, and forks a process for every file it is handed: that takes
milliseconds, and no process sees two files. The process decodes its file twice: once to its end, to see that
it is whole and within the limits, and once to hand over the sound, which is kept nowhere in between.

What it says goes through a pipe: a line of JSON, and then the PCM. Its standard input is the socket that
files come by; when that ends, so does all that the program has started.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from phonobase.capture.file import FileInput
from phonobase.errors import AudioError, InvalidAudio, TooMuchAudio, UnsupportedFormat
from phonobase.pcm import to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonobase.pcm import AudioFormat

DECODE, END = b"d", b"e"
"""What the program is asked for: to decode a file, or to end the process that does."""

NUMBER = struct.Struct("<I")
"""Which order it is; it stands behind its letter, and the reply begins with it."""
PID = struct.Struct("<i")
NO_PID = -1
BEGUN = struct.Struct("<Ii")
"""Which order it was, and the number of the process that was started."""
ENDED = struct.Struct("<Iiq")
"""Which order it was, how a process ended, as waitpid has it, and its most memory, as getrusage has it."""

ANSWER_BYTES = 4096
"""The line of JSON is no longer."""

NAME = "the file"
"""What a file is called in errors: nobody here knows its name."""

_FILES = 16
_DESCRIPTORS = 256
_MAGIC_BYTES = 12
_MPEG_SYNC = b"\xe0"


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a file may take.

    Attributes:
        seconds: How long its sound may be.
        pcm_bytes: How much there may be of it, decoded.
        memory_bytes: Address space of the process, of which a good third is taken before it begins.
        cpu_seconds: Time of a processor.
        patience_seconds: How long it may be waited for, all together.
    """

    seconds: int = 86_400
    pcm_bytes: int = 16 * 1024**3
    memory_bytes: int = 512 * 1024**2
    cpu_seconds: int = 600
    patience_seconds: float = 600.0

    def frames(self, form: AudioFormat) -> int:
        """Return how many frames of a format a file may hold."""
        return min(self.seconds * form.sample_rate, self.pcm_bytes // form.frame_bytes)


def main(*numbers: str) -> None:
    """Decode what comes, until nothing can come any more.

    Args:
        numbers: The limits, in their order.
    """
    seconds, pcm_bytes, memory_bytes, cpu_seconds = map(int, numbers[:-1])
    limits = DecodeLimits(seconds, pcm_bytes, memory_bytes, cpu_seconds, float(numbers[-1]))
    orders = socket.socket(fileno=os.dup(0))
    os.set_inheritable(0, False)  # noqa: FBT003 - its only argument
    running: set[int] = set()
    try:
        while order := _next(orders):
            kind, descriptors = order
            (number,) = NUMBER.unpack(orders.recv(NUMBER.size, socket.MSG_WAITALL))
            if kind == DECODE:
                pid = _fork(limits, descriptors)
                running |= {pid} - {NO_PID}
                orders.sendall(BEGUN.pack(number, pid))
            else:
                (pid,) = PID.unpack(orders.recv(PID.size, socket.MSG_WAITALL))
                if pid not in running:  # of whoever orders this nothing else can be believed
                    return
                running.remove(pid)
                orders.sendall(ENDED.pack(number, *_end(pid)))
    finally:
        for pid in running:
            _end(pid)


def _next(orders: socket.socket) -> tuple[bytes, list[int]] | None:
    kind, descriptors, _, _ = socket.recv_fds(orders, 1, 2)
    return (kind, descriptors) if kind else None


def _end(pid: int) -> tuple[int, int]:
    os.kill(pid, signal.SIGKILL)  # its number stays its own until it was waited for
    _, status, used = os.wait4(pid, 0)
    return status, used.ru_maxrss


def _fork(limits: DecodeLimits, descriptors: list[int]) -> int:
    try:
        pid = os.fork()
    except OSError:  # as of a machine without memory for one more
        pid = NO_PID
    if not pid:
        _be_confined(limits, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _be_confined(limits: DecodeLimits, descriptors: list[int]) -> NoReturn:
    """Decode in this process, which was made for it, with nothing but the two descriptors."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        for descriptor in set(range(3, _DESCRIPTORS)) - set(descriptors):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        _limit(limits)
        file, answer = descriptors
        with os.fdopen(answer, "wb", buffering=0) as out:
            decode(file, out.write, limits)
        code = 0
    finally:
        # Nothing that the process was forked with shall run.
        os._exit(code)


def _limit(limits: DecodeLimits) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, limits.memory_bytes),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if what == resource.RLIMIT_AS and sys.platform == "darwin":
            continue  # it is not kept there, and refused
        resource.setrlimit(what, (least, least))


def decode(file: int, write: Callable[[memoryview], int | None], limits: DecodeLimits) -> None:
    """Say what a file holds, and hand over its sound unless it is refused.

    Args:
        file: Its descriptor, open for reading.
        write: Where to.
        limits: What it may take.
    """
    try:
        facts = _checked(file, limits)
    except TooMuchAudio as error:
        facts = {"refused": "too much", "why": str(error)}
    except UnsupportedFormat as error:
        facts = {"refused": "unsupported", "why": _what(error)}
    except AudioError as error:
        facts = {"refused": "invalid", "why": _what(error)}
    _write_all(write, json.dumps(facts).encode() + b"\n")
    if "refused" in facts:
        return
    with closing(_opened(file)) as sound:
        for block in sound.blocks():
            _write_all(write, to_bytes(block.frames, sound.format.sample_format))


def _checked(file: int, limits: DecodeLimits) -> dict[str, Any]:
    """Decode all of a file and return what is in it."""
    start = os.pread(file, _MAGIC_BYTES, 0)
    if not start:
        raise InvalidAudio("it is empty")
    kinds = _kinds(start)
    if not kinds:
        raise UnsupportedFormat("it is neither WAV nor FLAC, AIFF, Ogg or MP3")
    with closing(_opened(file)) as sound:
        container = sound.description["container"]
        if container not in kinds:  # an ID3 tag may stand before anything
            raise UnsupportedFormat(f"it begins as {' or '.join(sorted(kinds))}, and is {container}")
        form = sound.format
        count, most = 0, limits.frames(form)
        for block in sound.blocks():
            count += len(block.frames)
            if count > most:
                raise TooMuchAudio(
                    f"it holds more than {most} frames ({form}), which is all that is taken at once; "
                    "send it in parts"
                )
        if not count:
            raise InvalidAudio("it holds no sound")
        began_at = sound.began_at
        return {
            "sample_rate": form.sample_rate,
            "channels": form.channels,
            "sample_format": form.sample_format,
            "frame_count": count,
            "container": container,
            "subtype": sound.description["subtype"],
            "began_at": None if began_at is None else began_at.isoformat(),
        }


def _kinds(start: bytes) -> frozenset[str]:
    """Return what a file may be that begins so, as libsndfile calls it; others never meet a parser."""
    mpeg = start[:1] == b"\xff" and start[1:2] >= _MPEG_SYNC
    if start[:4] in {b"RIFF", b"RIFX", b"RF64"} and start[8:12] == b"WAVE":
        return frozenset({"WAV", "WAVEX", "RF64"})
    if start[:4] == b"FORM" and start[8:12] in {b"AIFF", b"AIFC"}:
        return frozenset({"AIFF"})
    if start[:4] in {b"fLaC", b"OggS"}:
        return frozenset({"FLAC"} if start[:4] == b"fLaC" else {"OGG"})
    return frozenset({"MP3"} if mpeg or start[:3] == b"ID3" else ())


def _opened(file: int) -> FileInput:
    return FileInput(Path(NAME), opened=os.fdopen(file, "rb", buffering=0, closefd=False))


def _what(error: AudioError) -> str:
    """Return what is wrong with a file; what to do next is of use only to who has it in a folder here."""
    return str(error).partition("; ")[0][: ANSWER_BYTES // 8]


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(view) or 0 :]


if __name__ == "__main__":
    main(*sys.argv[1:])
