"""Recorders whose process lives, and which do nothing any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from phonobase.service.health import HEARING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phonobase.recorder.state import SourceStatus, StateFolder
    from phonobase.service.child import Child


class StuckRecorders:
    """Finds out by two signs: a recorder says nothing any more, or says that it hears and counts no frames.

    One that says what keeps it from hearing, as a lost device, is not stuck: it tries again by itself. Times
    are measured here, so that setting the clock makes nobody look stuck.

    Args:
        state: Where recorders say how they are doing.
        stuck_s: For how long they may show no such sign.
        starting_s: For how long they may say nothing at first.
    """

    def __init__(self, state: StateFolder, stuck_s: float, starting_s: float) -> None:
        self._state = state
        self._stuck_s = stuck_s
        self._starting_s = starting_s
        self._signs: dict[tuple[str, str], tuple[object, float]] = {}

    def trouble(self, child: Child, sources: Sequence[str]) -> str | None:
        """Return what is wrong with the recorder of some sources; None where nothing is."""
        if child.pid is None:
            return None
        found = (self._of_source(child, self._state.said(source), source) for source in sources)
        return next((trouble for trouble in found if trouble), None)

    def _of_source(self, child: Child, status: SourceStatus | None, source: str) -> str | None:
        if status is None or status.pid != child.pid:
            waited_s = time.monotonic() - child.started_at
            return f"{source}: said nothing since it was started" if waited_s > self._starting_s else None
        if self._unchanged_s(source, "said", (status.pid, status.updated_us)) > self._stuck_s:
            return f"{source}: says nothing any more"
        counted = (status.pid, status.state, status.frames_heard)
        if self._unchanged_s(source, "heard", counted) > self._stuck_s and status.state in HEARING:
            return f"{source}: hears no frames, and does not say why"
        return None

    def _unchanged_s(self, source: str, sign: str, value: object) -> float:
        """Return for how long a sign has been the same."""
        now = time.monotonic()
        before, since = self._signs.get((source, sign), (None, now))
        if before != value:
            since = now
        self._signs[source, sign] = (value, since)
        return now - since
