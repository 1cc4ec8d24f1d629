"""A connection of a client: how long it is waited for, and who makes room where too many are open."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from phonobase.web.headers import Headers
from phonobase.web.problems import problem

_HEAD_BYTES = 64 * 1024
_HEAD_WITHIN_S = 20
_IDLE_S = 75  # longer than a proxy keeps a connection, so that it is never closed under a request
_REST_WITHIN_S = 5
"""How long the rest of a request may come that is answered already, and that nobody reads."""
_TAKEN_WITHIN_S = 120
"""How long the rest of an answer may be taken where nothing else is waited for."""


class Patient(HttpToolsProtocol):
    """A connection whose requests begin and end in time, and with not too many words.

    Where as many are open as may be, a new one takes the place of the one that has been waited for longest.
    """

    _wordy_bytes = 0
    """What came since the last that is of use: the beginning of a request, or a piece of its body."""
    _reads_head = True
    _is_whole = True
    """Whether all of the request came whose head came last."""
    _waits: asyncio.TimerHandle | None = None
    waits_since: float | None = None
    """Since when it is waited for its client, by the clock of the loop; None where it is not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_head()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._take_a_place()

    def on_message_begin(self) -> None:
        """Wait for the rest of its head."""
        super().on_message_begin()
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; those behind a body are of no use."""
        if self._reads_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._reads_head = self._is_whole = False
        if not self.url.startswith(b"/"):
            self._take_target()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of it."""
        self._wordy_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request if this one is answered."""
        super().on_message_complete()
        self._is_whole = True
        if self.cycle.response_complete:
            self._wait(_IDLE_S)

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the rest of this one."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # a byte would end it for good
        if not self.transport.is_closing() and self.cycle.response_complete and not self._reads_head:
            self._wait(_IDLE_S if self._is_whole else _REST_WITHIN_S)

    def data_received(self, data: bytes) -> None:
        """Read what came, unless it is more than a request needs."""
        self._wordy_bytes += len(data)
        super().data_received(data)
        if self._wordy_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def send_400_response(self, msg: str) -> None:
        """Say that a request is none, unless an answer to it has begun, and close the connection."""
        if self._is_answering():
            self.transport.close()
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def place(self) -> tuple[bool, float]:
        """Return what is less for connections that are to give way first."""
        return self.transport.get_write_buffer_size() > 0, self.waits_since or 0.0

    def give_way(self) -> None:
        """Close it at once; it is not waited for any more."""
        self._stop_waiting()
        self.transport.abort()

    def _take_target(self) -> None:
        """Take the host from a target that is a whole address: it counts, and not the header."""
        target = httptools.parse_url(self.url)  # RFC 9112, section 3.2.2
        if target.host:
            self.url = (target.path or b"/") + (b"?" + target.query if target.query else b"")
            name = b"[%b]" % target.host if b":" in target.host else target.host
            host = b"%b:%d" % (name, target.port) if target.port else name
            self.headers[:] = [field for field in self.headers if field[0] != b"host"] + [(b"host", host)]

    def _is_answering(self) -> bool:
        """Whether what is sent belongs to an answer, or stands behind one to a request that is not whole."""
        cycle: RequestResponseCycle | None = self.cycle
        if self.pipeline:
            return True
        if cycle is None or not cycle.response_started:
            return False
        return not (self._is_whole and cycle.response_complete)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        answers = _FULL if app is service_unavailable else app

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await answers(scope, receive, send)
            finally:
                self.loop.call_soon(self._expect_end)  # behind what becomes of the connection

        super()._start_asgi_task(cycle, answer)  # type: ignore[arg-type]

    def _expect_end(self) -> None:
        """Wait until the rest of the answer is taken, where nothing comes behind it."""
        if self.transport.is_closing() and self in self.connections and self._waits is None:
            self._wait(_TAKEN_WITHIN_S)

    def _expect_head(self) -> None:
        self._reads_head, self._wordy_bytes = True, 0
        self._wait(_HEAD_WITHIN_S)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self.waits_since = self.loop.time()
        self._waits = self.loop.call_later(seconds, self._close)

    def _stop_waiting(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = self.waits_since = None

    def _close(self) -> None:
        """Close it: at once where it is closing already, and still has an answer that is not taken."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
            self._wait(_TAKEN_WITHIN_S)

    def _take_a_place(self) -> None:
        """Cut off who has been waited for longest; who still takes an answer only if there is nobody else."""
        others = [each for each in self.connections if isinstance(each, Patient) and each is not self]
        if waiting := [each for each in others if each.waits_since is not None]:
            min(waiting, key=Patient.place).give_way()


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "as many ask already as may at once; ask again soon",
        {"Connection": "close", "Retry-After": "5"},
    )
    await answer(scope, receive, send)


_FULL = Headers(_full)
