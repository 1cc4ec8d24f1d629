"""What stands around every request: how much it may send, how long it may take, and for whom it goes on."""

from __future__ import annotations

import logging
import time
from enum import StrEnum
from http import HTTPStatus

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonobase.web.admission import SAFE, Admission
from phonobase.web.log import NotLogged
from phonobase.web.problems import NOT_NOW, UNEXPECTED, problem
from phonobase.web.rates import Rates
from phonobase.web.routed import is_public
from phonobase.web.site import Site

_UPLOADS = ("multipart/form-data", "application/octet-stream")
_DIGITS = 18
_ROOM_BYTES = 1024 * 1024
"""What a form may hold beside its file."""
_EVERY_S = 2.0
_GRACE_S = 30.0
"""How long an answer goes on while nobody can say whether who gets it is still let in."""

_ONCE = ("host", "origin", "sec-fetch-site", "sec-fetch-mode", "authorization", "content-length")
"""Headers of which whoever stands before us might take another one than we do."""


class _End(StrEnum):
    """Why an answer is cut off."""

    OUT = "no longer let in"
    STALLED = "takes nothing any more"
    WORDY = "sends more than a question takes"
    UNKNOWN = "nobody could say for a while whether they are still let in"


_log = logging.getLogger(__name__)


class Guard:
    """Gives each request no more than its share, and ends it when who made it is no longer let in.

    Args:
        app: What answers.
        site: What it answers for.
        rates: How often everyone came.
    """

    def __init__(self, app: ASGIApp, site: Site, rates: Rates) -> None:
        self._app = app
        self._site = site
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        with Admission(request, self._site, self._rates) as admission:
            request.state.admission = admission
            await _Guarded(self._site, request, admission, receive, send).run(self._app)


class _Guarded:
    """One request."""

    def __init__(
        self, site: Site, request: Request, admission: Admission, receive: Receive, send: Send
    ) -> None:
        self._limits = site.limits
        self._request = request
        self._admission = admission
        self._receive = receive
        self._send = send
        self._bytes_left = self._most_bytes()
        self._more_body = True
        self._started = False
        self._sending_since: float | None = None
        self._ended: _End | None = None

    async def run(self, app: ASGIApp) -> None:
        """Answer the request."""
        refusal = self._refusal()
        if refusal is not None:
            await refusal(self._request.scope, self._receive, self._send)
            return
        error: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            try:
                await app(self._request.scope, self._received, self._sent)
            except Exception as raised:  # noqa: BLE001 - all of them: this is the last place
                error = raised
            tasks.cancel_scope.cancel()
        if isinstance(error, NotLogged):
            raise error
        if error is not None:
            _log.error("unexpected %s", type(error).__name__, exc_info=error)
        elif self._ended:
            _log.info("%s is cut off: %s", self._admission.address, self._ended)
        if not self._started and (error is not None or self._ended):
            await self._say_why(error)

    def _refusal(self) -> Response | None:
        """Return what is answered to a request that cannot be understood, or is too large; None to others."""
        headers = self._request.headers
        twice = [name for name in _ONCE if len(headers.getlist(name)) > 1]
        if twice:
            return problem(HTTPStatus.BAD_REQUEST, f"the header {twice[0]} came more than once")
        if "host" not in headers and self._request.scope.get("http_version") == "1.1":
            return problem(HTTPStatus.BAD_REQUEST, "the header host is missing")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            return problem(HTTPStatus.BAD_REQUEST, "the header content-length is no number")
        if len(length) > _DIGITS or int(length) > self._most_bytes():
            error = self._too_large()
            return problem(error.status_code, error.detail, error.headers)
        return None

    async def _say_why(self, error: Exception | None) -> None:
        if error is not None:
            answer = problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)
        elif self._ended is _End.OUT:
            answer = problem(HTTPStatus.UNAUTHORIZED, "who asked is no longer let in")
        else:
            answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, NOT_NOW)
        await answer(self._request.scope, self._receive, self._send)

    async def _watch(self, running: anyio.CancelScope) -> None:
        known_at = time.monotonic()
        while self._ended is None:
            await anyio.sleep(_EVERY_S)
            if self._is_stalled():
                self._ended = _End.STALLED
            elif not self._ends_with_right():
                known_at = time.monotonic()
            else:
                try:
                    is_in = await self._admission.still_in()
                    known_at = time.monotonic()
                    if not is_in and self._ends_with_right():
                        self._ended = _End.OUT
                except Exception as error:  # noqa: BLE001 - whatever a host's own authentication may raise
                    if time.monotonic() - known_at > _GRACE_S:
                        _log.warning("cannot ask whether %s is let in: %s", self._admission.address, error)
                        self._ended = _End.UNKNOWN
        running.cancel()

    def _ends_with_right(self) -> bool:
        """Return whether this is cut off when who was let in is no longer: not a change that is being made.

        Its answer would be lost, not the change. Until all of it has come, nothing is changed.
        """
        is_being_made = self._request.method not in SAFE and not self._more_body
        return self._admission.visitor is not None and not is_being_made

    def _is_stalled(self) -> bool:
        since = self._sending_since
        return since is not None and time.monotonic() - since > self._limits.stalled_seconds

    async def _sent(self, message: Message) -> None:
        self._sending_since = time.monotonic()
        await self._send(message)
        self._sending_since = None
        self._started = True  # not before: what was cut off until then, nobody got

    async def _received(self) -> Message:
        # Whoever reads the body was routed to.
        if self._request.method not in SAFE and not is_public(self._request.scope):
            await self._admission.let_in()
        if not self._more_body:  # what is still to come is that they go
            return await self._receive()
        # Of who only asks nobody reads it, but whether they are still there.
        is_read = self._request.method not in SAFE
        try:
            with anyio.fail_after(self._limits.stalled_seconds if is_read else None):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the rest of the request does not come") from None
        self._more_body = message.get("more_body", False)
        self._bytes_left -= len(message.get("body", b""))
        if self._bytes_left < 0:
            if is_read:
                raise self._too_large()
            self._ended = _End.WORDY
            return {"type": "http.disconnect"}
        return message

    def _most_bytes(self) -> int:
        is_upload = self._request.headers.get("content-type", "").lower().startswith(_UPLOADS)
        return self._limits.upload_bytes + _ROOM_BYTES if is_upload else self._limits.body_bytes

    def _too_large(self) -> HTTPException:
        return HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"more than the {self._most_bytes()} bytes that are taken here",
            {"Connection": "close"},  # so that nobody has to read the rest
        )
