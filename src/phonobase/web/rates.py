"""How often, and how much at once: so that one visitor leaves something to the others."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import time
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException

from phonobase.web.site import Limits

_IPV6_BITS_OF_ONE = 64
"""Whoever has an address of IPv6 has all that begin with these bits."""


class TooMuch(HTTPException):
    """Somebody asks for more than their share.

    Attributes:
        said: Whether that was said of them within a minute already, so that the log need not say it again.
    """

    def __init__(self, detail: str, retry_after_s: int, *, said: bool) -> None:
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(retry_after_s)})
        self.said = said


class Rates:
    """Counts what everyone asks for, in this process.

    Args:
        limits: How much they may.
    """

    def __init__(self, limits: Limits) -> None:
        # Not the window of each request: that would keep every address for good.
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(limits.requests_per_minute)
        self._heavy = RateLimitItemPerMinute(limits.heavy_requests_per_minute)
        self._refused = RateLimitItemPerMinute(limits.refused_per_minute)
        self._said = RateLimitItemPerMinute(1)
        self._at_once = limits.requests_at_once
        self._open: Counter[str] = Counter()

    def count(self, who: str, *, heavy: bool) -> None:
        """Count a request of somebody.

        Raises:
            TooMuch: They made too many within a minute.
        """
        self._hit(self._requests, "requests", who)
        if heavy:
            self._hit(self._heavy, "heavy", who)

    def count_refused(self, address: str) -> None:
        """Count a request of whom nobody knows.

        Raises:
            TooMuch: Too many came from there within a minute.
        """
        self._hit(self._refused, "refused", network(address))

    @contextlib.contextmanager
    def open(self, who: str) -> Iterator[None]:
        """Count a request of somebody for as long as it is answered.

        Raises:
            TooMuch: Too many of theirs are being answered.
        """
        if self._open[who] >= self._at_once:
            raise self._too_much("at-once", who, f"{self._at_once} requests are being answered already", 1)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    def _hit(self, item: RateLimitItem, what: str, who: str) -> None:
        if not self._window.hit(item, what, who):
            ends_at, _ = self._window.get_window_stats(item, what, who)
            seconds = max(1, math.ceil(ends_at - time.time()))
            raise self._too_much(what, who, f"more than {item.amount} requests within a minute", seconds)

    def _too_much(self, what: str, who: str, detail: str, seconds: int) -> TooMuch:
        said = not self._window.hit(self._said, "said", what, who)
        return TooMuch(f"{detail}; wait as long as Retry-After says", seconds, said=said)


def network(address: str) -> str:
    """Return what stands for whoever has an address."""
    with contextlib.suppress(ValueError):
        if isinstance(parsed := ipaddress.ip_address(address), ipaddress.IPv6Address):
            if parsed.ipv4_mapped is not None:
                return str(parsed.ipv4_mapped)
            return str(ipaddress.ip_network((parsed, _IPV6_BITS_OF_ONE), strict=False))
    return address
