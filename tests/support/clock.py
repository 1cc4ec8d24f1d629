"""Clocks that a test sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SetClock:
    """Stands still until the test lets time pass, or sets the wall clock alone."""

    now_us: int = 1_772_366_400_000_000
    since_start_us: int = 0

    def wall_us(self) -> int:
        """Return what the wall clock shows."""
        return self.now_us

    def elapsed_ns(self) -> int:
        """Return what nobody sets."""
        return self.since_start_us * 1000

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pass_us(round(seconds * 1_000_000))

    def pass_us(self, time_us: int) -> None:
        """Let time pass."""
        self.now_us += time_us
        self.since_start_us += time_us

    def set_us(self, step_us: int) -> None:
        """Set the wall clock forward, or back."""
        self.now_us += step_us
