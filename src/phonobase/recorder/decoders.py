"""Files that nobody vouches for, decoded elsewhere: this process runs no parser on them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from phonobase.errors import AudioError, InvalidAudio, RecorderError, TooMuchAudio, UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat, from_bytes
from phonobase.recorder import decoding
from phonobase.recorder.decoding import ANSWER_BYTES, DecodeLimits

if TYPE_CHECKING:
    import struct
    from collections.abc import Iterator, Mapping

    from phonobase.pcm import Frames

_BLOCK_BYTES = 1024 * 1024
_PIPE_BYTES = 64 * 1024
_PROGRAM_PATIENCE_S = 30.0
_REFUSALS: Mapping[str, type[AudioError]] = {
    "too much": TooMuchAudio,
    "unsupported": UnsupportedFormat,
    "invalid": InvalidAudio,
}

_log = logging.getLogger("phonobase.decoders")


class Decoders:
    """Decodes files, each in a process of its own that has limits and dies with it.

    The program that these come from is started with the first file, and again where it has died. It ends with
    this process, however that ends, and takes what it started with it. Several threads may use this at once.

    Args:
        limits: What a file may take.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._lock = threading.Lock()
        self._program: _Program | None = None

    @contextlib.contextmanager
    def decode(self, file: int) -> Iterator[Sound]:
        """Give the sound of a file that was found to be whole; it is handed over block by block.

        Args:
            file: Its descriptor, open for reading; its position moves.

        Raises:
            UnsupportedFormat: It is of no kind that is taken, or its format is outside the limits.
            InvalidAudio: It does not hold the sound it promises, or takes too much to decode.
            TooMuchAudio: It holds more than is taken at once.
            RecorderError: No process can be had for it.
        """
        source, answer = os.pipe()
        with os.fdopen(source, "rb", buffering=0):
            try:
                program, pid = self._begun(file, answer)
            finally:
                os.close(answer)
            try:
                yield Sound(_Pipe(source, self._limits.patience_seconds), self._limits)
            finally:
                try:
                    program.end(pid)
                except (OSError, EOFError):  # it has died, or its reply may still come
                    self._forget(program)

    def close(self) -> None:
        """End the program; another one is started where it is needed again."""
        with self._lock:
            if self._program is not None:
                self._program.close()
            self._program = None

    def _begun(self, file: int, answer: int) -> tuple[_Program, int]:
        for _ in range(2):  # the program may have died since the last file
            with self._lock:
                program = self._program = self._program or _Program(self._limits)
            with contextlib.suppress(OSError, EOFError):
                return program, program.begin(file, answer)
            self._forget(program)
        raise RecorderError("no process can be had that decodes; try again")

    def _forget(self, program: _Program) -> None:
        with self._lock:
            if self._program is program:
                self._program = None
        program.kill()


