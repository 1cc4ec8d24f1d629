"""Sound into the archive while it arrives, as over a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

from phonobase.aio.delegate import Delegate, awaited
from phonobase.store.writer import RecordingWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from uuid import UUID

_R = TypeVar("_R")


class AsyncRecordingWriter(Delegate[RecordingWriter]):
    """Writes one recording; what a method takes and means, RecordingWriter says.

    As an asynchronous context manager it closes the recording as that one does: ``complete`` where the block
    ends, ``interrupted`` where it raises or its task is cancelled.

    Args:
        writer: What does the work.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer

    write = awaited(RecordingWriter.write)
    lose = awaited(RecordingWriter.lose)
    close = awaited(RecordingWriter.close)
    abandon = awaited(RecordingWriter.abandon)
    discard = awaited(RecordingWriter.discard)

    @property
    def id(self) -> UUID:
        """The recording's id; it is in the database from the first commit on."""
        return self._writer.id

    @property
    def frames_written(self) -> int:
        """Frames that were written."""
        return self._writer.frames_written

    @property
    def frames_committed(self) -> int:
        """Frames that are safe."""
        return self._writer.frames_committed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Shielded: a task that is cancelled once more here must not keep the recording from being closed.
        await asyncio.shield(asyncio.to_thread(self._writer.__exit__, kind, error, traceback))

    @property
    def _target(self) -> RecordingWriter:
        return self._writer

    async def _run(self, work: Callable[[], _R]) -> _R:
        return await asyncio.to_thread(work)
