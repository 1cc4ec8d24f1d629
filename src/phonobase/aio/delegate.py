"""How what waits for a database becomes something to await, without saying anything twice.

A class names the methods of another one; what they take, return and mean stays that one's.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, Generic, ParamSpec, TypeVar, cast

from phonobase.aio.file import AsyncFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R")

_END = object()


class Delegate(ABC, Generic[_T]):
    """Something to await, that lets another one do the work."""

    @property
    @abstractmethod
    def _target(self) -> _T:
        """What does the work."""

    @abstractmethod
    async def _run(self, work: Callable[[], _R]) -> _R:
        """Return what ``work()`` returns, and let the event loop go on meanwhile."""


def awaited(
    method: Callable[Concatenate[_T, _P], _R],
) -> Callable[Concatenate[Delegate[_T], _P], Coroutine[Any, Any, _R]]:
    """Make a method that is awaited of one that returns."""

    @functools.wraps(method)
    async def call(self: Delegate[_T], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await self._run(lambda: method(self._target, *args, **kwargs))

    return call


def streamed(
    method: Callable[Concatenate[_T, _P], Iterator[_R]],
) -> Callable[Concatenate[Delegate[_T], _P], AsyncGenerator[_R, None]]:
    """Make a method for ``async for`` of one for ``for``."""

    @functools.wraps(method)
    async def call(self: Delegate[_T], /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[_R, None]:
        iterator = await self._run(lambda: method(self._target, *args, **kwargs))
        while (item := await self._run(lambda: next(iterator, _END))) is not _END:
            yield cast("_R", item)

    return call


def opened(
    method: Callable[Concatenate[_T, _P], BinaryIO],
) -> Callable[Concatenate[Delegate[_T], _P], Coroutine[Any, Any, AsyncFile]]:
    """Make a method whose file is awaited of one whose file is read."""

    @functools.wraps(method)
    async def call(self: Delegate[_T], /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncFile:
        file = await self._run(lambda: method(self._target, *args, **kwargs))
        return AsyncFile(file, self._run)

    return call
