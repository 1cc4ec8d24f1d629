"""A thread that fetches, and a bounded queue between it and the one who asks.

Devices and pipes are read in a thread of their own: a read may block for ever, and nobody
who waits for sound may be blocked with it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")

_POLL_S = 0.1


class Stalled(Exception):
    """Nothing was fetched for too long."""


class Pump(Generic[Item]):
    """Fetch items in a daemon thread, hold at most so much of them, and hand them over in order.

    What the thread raises is raised by ``items()`` after everything that was fetched before.

    Args:
        fetch: Runs in the thread, calls ``put`` or ``offer``, and returns soon after ``stopping``
            is true.
        capacity: The most that is held, in the unit of the sizes given with the items.
        name: Of the thread, for whoever looks at a hung process.
    """

    def __init__(self, fetch: Callable[[Pump[Item]], None], *, capacity: int, name: str) -> None:
        self.stopping = False
        self._capacity = capacity
        self._held: deque[tuple[Item, int]] = deque()
        self._held_size = 0
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(fetch,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make both sides end soon. Takes no lock: a signal handler may call it."""
        self.stopping = True

    def offer(self, item: Item, size: int) -> bool:
        """Hold an item where there is room for it; return whether there was."""
        with self._changed:
            if self._held and self._held_size + size > self._capacity:
                return False
            self._held.append((item, size))
            self._held_size += size
            self._changed.notify_all()
            return True

    def put(self, item: Item, size: int) -> bool:
        """Wait for room and hold an item; return False where the pump was stopped meanwhile."""
        while not self.offer(item, size):
            if self.stopping:
                return False
            with self._changed:
                self._changed.wait(_POLL_S)
        return True

    def items(self, *, stall_s: float = math.inf, grace_s: float) -> Iterator[Item]:
        """Yield what is fetched until the thread ends, or all that was fetched when it was stopped.

        Args:
            stall_s: For how long nothing may come.
            grace_s: For how long, once stopped, to wait for a thread that does not end.

        Raises:
            Stalled: Nothing came for that long.
        """
        while (item := self._take(stall_s, grace_s)) is not None:
            yield item[0]
        if self._error is not None:
            raise self._error

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; return whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _take(self, stall_s: float, grace_s: float) -> tuple[Item, int] | None:
        looked, waited_s = time.monotonic(), 0.0
        stopped_since: float | None = None
        while True:
            with self._changed:
                if not self._held and not self._ended:
                    self._changed.wait(_POLL_S)
                if self._held:
                    item = self._held.popleft()
                    self._held_size -= item[1]
                    self._changed.notify_all()
                    return item
                if self._ended:
                    return None
            # Where this took longer, all of the process slept, and the thread that fetches with it.
            now = time.monotonic()
            waited_s += min(now - looked, 2 * _POLL_S)
            looked = now
            if self.stopping:
                stopped_since = stopped_since or now
                if now - stopped_since > grace_s:
                    return None
            elif waited_s > stall_s:
                raise Stalled

    def _run(self, fetch: Callable[[Pump[Item]], None]) -> None:
        error: BaseException | None = None
        try:
            fetch(self)
        except BaseException as caught:  # noqa: BLE001 - whoever asks for items gets it
            error = caught
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()
