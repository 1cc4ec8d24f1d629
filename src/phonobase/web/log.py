"""The log of access: no byte of an answer leaves before it is written who got it."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonobase.store.archive import Archive
from phonobase.store.events import Event, add_events, new_event
from phonobase.web.admission import SAFE, Admission
from phonobase.web.paths import is_logged, is_public
from phonobase.web.problems import problem
from phonobase.web.visit import Visit

_CLIENT_CLOSED = 499
"""Status of a change whose answer nobody waited for, as nginx has it."""

_log = logging.getLogger(__name__)


class NotLogged(Exception):
    """An answer that was about to begin could not be logged, and was replaced by one that says so."""


class EventLog:
    """Writes events: all that wait at a time in one transaction, so that many cost little more than one.

    Args:
        archive: Whose log it is.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._waiting: list[tuple[Event, Future[None]]] = []
        # One at a time: while it commits, the next ones collect. It starts with the first event.
        self._writer = ThreadPoolExecutor(1, "phonobase-events")

    async def write(self, event: Event) -> None:
        """Write an event; on return it is committed.

        Raises:
            PhonobaseError: It could not be written.
        """
        written: Future[None] = Future()
        with self._lock:
            self._waiting.append((event, written))
        self._writer.submit(self._write_waiting)
        await asyncio.wrap_future(written)

    def _write_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        # Who was cancelled meanwhile got no answer, but may have changed something.
        for _, written in waiting:
            written.set_running_or_notify_cancel()
        try:
            if waiting:
                add_events(self._archive, [event for event, _ in waiting])
        except Exception as error:  # noqa: BLE001 - whatever it is, they who wait are told
            for _, written in waiting:
                if not written.cancelled():
                    written.set_exception(error)
        else:
            for _, written in waiting:
                if not written.cancelled():
                    written.set_result(None)


class AccessLog:
    """Holds the beginning of every answer until its event is committed; where that fails, gives nothing.

    Args:
        app: What answers.
        events: The log.
    """

    def __init__(self, app: ASGIApp, events: EventLog) -> None:
        self._app = app
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not is_logged(scope):
            await self._app(scope, receive, send)
            return
        at = datetime.now(UTC)
        is_written = False

        async def logged(message: Message) -> None:
            nonlocal is_written
            if message["type"] == "http.response.start" and not is_written:
                is_written = True
                try:
                    await self._write(scope, at, message["status"])
                except Exception as error:
                    _log.error("%s", error)
                    await _UNLOGGED(scope, receive, send)
                    raise NotLogged from error
            await send(message)

        try:
            await self._app(scope, receive, logged)
        except NotLogged:
            return
        finally:
            if not is_written and scope["method"] not in SAFE:
                with anyio.CancelScope(shield=True):
                    await self._write(scope, at, _CLIENT_CLOSED)

    async def _write(self, scope: Scope, at: datetime, status: int) -> None:
        state = scope["state"]
        admission: Admission = state["admission"]
        visitor = admission.visitor or admission.claimed
        # Nobody was asked who they are: there is no such route, or no session to end.
        gives_nothing = status >= HTTPStatus.BAD_REQUEST or is_public(scope)
        is_nothing = gives_nothing and visitor is None and admission.reason is None
        if is_nothing or admission.is_told:
            return
        visit: Visit | None = state.get("visit")
        await self._events.write(
            new_event(
                at,
                scope["endpoint"].__name__,
                status,
                who=visitor.name if visitor else None,
                token_id=visitor.token_id if visitor else None,
                address=admission.address or None,
                source=visit.source if visit else None,
                recording_id=visit.recording_id if visit else None,
                detail=admission.reason or (visit.detail if visit else None),
            )
        )


_UNLOGGED = problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "nothing is given while the log of access cannot be written"
)
