"""Ctrl-C, SIGTERM and a closed terminal."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OUTER_STEP: ContextVar[Callable[[], None] | None] = ContextVar("outer_step", default=None)
"""The function that the outermost block gave: whoever asks to stop asks the whole program, once."""


@contextmanager
def stopping_between_steps() -> Iterator[Callable[[], None]]:
    """Give a function to call after every step; it raises where somebody asked to stop meanwhile.

    Raised within a step, a KeyboardInterrupt would be swallowed by libsndfile where that calls back, or leave
    a file that was just made. Asked again, it is raised at once. A block within another one gives the same
    function.
    """
    if outer := _OUTER_STEP.get():
        yield outer
        return
    asked = False

    def ask(again: bool) -> None:
        nonlocal asked
        asked = True
        if again:
            raise KeyboardInterrupt

    def step() -> None:
        if asked:
            raise KeyboardInterrupt

    with on_signals(ask):
        token = _OUTER_STEP.set(step)
        try:
            yield step
        finally:
            _OUTER_STEP.reset(token)


@contextmanager
def on_signals(heed: Callable[[bool], None]) -> Iterator[None]:
    """Call a function where somebody wants an end; it is told whether it was called before."""
    asked: list[int] = []

    def call(number: int, _frame: object) -> None:
        asked.append(number)
        heed(len(asked) > 1)

    before = {
        number: signal.signal(number, call)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, and shells without job control
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
