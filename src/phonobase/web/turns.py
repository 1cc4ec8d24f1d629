"""Work of which only so much is done at a time, wherever it is asked for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.exceptions import HTTPException

_LOOK_EVERY_S = 0.05


class Turns:
    """So many at a time, and whoever comes then waits for a while.

    Args:
        at_once: How many.
        patience_s: How long somebody waits until they are told to come back.
    """

    def __init__(self, at_once: int, patience_s: float) -> None:
        self._free = threading.BoundedSemaphore(at_once)  # event loops share it, too
        self._patience_s = patience_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises:
            HTTPException: 503, with Retry-After: it does not come.
        """
        give_up_s = time.monotonic() + self._patience_s
        while not self._free.acquire(blocking=False):
            if time.monotonic() > give_up_s:
                raise HTTPException(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "others have their turn already; ask again soon",
                    {"Retry-After": str(max(1, round(self._patience_s)))},
                )
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            yield
        finally:
            self._free.release()