class Sound:
    """What a file holds, as the process says that decoded it: to be believed only within the limits.

    Attributes:
        format: Of its frames.
        frame_count: How many there are.
        container: What kind of file it is.
        subtype: How its samples are encoded.
        began_at: When the file says that its sound began; without a zone, where it names none.
    """

    def __init__(self, pipe: _Pipe, limits: DecodeLimits) -> None:
        self._pipe = pipe
        facts = _facts(pipe.line())
        refusal = facts.get("refused")
        if refusal is not None:
            raise _REFUSALS.get(str(refusal), InvalidAudio)(str(facts.get("why")))
        try:
            self.format = AudioFormat(
                int(facts["sample_rate"]), int(facts["channels"]), SampleFormat(facts["sample_format"])
            )
            self.frame_count = int(facts["frame_count"])
            self.container, self.subtype = str(facts["container"]), str(facts["subtype"])
            began_at = facts["began_at"]
            self.began_at = None if began_at is None else datetime.fromisoformat(began_at)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _died() from error
        if not 0 < self.frame_count <= limits.frames(self.format):
            raise _died()

    def blocks(self) -> Iterator[Frames]:
        """Yield its frames, once.

        Raises:
            InvalidAudio: They end too early, or come too slowly.
        """
        step = max(1, _BLOCK_BYTES // self.format.frame_bytes)
        for first in range(0, self.frame_count, step):
            count = min(step, self.frame_count - first)
            yield from_bytes(self._pipe.exactly(count * self.format.frame_bytes), self.format)


class _Program:
    """The program that makes a process for every file, running."""

    def __init__(self, limits: DecodeLimits) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of this package
                [sys.executable, "-P", decoding.__file__, *map(str, astuple(limits))],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # Nothing that this process keeps there is for one that decodes.
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us
            )
        self._number = 0
        self.close = weakref.finalize(self, _close, self._orders, self._process)

    def begin(self, file: int, answer: int) -> int:
        """Start a process for a file and return its number.

        Raises:
            OSError: The program has died, or cannot start one.
            EOFError: It has died.
        """
        with self._lock:
            self._orders.settimeout(_PROGRAM_PATIENCE_S)
            number = self._next_number()
            socket.send_fds(self._orders, [decoding.DECODE + number], [file, answer])
            (pid,) = self._reply(decoding.BEGUN)
        if pid == decoding.NO_PID:
            raise OSError("no process can be started")
        return int(pid)

    def end(self, pid: int) -> None:
        """End a process, wherever it is.

        Raises:
            OSError: The program has died, or does not reply.
            EOFError: It has died.
        """
        with self._lock:
            self._orders.settimeout(_PROGRAM_PATIENCE_S)
            self._orders.sendall(decoding.END + self._next_number() + decoding.PID.pack(pid))
            status, peak_kib = self._reply(decoding.ENDED)
        crashed = os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL
        level = logging.WARNING if crashed else logging.DEBUG
        facts = {"child_pid": pid, "status": status, "peak_kib": peak_kib}
        _log.log(level, "a process that decoded a file has ended", extra=facts)

    def kill(self) -> None:
        """End it and all that it started, whatever it does; it is of no use any more."""
        if self.close.alive:  # so that its number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self.close()

    def _next_number(self) -> bytes:
        self._number += 1
        return decoding.NUMBER.pack(self._number % 2**32)

    def _reply(self, form: struct.Struct) -> tuple[int, ...]:
        """Return what is said to the last order."""
        reply = self._orders.recv(form.size, socket.MSG_WAITALL)
        if len(reply) < form.size:
            raise EOFError
        number, *said = form.unpack(reply)
        if number != self._number % 2**32:
            raise OSError("a reply belongs to another order")
        return tuple(said)


def _close(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.close()  # which ends it, and what it started
    try:
        process.wait(_PROGRAM_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(slots=True)
class _Pipe:
    """What a process says, which may be waited for so long, all together."""

    descriptor: int
    patience_s: float

    def line(self) -> bytes:
        """Return the first line."""
        line = b""
        while not line.endswith(b"\n"):
            if len(line) == ANSWER_BYTES:
                raise _died()
            line += self.exactly(1)
        return line

    def exactly(self, count: int) -> bytearray:
        """Return the next so many bytes."""
        data = bytearray(count)
        view = memoryview(data)
        waiting = select.poll()
        waiting.register(self.descriptor, select.POLLIN)
        while view:
            begun = time.monotonic()
            ready = waiting.poll(max(0.0, self.patience_s) * 1000)
            self.patience_s -= time.monotonic() - begun
            done = os.readv(self.descriptor, [view[:_PIPE_BYTES]]) if ready else 0
            if not done:
                raise _died()
            view = view[done:]
        return data


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError as error:
        raise _died() from error
    if not isinstance(facts, dict):
        raise _died()
    return facts


def _died() -> InvalidAudio:
    return InvalidAudio("it cannot be decoded, or not within the memory and the time there is for it")
