"""From the spool to the archive, for as long as anybody records."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from phonobase.capture.clock import SYSTEM_CLOCK, Clock
from phonobase.errors import DatabaseUnavailable, PhonobaseError
from phonobase.recorder.every import every
from phonobase.recorder.feed import Feed
from phonobase.recorder.patience import Patience
from phonobase.recorder.state import ForwarderStatus, StateFolder
from phonobase.store.archive import Archive
from phonobase.store.engine import create_engine, shown
from phonobase.store.pusher import OursUnavailable, Standing
from phonobase.store.recover import recorder_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from phonobase.recorder.spool import Spools

_log = logging.getLogger("phonobase.forward")

FORWARDING, WAITING = "forwarding", "waiting"
_READ, _READ_GAPS, _CLEARED = "read", "read for its gaps", "cleared"
"""What cannot be done with a spool that does not work."""


_POLL_S = 0.2
_FIND_S = 3.0
"""So often it looks for further spools: a recorder that cannot use its own begins one beside it."""

_SAY_S = 1.0
_SLOW_S = 5.0
"""An archive that has not answered for so long is said to be waited for."""

_LEAST_BATCH, _FIRST_BATCH, _LARGEST_BATCH = 64 * 1024, 1024 * 1024, 8 * 1024 * 1024
_SHORT_S, _LONG_S = 0.3, 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a forwarder is, in seconds.

    Attributes:
        grace_s: How long what the archive has stays in the spool: since it came there, or, where that was
            before this forwarder was started, since it was recorded.
        first_wait_s: How long it waits, at first, before it tries again to reach an archive.
        longest_wait_s: How long at most; each wait is twice the one before, less a random part.
        answer_s: How long the archive may take to answer.
        last_attempt_s: How long it goes on when it is asked to stop.
    """

    grace_s: float = 3600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0
    answer_s: float = 30.0
    last_attempt_s: float = 5.0


