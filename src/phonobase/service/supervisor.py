"""The recorders of a service, each in a process of its own, kept running."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.errors import RecorderError
from phonobase.service.child import Backoff, Child
from phonobase.service.heartbeat import Heartbeat
from phonobase.service.metrics import RecorderMetrics
from phonobase.service.notify import Notifier
from phonobase.service.stuck import StuckRecorders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from phonobase.capture.clock import Clock
    from phonobase.recorder.state import StateFolder
    from phonobase.service.config import Service
    from phonobase.service.sources import ServiceInput

FORWARDER = "forwarder"
"""The name of the process that forwards, beside those named after inputs."""

_log = logging.getLogger("phonobase.supervisor")

_LOOK_S = 0.05
_BEAT_S = 1.0
_METRICS_FILE_S = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits, in seconds.

    Attributes:
        ending_s: For a process that was told to end, before it is killed.
        stuck_s: For a sign of life of a recorder, before it is told to end and started again.
        starting_s: For its first one.
        backoff: Before something that ended is started again.
    """

    ending_s: float = 30.0
    stuck_s: float = 60.0
    starting_s: float = 120.0
    backoff: Backoff = field(default_factory=Backoff)


class Supervisor:
    """Runs a service until it is stopped, or all its inputs have ended.

    Args:
        service: What to run.
        local: The SQLite file that the recorders write.
        state: Where they say how they are doing.
        forwarding: Whether what they write is to be forwarded.
        program: What runs phonobase.
        log_format: Handed on to every process.
        patience: How long to wait for what.
        notifier: Tells systemd.
        clock: The time.
    """

    def __init__(
        self,
        service: Service,
        local: Path,
        state: StateFolder,
        *,
        forwarding: bool,
        program: Sequence[str] = (sys.executable, "-m", "phonobase"),
        log_format: str = "text",
        patience: Patience = Patience(),
        notifier: Notifier | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._service = service
        self._patience = patience
        self._notifier = notifier or Notifier()
        self._asked = 0
        self._complaint = ""
        # Not as arguments: everybody may see these.
        environment = {
            "PHONOBASE_DB": service.archive,
            "PHONOBASE_PUSH_TO": service.archive,
            "PHONOBASE_LOG_FORMAT": log_format,
        }
        self._recorders = {
            input_.name: self._recorder(input_, program, environment) for input_ in service.inputs
        }
        self._forwarder = self._forwarding(local, program, environment) if forwarding else None
        self._stuck = StuckRecorders(state, patience.stuck_s, patience.starting_s)
        names = service.source_names
        self._heartbeat = Heartbeat(state, names, clock, self._notifier, forwarding=forwarding)
        self._metrics = RecorderMetrics(
            state, clock, expected=names, forwarding=forwarding, restarts=self._restarts
        )

    def stop(self) -> None:
        """Make ``run`` end. May be called from a signal handler; called twice, nothing more is waited for."""
        self._asked += 1

    def run(self) -> None:
        """Keep everything running, and end everything where it is stopped."""
        self._serve_metrics()
        beat_at = written_at = 0.0
        try:
            while not self._asked and not all(child.finished for child in self._recorders.values()):
                for child in self._children():
                    child.tend()
                now = time.monotonic()
                if now >= beat_at:
                    beat_at = now + _BEAT_S
                    self._beat()
                if now >= written_at:
                    written_at = now + _METRICS_FILE_S
                    self._write_metrics()
                time.sleep(_LOOK_S)
        finally:
            self._notifier.say(STOPPING=1)
            # Forwarding ends last, so that it can still send what the recorders closed.
            self._end(list(self._recorders.values()))
            self._end([self._forwarder] if self._forwarder else [])
            self._write_metrics()

    def _children(self) -> list[Child]:
        return [*self._recorders.values(), *([self._forwarder] if self._forwarder else [])]

    def _restarts(self) -> Mapping[str, int]:
        return {child.name: child.restarts for child in self._children()}

    def _recorder(
        self, input_: ServiceInput, program: Sequence[str], environment: Mapping[str, str]
    ) -> Child:
        return Child(
            input_.name,
            [*program, "run", str(self._service.path.absolute()), "--only", input_.name],
            environment=environment,
            ends=input_.ends,
            backoff=self._patience.backoff,
        )

    def _forwarding(self, local: Path, program: Sequence[str], environment: Mapping[str, str]) -> Child:
        grace = f"{self._service.grace_s:.3f}s"
        url = URL.create("sqlite", database=str(local.absolute())).render_as_string()
        return Child(
            FORWARDER,
            [*program, "--db", url, "push", "--follow", "--grace", grace],
            environment=environment,
            backoff=self._patience.backoff,
        )

    def _beat(self) -> None:
        self._heartbeat.beat()
        for input_ in self._service.inputs:
            child = self._recorders[input_.name]
            trouble = self._stuck.trouble(child, [source.name for source in input_.sources])
            if trouble is not None and child.ask():
                _log.error("%s is stuck, so it is started again", child.name, extra={"detail": trouble})
            child.over(self._patience.ending_s)

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.ask()
        while children := [child for child in children if not child.over(self._patience.ending_s)]:
            if self._asked > 1:
                for child in children:
                    child.kill()
            time.sleep(_LOOK_S)

    def _serve_metrics(self) -> None:
        if self._service.metrics_address is not None:
            try:
                self._metrics.serve(*self._service.metrics_address)
            except RecorderError as error:  # sound matters more
                self._complain(error)

    def _write_metrics(self) -> None:
        if self._service.metrics_file is not None:
            try:
                self._metrics.write(self._service.metrics_file)
            except RecorderError as error:
                self._complain(error)

    def _complain(self, error: RecorderError) -> None:
        """Log what is wrong, once: the same is not said every ten seconds for years."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.error("%s", error)
