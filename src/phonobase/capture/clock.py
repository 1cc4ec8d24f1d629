"""The two clocks: one that people read and set, and one that only goes on."""

from __future__ import annotations

import time
from typing import Protocol

_SINCE_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """What time it is; tests hand in one of their own."""

    def wall_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC. Somebody may set it, forward or back."""

    def elapsed_ns(self) -> int:
        """Return nanoseconds since some moment. Nobody sets it, and it goes on while the machine sleeps."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The clocks of this machine."""

    def wall_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def elapsed_ns(self) -> int:
        """Return nanoseconds since the machine was started; only Linux counts its sleep."""
        if _SINCE_BOOT is None:
            return time.monotonic_ns()
        return time.clock_gettime_ns(_SINCE_BOOT)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
