"""The archive as a whole, for programs with an event loop."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from phonobase.aio.delegate import Delegate, awaited, opened, streamed
from phonobase.aio.following import followed
from phonobase.aio.writer import AsyncRecordingWriter
from phonobase.errors import StoreError
from phonobase.store.archive import Archive
from phonobase.store.follow import PART_SECONDS, follow
from phonobase.store.position import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sqlalchemy.engine import URL, Engine

    from phonobase.store.follow import Part
    from phonobase.store.writer import RecordingWriter

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _writing(
    method: Callable[Concatenate[Archive, _P], RecordingWriter],
) -> Callable[Concatenate[AsyncArchive, _P], AsyncRecordingWriter]:
    @functools.wraps(method)
    def call(self: AsyncArchive, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncRecordingWriter:
        return AsyncRecordingWriter(method(self._target, *args, **kwargs))

    return call


class AsyncArchive(Delegate[Archive]):
    """Recordings in a database; what a method takes, returns and means, Archive says.

    Every method is a transaction of its own, in a thread; one whose task is cancelled still comes to its
    end there. Use it as an asynchronous context manager::

        async with AsyncArchive("sqlite:///clips.db") as archive:
            recording = await archive.get("last")

    Args:
        bind: A URL or an engine, as Archive takes it; not an AsyncEngine.
        create: Whether to make an SQLite file that is not there.
    """

    def __init__(self, bind: str | URL | Engine, *, create: bool = True) -> None:
        self._bind = bind
        self._create = create
        self._archive: Archive | None = None

    add = awaited(Archive.add)
    writer = _writing(Archive.writer)
    delete = awaited(Archive.delete)
    edit = awaited(Archive.edit)
    add_gap = awaited(Archive.add_gap)
    annotate = awaited(Archive.annotate)
    delete_annotation = awaited(Archive.delete_annotation)
    close_as_stored = awaited(Archive.close_as_stored)
    recover = awaited(Archive.recover)

    get = awaited(Archive.get)
    find = awaited(Archive.find)
    walk = streamed(Archive.walk)
    annotations = awaited(Archive.annotations)
    sources = awaited(Archive.sources)
    accounted_until = awaited(Archive.accounted_until)
    gaps = awaited(Archive.gaps)
    coverage = awaited(Archive.coverage)
    read = awaited(Archive.read)
    frames = streamed(Archive.frames)
    cut = awaited(Archive.cut)
    sound = streamed(Archive.sound)
    position = awaited(Archive.position)
    open = opened(Archive.open)
    verify = awaited(Archive.verify)
    room = awaited(Archive.room)

    def follow(
        self,
        source: str | None = None,
        after: str = NOW,
        *,
        idle_seconds: float | None = None,
        part_seconds: float = PART_SECONDS,
    ) -> AsyncGenerator[Part, None]:
        """Yield every frame that is committed, once, as Archive.follow does, waiting in a thread of its own.

        Its frames come with ``read(part.recording.id, part.first_frame, part.end_frame)``. Close it where it
        is not read to its end, as contextlib.aclosing does.
        """
        return followed(
            lambda is_left: follow(
                self._target,
                source,
                after,
                idle_seconds=idle_seconds,
                part_seconds=part_seconds,
                is_left=is_left,
            )
        )

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            SchemaError: Its tables are missing, older or newer; the message says what to run.
        """
        self._archive = await asyncio.to_thread(Archive, self._bind, create=self._create)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(asyncio.to_thread(self._target.close))

    @property
    def _target(self) -> Archive:
        if self._archive is None:
            raise StoreError("the archive is not open; write: async with AsyncArchive(url) as archive")
        return self._archive

    async def _run(self, work: Callable[[], _R]) -> _R:
        return await asyncio.to_thread(work)
