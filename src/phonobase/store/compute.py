"""Work that keeps a processor busy: where it is done is for whoever asked for it to say.

A program that waits for everything does it where it stands. One with an event loop lets a thread do it, so
that the loop goes on meanwhile; what speaks to the database stays with the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Compute(Protocol):
    """Does work that touches no database, and returns what came of it."""

    def __call__(self, work: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return ``work(*args, **kwargs)``."""
        ...


def here(work: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Do the work where it is asked for."""
    return work(*args, **kwargs)
