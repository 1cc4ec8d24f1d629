"""Whether recorders do what they are there for, judged by what they say of themselves.

A recorder runs when frames arrive: neither a process that lives nor a status that was written says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonobase.store.recover import lives

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from phonobase.recorder.state import ForwarderStatus, Pause, SourceStatus, StateFolder

SAYS_NOTHING_S = 10
"""A recorder says how it is doing every second; one that did not for so long is stuck."""
FORWARDER_SAYS_NOTHING_S = 60
GONE_S = 60
"""As much silence is taken for death where the process itself cannot be looked at."""
NO_FRAMES_S = 10
STARTING_S = 30
NO_COMMIT_S = 300
ALL_ZEROS_S = 60
ARCHIVE_AWAY_S = 60
"""For so long the archive may be away before that counts as not well; the spool is there for it."""
LITTLE_ROOM_H = 1.0

HEARING = ("recording", "quiet")
"""The states of a recorder in which frames must arrive."""

DOWN, STOPPED, UNKNOWN = "down", "stopped", "unknown"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source is doing.

    Attributes:
        source: Which.
        state: As its recorder says, or ``down`` where that is dead, or ``unknown`` where there was none.
        problems: What is wrong, for people; well, where that is empty.
        status: What its recorder said last; None where there was none.
        pause: What was asked for; None where it was not.
    """

    source: str
    state: str
    problems: tuple[str, ...]
    status: SourceStatus | None
    pause: Pause | None

    @property
    def alive(self) -> bool:
        """Whether a recorder is at it."""
        return self.state not in (DOWN, STOPPED, UNKNOWN)


@dataclass(frozen=True, slots=True)
class ForwarderHealth:
    """How forwarding is doing.

    Attributes:
        state: As it says, or ``down`` where its process is dead, or ``unknown`` where there was none.
        problems: What is wrong, for people; well, where that is empty.
        status: What it said last; None where there was none.
    """

    state: str
    problems: tuple[str, ...]
    status: ForwarderStatus | None


