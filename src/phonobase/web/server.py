"""The application at a port of this machine, until somebody wants it to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from phonobase.errors import CannotServe

_ENDS_WITHIN_S = 2
_HEAD_BYTES = 64 * 1024
_HEAD_WITHIN_S = 20
_FILES = 512
_IDLE_S = 75  # longer than a proxy keeps a connection, so that it is never closed under a request


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: A name or an address of this machine.
        port: A number of 0 to 65535; 0 for any that is free.

    Raises:
        CannotServe: It is taken, or not for this user, or not of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), port), family=family)
    except PermissionError as error:
        raise CannotServe(f"port {port} is not for this user; name one of 1024 or above") from error
    except OSError as error:
        # What Python makes of a taken port says more than a line should.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotServe(
            f"cannot listen at {host} port {port}: {reason}; name another with --host and --port"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, listener: socket.socket, *, connections: int, forwarded_from: Sequence[str]) -> None:
    """Serve an application until SIGINT or SIGTERM; then whoever still listens is cut off soon.

    Args:
        app: What is served.
        listener: Where.
        connections: How many are open at once, at most.
        forwarded_from: The addresses of proxies that are believed for whom they ask.
    """
    _let_open(connections)
    config = uvicorn.Config(
        app,
        http=Patient,
        log_config=None,
        log_level="critical",  # what goes wrong the application says itself
        access_log=False,  # phono_event has it, and no token stands in that
        server_header=False,
        proxy_headers=bool(forwarded_from),
        forwarded_allow_ips=list(forwarded_from),
        ws="none",
        limit_concurrency=connections,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_ENDS_WITHIN_S,
    )
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once all is closed
        uvicorn.Server(config).run(sockets=[listener])


class Patient(HttpToolsProtocol):
    """A connection whose requests begin in time, and with not too many words."""

    _head_bytes = 0
    _reads_head = True
    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        """Wait for the rest of its head."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._reads_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read what came, unless it is more than the head of a request needs."""
        super().data_received(data)
        self._head_bytes += len(data)
        if self._reads_head and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._stop_waiting()
        self._reads_head, self._head_bytes = True, 0
        self._waits = self.loop.call_later(_HEAD_WITHIN_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None


def _let_open(connections: int) -> None:
    """Let this process have so many connections, as far as the system lets it, beside its files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