class Forwarder:
    """Copies what is committed in spools to an archive, and takes out of them what that has.

    Open recordings come first, one batch each, so that they stay fresh while a backlog drains. What the
    archive holds otherwise, what is rotten in a spool, or a spool that does not work, is named and does not
    stop the rest.

    Only one forwarder of a spool is at work; others wait for its end.

    Args:
        spools: What is forwarded; it is asked every few seconds whether there are more. Whoever made it
            closes it.
        to_url: Where to.
        state: Where it says how it is doing.
        pace: How patient it is.
        clock: The time.

    Raises:
        DatabaseUnavailable: The URL is not one, or names a database that phonobase does not speak to.
    """

    def __init__(
        self,
        spools: Spools,
        to_url: str,
        state: StateFolder,
        pace: Pace | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._pace = pace or Pace()
        self._clock = clock
        self._state = state
        self._spools = spools
        self._feeds: list[Feed] = []
        self._find_at_s = 0.0
        self._troubles: dict[tuple[Feed, str], str] = {}
        self._engine = create_engine(to_url)
        self._patience = Patience(self._engine, self._pace.answer_s)
        self._archive: Archive | None = None
        self._batch_bytes = _FIRST_BATCH
        self._stop = threading.Event()
        self._end_s = float("inf")
        facts, now_us = recorder_facts(), clock.wall_us()
        self._status = ForwarderStatus(
            pid=os.getpid(),
            process=None if facts["process"] is None else str(facts["process"]),
            to=shown(self._engine),
            state=WAITING,
            detail="it has just started",
            state_since_us=now_us,
            updated_us=now_us,
            forwarded_us=None,
            backlog_us=0,
            backlog_bytes=0,
        )

    def stop(self) -> None:
        """Ask it to end, after a last attempt to bring everything there; any thread may ask."""
        if not self._stop.is_set():
            self._end_s = time.monotonic() + self._pace.last_attempt_s
            self._patience.end_by(self._end_s)
            self._stop.set()

    def run(self) -> None:
        """Forward until asked to stop."""
        with self._only_one() as alone:
            if alone:
                with every(_SAY_S, self._say, "phonobase-forwarder-status"):
                    self._forward()

    def _forward(self) -> None:
        wait_s, shed_at_s = self._pace.first_wait_s, 0.0
        try:
            while True:
                asked = self._stop.is_set()
                try:
                    busy = self._pass(last=asked)
                    if not asked and time.monotonic() >= shed_at_s:
                        self._shed()
                        shed_at_s = time.monotonic() + _SAY_S
                    self._note(FORWARDING, "")
                except PhonobaseError as error:
                    self._disconnect(error)
                    busy, pause_s = False, wait_s * random.uniform(0.5, 1)  # noqa: S311 - no secret
                    wait_s = min(2 * wait_s, self._pace.longest_wait_s)
                else:
                    wait_s, pause_s = self._pace.first_wait_s, 0.0 if busy else _POLL_S
                if asked and (not busy or time.monotonic() >= self._end_s):
                    return
                self._stop.wait(pause_s)
        finally:
            self._patience.close()
            for feed in self._feeds:
                feed.close()
            self._engine.dispose()

    def _pass(self, *, last: bool) -> bool:
        """Look what is new and send some of it; whether anything was sent."""
        self._find(anew=last)
        feeds = [feed for feed in self._feeds if self._looks(feed, fully=last)]
        if not feeds:
            raise DatabaseUnavailable("; ".join(self._unread()) or "there is no spool")
        with self._patience.limited():
            self._connect(feeds)
        return self._turn(feeds)

    def _find(self, *, anew: bool) -> None:
        """Look for spools that were not there before, or could not be opened or read."""
        if anew or time.monotonic() >= self._find_at_s:
            for feed in [feed for feed, what in self._troubles if what == _READ]:
                if self._spools.let_go(feed.spool):  # somebody has taken it away
                    feed.close()
                    self._feeds.remove(feed)
                    self._troubles = {key: why for key, why in self._troubles.items() if key[0] is not feed}
            self._feeds += map(Feed, self._spools.look())
            self._find_at_s = time.monotonic() + _FIND_S

    def _looks(self, feed: Feed, *, fully: bool) -> bool:
        with self._apart(feed, _READ):
            feed.look(fully=fully)
            return True
        return False

    @contextlib.contextmanager
    def _apart(self, feed: Feed, what: str) -> Iterator[None]:
        """Go on behind the block where it is a spool that does not work: others do."""
        key = feed, what
        try:
            yield
        except OursUnavailable as error:
            if self._troubles.get(key) != str(error):
                _log.warning("a spool cannot be %s: %s", what, error)
            self._troubles[key] = str(error)
        else:
            self._troubles.pop(key, None)

    def _unread(self) -> list[str]:
        """Return why some of what is in the spools is not forwarded or stays there, a line each."""
        return [*self._spools.unreadable, *dict.fromkeys(self._troubles.values())]

    def _connect(self, feeds: list[Feed]) -> None:
        archive = self._archive or Archive(self._engine)
        for feed in feeds:
            if not feed.is_connected:
                feed.connect(archive)
        if self._archive is None:
            self._archive = archive
            _log.info("forwarding to %s", shown(self._engine))

    def _disconnect(self, error: PhonobaseError) -> None:
        self._archive = None
        for feed in self._feeds:
            feed.disconnect()
        self._engine.dispose()  # whatever connection is left may be as broken
        if self._status.detail != str(error):
            _log.warning("waiting to forward: %s", error)
        self._note(WAITING, str(error))

    def _turn(self, feeds: list[Feed]) -> bool:
        """Send a batch of every open recording, the gaps, and one batch of the backlog; whether any was."""
        sent = False
        for feed in feeds:
            for recording_id in feed.live():
                sent |= self._send(feed, recording_id)
            if gaps := feed.gaps_waiting():
                with self._apart(feed, _READ_GAPS), self._patience.limited():
                    feed.send_gaps(gaps)
                    sent = True
            for recording_id in feed.backlogged()[:1]:
                sent |= self._send(feed, recording_id)
        return sent

    def _send(self, feed: Feed, recording_id: UUID) -> bool:
        began_s = time.monotonic()
        step = None
        try:
            with self._patience.limited():
                step = feed.send(recording_id, self._batch_bytes)
        except OursUnavailable as error:
            feed.put_off(recording_id, error)
        if step is None:
            return False
        if step.bytes:
            self._status = replace(self._status, forwarded_us=self._clock.wall_us())
        took_s = time.monotonic() - began_s
        if took_s > _LONG_S:
            self._batch_bytes = max(_LEAST_BATCH, self._batch_bytes // 2)
        elif took_s < _SHORT_S and step.standing is Standing.MORE:
            self._batch_bytes = min(_LARGEST_BATCH, self._batch_bytes * 2)
        return True

    def _shed(self) -> None:
        for feed in [feed for feed in self._feeds if feed.is_connected]:
            while self._shed_some(feed):
                self._pass(last=False)  # sound that is new does not wait for what is old

    def _shed_some(self, feed: Feed) -> bool:
        with self._apart(feed, _CLEARED), self._patience.limited():
            return feed.shed(self._pace.grace_s)
        return False

    def _note(self, state: str, detail: str) -> None:
        before, now_us = self._status, self._clock.wall_us()
        backlog = [feed.backlog for feed in self._feeds]
        self._status = replace(
            before,
            state=state,
            detail=detail,
            state_since_us=before.state_since_us if before.state == state else now_us,
            updated_us=now_us,
            backlog_us=sum(us for us, _ in backlog),
            backlog_bytes=sum(size for _, size in backlog),
            conflicts=[*self._unread(), *(line for feed in self._feeds for line in feed.conflicts)],
        )

    def _say(self) -> None:
        """Say how it is doing, also while the archive keeps everything waiting."""
        status = replace(self._status, updated_us=self._clock.wall_us())
        waiting_s = self._patience.waiting_s
        if waiting_s > _SLOW_S:
            detail = f"it has not answered for {waiting_s:.0f} s"
            status = replace(status, state=WAITING, detail=detail)
        with contextlib.suppress(OSError):  # a full disk does not end forwarding
            self._state.say_forwarder(status)

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[bool]:
        """Wait until no other forwarder of the spool is at work; False, where asked to stop before."""
        self._state.path.mkdir(parents=True, exist_ok=True)
        with (self._state.path / "forwarder.lock").open("a", encoding="utf-8") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._stop.wait(_POLL_S):
                        yield False
                        return
                else:
                    yield True
                    return
