"""Room on the disk for files that are sent to somebody, who may read slowly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException

_AGAIN_S = 30


@dataclass(frozen=True, slots=True)
class Most:
    """How much there may be before no more is begun.

    Attributes:
        files: How many files.
        size: Their bytes, all together; the last one may go beyond it.
    """

    files: int
    size: int


@dataclass(slots=True)
class Held:
    """A file that there is, or is to be.

    Attributes:
        who: Whose it is.
        size: Its bytes, as soon as they are known.
    """

    who: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """The files there are.

    Args:
        each: How much somebody may have.
        all: How much all together may.
    """

    each: Most
    all: Most
    _held: list[Held] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, who: str) -> Held:
        """Return a file of somebody's that is to be; whoever takes it gives it back.

        Raises:
            HTTPException: 429 or 503, with Retry-After: there is no room for it.
        """
        with self._lock:
            theirs = [held for held in self._held if held.who == who]
            if _is_full(theirs, self.each):
                raise _later(HTTPStatus.TOO_MANY_REQUESTS, "you have not taken what you asked for before")
            if _is_full(self._held, self.all):
                raise _later(HTTPStatus.SERVICE_UNAVAILABLE, "others have not taken theirs yet")
            held = Held(who)
            self._held.append(held)
            return held

    def give_back(self, held: Held) -> None:
        """Say that a file is gone."""
        with self._lock:
            self._held[:] = [each for each in self._held if each is not held]

    @contextmanager
    def back_if_it_fails(self, held: Held) -> Iterator[None]:
        """Give a file back that cannot be made."""
        try:
            yield
        except BaseException:
            self.give_back(held)
            raise


def _is_full(held: list[Held], most: Most) -> bool:
    return len(held) >= most.files or sum(each.size for each in held) >= most.size


def _later(status: HTTPStatus, why: str) -> HTTPException:
    return HTTPException(status, f"{why}; ask again when it is", {"Retry-After": str(_AGAIN_S)})
