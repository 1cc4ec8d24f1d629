"""Something that is done again and again beside everything else."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def every(seconds: float, action: Callable[[], object], name: str) -> Iterator[None]:
    """Call a function so often in a thread of its own while the block lasts, and once at its end.

    Args:
        seconds: Between two calls.
        action: It must not raise.
        name: Of the thread, for whoever looks at a hung process.
    """
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(seconds):
            action()
        action()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
