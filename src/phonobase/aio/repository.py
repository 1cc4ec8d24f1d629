"""Recordings inside a transaction that belongs to somebody else's AsyncSession."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from phonobase.aio.delegate import Delegate, awaited, opened, streamed
from phonobase.store.repository import RecordingRepository

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

_P = ParamSpec("_P")
_R = TypeVar("_R")


class AsyncRecordingRepository(Delegate[RecordingRepository]):
    """The archive through an AsyncSession; what a method takes, returns and means, RecordingRepository says.

    The session's transaction is the caller's: nothing here commits, rolls back or closes. Statements run in
    the task that awaits; a thread encodes, decodes and hashes, so that the event loop goes on meanwhile.

    Args:
        session: A session on a database that has phonobase's tables.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._repository = RecordingRepository(session.sync_session, _in_a_thread)

    add = awaited(RecordingRepository.add)
    edit = awaited(RecordingRepository.edit)
    add_gap = awaited(RecordingRepository.add_gap)
    close_as_stored = awaited(RecordingRepository.close_as_stored)
    delete = awaited(RecordingRepository.delete)
    annotate = awaited(RecordingRepository.annotate)
    delete_annotation = awaited(RecordingRepository.delete_annotation)

    get = awaited(RecordingRepository.get)
    resolve = awaited(RecordingRepository.resolve)
    find = awaited(RecordingRepository.find)
    sources = awaited(RecordingRepository.sources)
    annotations = awaited(RecordingRepository.annotations)
    read = awaited(RecordingRepository.read)
    frames = streamed(RecordingRepository.frames)
    envelope = streamed(RecordingRepository.envelope)
    open = opened(RecordingRepository.open)
    verify = awaited(RecordingRepository.verify)

    @property
    def _target(self) -> RecordingRepository:
        return self._repository

    async def _run(self, work: Callable[[], _R]) -> _R:
        return await self._session.run_sync(lambda _session: work())


def _in_a_thread(work: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    from sqlalchemy.util import await_only  # noqa: PLC0415 - SQLAlchemy loads asyncio for it

    return await_only(asyncio.to_thread(work, *args, **kwargs))
