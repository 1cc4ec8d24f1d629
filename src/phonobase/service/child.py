"""A process that is kept running: started, watched, started again when it ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUPERVISED = "PHONOBASE_SUPERVISED"
"""Set for a process whose standard input ends when its supervisor dies."""

_USAGE = 2
_log = logging.getLogger("phonobase.supervisor")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before something is started again, in seconds.

    Attributes:
        first_s: After the first failure; twice as long after each that follows.
        longest_s: At most.
        healthy_s: Whoever ran for so long had no failure.
    """

    first_s: float = 0.1
    longest_s: float = 30.0
    healthy_s: float = 60.0


class Child:
    """A process that is kept running.

    Its standard input is a pipe to which nothing is ever written: its end tells that we died.

    Args:
        name: What it does, for people.
        command: The program and its arguments.
        environment: Variables to add to ours.
        ends: Whether it may end by itself with 0, because its input does; otherwise it is started again.
        backoff: How long to wait before it is.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        ends: bool = False,
        backoff: Backoff = Backoff(),
    ) -> None:
        self.name = name
        self.finished = False
        """Whether its input has ended."""
        self.restarts = 0
        self.started_at = 0.0
        """On the monotonic clock, in seconds."""
        self._command = command
        self._environment = environment
        self._ends = ends
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._due_at = 0.0
        self._wait_s = 0.0
        self._told_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process; None where it does not run."""
        return None if self._process is None else self._process.pid

    def tend(self) -> None:
        """Start what is due, and see what ended."""
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        if self._process is None and not self.finished and time.monotonic() >= self._due_at:
            self._start()

    def ask(self) -> bool:
        """Tell the process to end cleanly, once; return whether that was now."""
        if self._process is None or self._told_at is not None:
            return False
        self._told_at = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return True

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def over(self, patience_s: float) -> bool:
        """Whether the process, which was asked to end, has; it is killed where that takes too long."""
        if self._process is None:
            return True
        if self._process.poll() is None:
            if self._told_at is not None and time.monotonic() - self._told_at > patience_s:
                _log.error(
                    "%s does not end, so it is killed", self.name, extra={"child_pid": self._process.pid}
                )
                self._process.kill()
            return False
        self._ended(self._process)
        return True

    def _start(self) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                stdin=subprocess.PIPE,
                env=os.environ | dict(self._environment) | {SUPERVISED: str(os.getpid())},
                start_new_session=True,  # Ctrl-C is for us, who then ask it once
            )
        except OSError as error:  # as of a machine without memory for one more
            _log.error("%s cannot be started: %s", self.name, error)
            self._back_off(self._backoff.first_s)
            return
        self._process, self._told_at = process, None
        self.started_at = time.monotonic()
        _log.info("%s was started", self.name, extra={"child_pid": process.pid})

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        code, ran_s = process.returncode, time.monotonic() - self.started_at
        self._process = None
        if process.stdin is not None:
            process.stdin.close()
        facts = {"child_pid": process.pid, "code": code}
        if self._told_at is not None and code == 0:
            _log.info("%s ended as it was told", self.name, extra=facts)
        elif self._ends and code == 0:
            self.finished = True
            _log.info("%s has come to its end", self.name, extra=facts)
            return
        else:
            _log.warning("%s ended", self.name, extra=facts)
        if ran_s >= self._backoff.healthy_s:
            self._wait_s = 0.0
        # What is called in a wrong way stays so until a person does something.
        self._back_off(self._backoff.longest_s if code == _USAGE else self._backoff.first_s)
        self.restarts += 1

    def _back_off(self, first_s: float) -> None:
        self._wait_s = min(max(2 * self._wait_s, first_s), self._backoff.longest_s)
        self._due_at = time.monotonic() + self._wait_s