@dataclass(frozen=True, slots=True)
class Health:
    """How everything is doing that shares one SQLite file.

    Attributes:
        sources: By name.
        forwarder: None where nothing is forwarded.
        free_bytes: Room that is left above the floor; None where nobody measured.
        hours_left: Until that is used up, at the pace so far; None where nothing was recorded.
        problems: What is wrong with the disk.
    """

    sources: tuple[SourceHealth, ...]
    forwarder: ForwarderHealth | None
    free_bytes: int | None
    hours_left: float | None
    problems: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether nobody needs to look."""
        parts = [source.problems for source in self.sources]
        forwarder = self.forwarder.problems if self.forwarder else ()
        return not (any(parts) or forwarder or self.problems)


def examine(
    state: StateFolder, now_us: int, *, expected: Sequence[str] = (), forwarding: bool = False
) -> Health:
    """Return how the recorders of a folder are doing.

    Args:
        state: The folder.
        now_us: The time, in microseconds since 1970-01-01 UTC.
        expected: Sources that must be recorded, and the only ones that are looked at; where none are
            named all that were ever recorded here, and those that were stopped on purpose are well.
        forwarding: Whether a forwarder must be there.
    """
    found = map(state.said, expected) if expected else state.sources()
    said = {status.source: status for status in found if status}
    sources = tuple(
        _source(name, said.get(name), state.paused(name), now_us, expected=bool(expected))
        for name in sorted(expected or said)
    )
    alive = [source.status for source in sources if source.alive and source.status]
    forwarder = state.forwarder()
    # All that fill the disk, asked for or not.
    fresh_us = now_us - SAYS_NOTHING_S * 1_000_000
    free_bytes, hours_left = _room([status for status in state.sources() if status.updated_us >= fresh_us])
    problems = []
    if hours_left is not None and hours_left < LITTLE_ROOM_H:
        problems.append(f"the disk has room for {hours_left * 60:.0f} minutes")
    return Health(
        sources=sources,
        forwarder=_forwarder(forwarder, now_us, expected=forwarding or bool(alive))
        if forwarder or forwarding
        else None,
        free_bytes=free_bytes,
        hours_left=hours_left,
        problems=tuple(problems),
    )


def _source(
    name: str, status: SourceStatus | None, pause: Pause | None, now_us: int, *, expected: bool
) -> SourceHealth:
    if status is None:
        return SourceHealth(name, UNKNOWN, ("was never recorded here",), None, pause)
    if status.state == STOPPED:
        stopped = ("is stopped",) if expected else tuple[str]()
        return SourceHealth(name, STOPPED, stopped, status, pause)
    silent_s = _seconds(now_us - status.updated_us)
    alive = lives(status.pid, status.process)
    if alive is False or (alive is None and silent_s > GONE_S):
        problem = f"its recorder, process {status.pid}, is gone; it said something {silent_s:.0f} s ago"
        return SourceHealth(name, DOWN, (problem,), status, pause)
    problems = tuple(_complaints(status, now_us))
    return SourceHealth(name, status.state, problems, status, pause)


def _complaints(status: SourceStatus, now_us: int) -> Iterable[str]:
    silent_s = _seconds(now_us - status.updated_us)
    if silent_s > SAYS_NOTHING_S:
        yield f"its recorder, process {status.pid}, has said nothing for {silent_s:.0f} s"
        return
    in_state_s = _seconds(now_us - status.state_since_us)
    if status.state in HEARING:
        heard_us = status.heard_until_us or status.state_since_us
        if now_us - heard_us > NO_FRAMES_S * 1_000_000:
            yield f"no frames for {_seconds(now_us - heard_us):.0f} s"
        if status.zeros_since_us and now_us - status.zeros_since_us > ALL_ZEROS_S * 1_000_000:
            zeros_s = _seconds(now_us - status.zeros_since_us)
            yield f"only zeros for {zeros_s:.0f} s: is the microphone muted, or not allowed?"
    elif status.state == "starting":
        if in_state_s > STARTING_S:
            yield f"has been starting for {in_state_s:.0f} s"
    elif status.state != "paused":
        yield f"{status.state} for {in_state_s:.0f} s" + (f": {status.detail}" if status.detail else "")
    if status.state == "recording":
        committed_us = max(status.committed_us or 0, status.state_since_us)
        if now_us - committed_us > NO_COMMIT_S * 1_000_000:
            yield f"nothing was committed for {_seconds(now_us - committed_us):.0f} s"


def _forwarder(status: ForwarderStatus | None, now_us: int, *, expected: bool) -> ForwarderHealth:
    if status is None:
        return ForwarderHealth(UNKNOWN, ("nothing is forwarded",), None)
    silent_s = _seconds(now_us - status.updated_us)
    problems = [f"conflict: {line}" for line in status.conflicts]
    alive = lives(status.pid, status.process)
    if alive is False or (alive is None and silent_s > FORWARDER_SAYS_NOTHING_S):
        if expected:
            problems.append(f"the forwarder, process {status.pid}, is gone")
        return ForwarderHealth(DOWN if expected else STOPPED, tuple(problems), status)
    if silent_s > FORWARDER_SAYS_NOTHING_S:
        problems.append(f"the forwarder, process {status.pid}, has said nothing for {silent_s:.0f} s")
    away_s = _seconds(now_us - status.state_since_us)
    if status.state == "waiting" and away_s > ARCHIVE_AWAY_S:
        problems.append(f"the archive has been away for {away_s:.0f} s: {status.detail}")
    return ForwarderHealth(status.state, tuple(problems), status)


def _room(alive: Sequence[SourceStatus]) -> tuple[int | None, float | None]:
    """Return the bytes above the floor and the hours until they are used up, if nothing is cleared away."""
    if not alive:
        return None, None
    latest = max(alive, key=lambda status: status.updated_us)
    free_bytes = max(0, latest.free_bytes - latest.floor_bytes)
    an_hour = sum(_bytes_an_hour(status) for status in alive)
    return free_bytes, free_bytes / an_hour if an_hour else None


def _bytes_an_hour(status: SourceStatus) -> float:
    passed_us = max(1_000_000, status.updated_us - status.started_us)
    return status.committed_bytes * 3_600_000_000 / passed_us


def _seconds(microseconds: int) -> float:
    return max(0.0, microseconds / 1_000_000)
