"""The heartbeat of a service: ready when its recorders speak, alive only while frames arrive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from phonobase.service.health import examine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phonobase.capture.clock import Clock
    from phonobase.recorder.state import StateFolder
    from phonobase.service.health import Health
    from phonobase.service.notify import Notifier

READY_AFTER_S = 10.0
"""A source that says nothing for so long does not keep the service from being ready."""


class Heartbeat:
    """Tells systemd how the recorders of some sources are doing.

    ``WATCHDOG=1`` is sent only when frames arrived since the last time, at any of the sources, or when all
    of them are paused: then none are wanted. Frames arrive also while the disk is full or the database is
    down, so these do not let systemd restart what would gain nothing by it. One source of many without
    frames does not either, because the restart would cost the others their sound; the supervisor restarts
    that one alone. When nothing at all is heard there is nothing to lose.

    Args:
        state: Where the recorders say how they are doing.
        sources: Theirs.
        clock: The time.
        notifier: Who is told.
        forwarding: Whether there must be a forwarder.
        monotonic: Seconds that nobody sets.
    """

    def __init__(
        self,
        state: StateFolder,
        sources: Sequence[str],
        clock: Clock,
        notifier: Notifier,
        *,
        forwarding: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._sources = sources
        self._clock = clock
        self._notifier = notifier
        self._forwarding = forwarding
        self._monotonic = monotonic
        self._began_us = clock.wall_us()
        self._began = monotonic()
        self._ready = False
        self._heard: dict[str, tuple[int, int]] = {}
        self._frames_came(examine(state, self._began_us, expected=sources))

    def beat(self) -> Health:
        """Look once, tell what there is to tell, and return what was seen."""
        health = examine(
            self._state, self._clock.wall_us(), expected=self._sources, forwarding=self._forwarding
        )
        if not self._ready and self._everybody_spoke(health):
            self._ready = True
            self._notifier.say(READY=1)
        if self._frames_came(health):
            self._notifier.say(WATCHDOG=1)
        self._notifier.say(STATUS=summary(health))
        return health

    def _everybody_spoke(self, health: Health) -> bool:
        spoken = all(
            source.status and source.status.started_us >= self._began_us for source in health.sources
        )
        return spoken or self._monotonic() - self._began >= READY_AFTER_S

    def _frames_came(self, health: Health) -> bool:
        came = False
        for source in health.sources:
            status = source.status
            if status is None:
                continue
            # A recorder that was started again counts from 0, so its start tells which count it is.
            now, before = (status.started_us, status.frames_heard), self._heard.get(source.source)
            self._heard[source.source] = now
            came = came or (now != before and status.frames_heard > 0)
        return came or all(source.state == "paused" for source in health.sources)


def summary(health: Health) -> str:
    """Return in a line how everything is doing."""
    hearing = sum(source.alive and not source.problems for source in health.sources)
    parts = [f"{hearing} of {len(health.sources)} sources are well"]
    parts += [f"{source.source}: {problem}" for source in health.sources for problem in source.problems]
    if health.forwarder is not None:
        parts += health.forwarder.problems
        if health.forwarder.status is not None:
            parts.append(f"{health.forwarder.status.backlog_us / 1e6:.0f} s to forward")
    return "; ".join([*parts, *health.problems])
