"""Waiting for what never ends, in a thread that can be left."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

_T = TypeVar("_T")


async def followed(
    begin: Callable[[Callable[[], bool]], Generator[_T, None, None]],
) -> AsyncGenerator[_T, None]:
    """Yield what a generator yields that waits for long.

    It has a thread of its own, because those that all share are few. Whoever leaves does not wait for it: it
    ends when it looks the next time whether it was left.

    Args:
        begin: Makes the generator, given a function that says whether it was left.
    """
    left = threading.Event()
    run = asyncio.get_running_loop().run_in_executor
    thread = ThreadPoolExecutor(1, "phonobase-follow")
    try:
        items = await run(thread, begin, left.is_set)
        try:
            while (item := await run(thread, next, items, None)) is not None:
                yield item
        finally:
            left.set()
            thread.submit(items.close)  # once it does nothing else
    finally:
        thread.shutdown(wait=False)
