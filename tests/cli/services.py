"""Services that run in the program, as their users run them."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.cli.program import PATIENCE_S, Outcome, Program, finished

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

TONES = """
[defaults]
input = "tone"
samplerate = 8000
chunk = "0.5s"
"""


def written(folder: Path, *names: str, top: str = "") -> Path:
    """Writes a service of tones and returns its file."""
    path = folder / "service.toml"
    path.write_text(top + TONES + "".join(f'[[source]]\nname = "{name}"\n' for name in names))
    return path


class Running:
    """A service that runs.

    Attributes:
        process: Its supervisor.
        outcome: How it ended, once it has.
    """

    def __init__(self, phonobase: Program, file: Path, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.outcome: Outcome | None = None
        self._phonobase = phonobase
        self._file = file

    def status(self) -> Any:  # noqa: ANN401 - JSON
        """Returns what `phonobase status` says of it."""
        return self._phonobase("status", "--service", self._file, "--json").json

    def until(self, true: Callable[[Any], object]) -> Any:  # noqa: ANN401 - JSON
        """Waits until something holds of the status, and returns that."""
        ends = time.monotonic() + PATIENCE_S
        while not true(status := self.status()):
            assert time.monotonic() < ends, json.dumps(status, indent=1)
            assert self.process.poll() is None, finished(self.process).err
            time.sleep(0.1)
        return status

    def end(self, number: signal.Signals = signal.SIGTERM) -> Outcome:
        """Ends it."""
        if self.outcome is None:
            self.process.send_signal(number)
            self.outcome = finished(self.process)
        return self.outcome


@contextmanager
def running(phonobase: Program, file: Path, *options: str) -> Iterator[Running]:
    """Runs a service for as long as the block lasts."""
    service = Running(phonobase, file, phonobase.start("run", file, *options))
    try:
        yield service
    finally:
        service.end()


def committed(status: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether every source has stored something."""
    return all(source.get("committed_at") for source in status["sources"])
