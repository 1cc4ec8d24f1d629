"""The program as its users run it, and what it left behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from phonobase import Archive, Recording
from phonobase.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = str(Path(sys.executable).with_name("phonobase"))
PATIENCE_S = 60


@dataclass(frozen=True)
class Outcome:
    """How a call ended and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text, without the last line break."""
        return self.out.decode().removesuffix("\n")

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        """Standard output, parsed."""
        return json.loads(self.out)

    def ok(self) -> Outcome:
        """Returns itself; fails the test where the call failed."""
        assert self.code == 0, self.err
        return self

    def refused(self, *words: str) -> str:
        """Returns the one line that says what went wrong; fails the test where it says more, or less."""
        assert self.code in (1, 2), (self.code, self.out, self.err)
        lines = self.err.splitlines()
        if self.code == 2:
            assert lines[0].startswith("Usage: phonobase"), self.err
            lines = [line for line in lines if line.startswith("Error: ")]
        assert "Traceback" not in self.err
        assert "--debug" not in self.err
        assert len(lines) == 1, self.err
        assert self.code == 2 or lines[0].startswith("phonobase: "), self.err
        for word in words:
            assert word in lines[0]
        return lines[0]

    def failed(self, *words: str) -> str:
        """As ``refused``, of a call that had said before what it was doing."""
        said = [line for line in self.err.splitlines() if line.startswith("phonobase: ")]
        assert self.err.splitlines()[-1:] == said, self.err
        return Outcome(self.code, self.out, "\n".join(said)).refused(*words)


class Program:
    """The program on one archive, in a folder of its own."""

    def __init__(self, url: str, folder: Path, **env: str) -> None:
        self.url = url
        self.folder = folder
        self.env = {"PHONOBASE_DB": url, **env}

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        """Runs its entry point within this process, which takes a tenth of the time."""
        words = ["phonobase", *map(str, arguments)]
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        code: object = None
        with (
            _pipe_with(stdin) as given,
            contextlib.chdir(self.folder),
            patch.dict(os.environ, self.env),
            patch.object(sys, "argv", words),
            patch.object(sys, "stdin", given),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code
            out.flush()
            err.flush()
        assert isinstance(code, int)
        return Outcome(code, _bytes(out), _bytes(err).decode())

    def call(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        """Runs the installed program in a process of its own."""
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=os.environ | self.env,
            timeout=PATIENCE_S,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *arguments: object, **settings: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
        """Starts the installed program and does not wait for it."""
        defaults: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "preexec_fn": heed_ctrl_c,
        }
        process: Any = subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | self.env,
            **defaults | settings,
        )
        return cast("subprocess.Popen[bytes]", process)

    def recordings(self) -> list[Recording]:
        """Returns what is in the archive, the oldest first; nothing where there is none."""
        if self.url.startswith("sqlite") and not Path(self.url.removeprefix("sqlite:///")).exists():
            return []
        with Archive(self.url, create=False) as archive:
            return archive.find(limit=None)[::-1]

    def one(self) -> Recording:
        """Returns the only recording there is."""
        (recording,) = self.recordings()
        return recording

    def pcm(self, recording: Recording) -> bytes:
        """Returns the sound of a recording as 16-bit PCM."""
        with Archive(self.url) as archive:
            frames = archive.read(recording.id)
        assert frames.dtype == "int16"
        return frames.astype("<i2").tobytes()


def heed_ctrl_c() -> None:
    """Undoes, in a child, what shells and nohup do to what runs in the background: it ignores signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def finished(process: subprocess.Popen[bytes]) -> Outcome:
    """Waits for a process and returns how it ended."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Outcome(process.returncode, out or b"", (err or b"").decode())


@contextlib.contextmanager
def _pipe_with(data: bytes) -> Iterator[io.TextIOWrapper]:
    """Yields what reads a pipe into which all of the data went, and that has ended."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor has no path
        try:
            os.set_blocking(writing, False)
            assert os.write(writing, data) == len(data), "a pipe does not hold so much"
        finally:
            os.close(writing)
        yield stream


def _bytes(stream: io.TextIOWrapper) -> bytes:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()
