"""The log of access: nothing is changed, and no byte of an answer leaves, before it is written for whom."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonobase.store.archive import Archive
from phonobase.store.events import Event, add_events, new_event
from phonobase.web.admission import SAFE, Admission
from phonobase.web.problems import problem
from phonobase.web.routed import is_logged, is_public, operation

if TYPE_CHECKING:
    from phonobase.web.visit import Visit

_BEGUN = HTTPStatus.PROCESSING
"""Status of a change before it is made."""

_CLIENT_CLOSED = 499
"""Status of a change whose answer nobody waited for, as nginx has it."""

_ID = re.compile("-?".join(f"[0-9a-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12)), re.ASCII | re.IGNORECASE)
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
        await asyncio.wrap_future(self._submit(event))

    def write_in_thread(self, event: Event) -> None:
        """Write an event, where that is waited for in a thread; otherwise as write."""
        self._submit(event).result()

    def _submit(self, event: Event) -> Future[None]:
        written: Future[None] = Future()
        with self._lock:
            self._waiting.append((event, written))
        self._writer.submit(self._write_waiting)
        return written

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


class Entry:
    """What the log says of one request.

    Args:
        scope: The request.
        events: The log.

    Attributes:
        has_begun: Whether a change is in the log of which it is not yet known what became of it.
    """

    def __init__(self, scope: Scope, events: EventLog) -> None:
        self.has_begun = False
        self._scope = scope
        self._events = events
        self._at = datetime.now(UTC)

    def begin(self) -> None:
        """Write that a change is about to be made, in a thread: before it is, so that none is unknown.

        Raises:
            PhonobaseError: It could not be written, and nothing is to be changed.
        """
        self._events.write_in_thread(self._event(_BEGUN))
        self.has_begun = True

    async def end(self, status: int) -> None:
        """Write what was answered, if that is one for the log.

        Raises:
            PhonobaseError: It could not be written.
        """
        admission: Admission = self._scope["state"]["admission"]
        # Nobody was asked who they are: there is no such route, or no session to end.
        gives_nothing = status >= HTTPStatus.BAD_REQUEST or is_public(self._scope)
        is_nothing = gives_nothing and not (admission.visitor or admission.claimed or admission.reason)
        if is_logged(self._scope) and not is_nothing and not admission.is_told:
            await self._events.write(self._event(status))

    def _event(self, status: int) -> Event:
        state = self._scope["state"]
        admission: Admission = state["admission"]
        visitor = admission.visitor or admission.claimed
        visit: Visit | None = state.get("visit")
        detail = visit.detail if visit else None
        # Who was let in may be no longer by now; what they were given they were given.
        is_refused = status >= HTTPStatus.BAD_REQUEST
        return new_event(
            self._at,
            operation(self._scope),
            status,
            who=visitor.name if visitor else None,
            token_id=visitor.token_id if visitor else None,
            address=admission.address or None,
            source=visit.source if visit else None,
            recording_id=(visit.recording_id if visit else None) or _named(self._scope),
            detail=(admission.reason or detail) if is_refused else (detail or admission.reason),
        )


def _named(scope: Scope) -> UUID | None:
    """Return the recording that a request names, whether or not there is one."""
    named = str(scope.get("path_params", {}).get("recording_id", ""))
    return UUID(named) if _ID.fullmatch(named) else None


def entry_of(request: Request) -> Entry:
    """Return what the log says of a request."""
    entry: Entry = request.state.entry
    return entry


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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["entry"] = entry = Entry(scope, self._events)
        is_written = False

        async def logged(message: Message) -> None:
            nonlocal is_written
            if message["type"] == "http.response.start" and not is_written:
                is_written = True
                try:
                    with anyio.CancelScope(shield=True):
                        await entry.end(message["status"])
                except Exception as error:
                    _log.exception("an event could not be written")
                    await (_UNSURE if entry.has_begun else _UNLOGGED)(scope, receive, send)
                    raise NotLogged from error
            await send(message)

        try:
            await self._app(scope, receive, logged)
        except NotLogged:
            return
        finally:
            if not is_written and scope["method"] not in SAFE:
                with anyio.CancelScope(shield=True):
                    await entry.end(_CLIENT_CLOSED)


_UNLOGGED = problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "nothing is given while the log of access cannot be written"
)
_UNSURE = problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "the log of access cannot be written any more; this may have been done: look before you ask again",
)
