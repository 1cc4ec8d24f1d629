"""Ctrl-C and SIGTERM while something is done step by step."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def stopping_between_steps() -> Iterator[Callable[[], None]]:
    """Give a function to call after every step; it raises where somebody asked to stop meanwhile.

    Raised within a step, a KeyboardInterrupt would be swallowed by libsndfile where that calls back. Asked
    again, it is raised at once.
    """
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def step() -> None:
        if asked:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield step
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
