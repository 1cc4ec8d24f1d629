"""The application at a port of this machine, until somebody wants it to end."""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from fastapi import FastAPI

from phonobase.errors import CannotServe

_ENDS_WITHIN_S = 2
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
        raise CannotServe(
            f"cannot listen at {host} port {port}: {error.strerror}; name another with --host and --port"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve an application until SIGINT or SIGTERM; then whoever still listens is cut off soon."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # what goes wrong the application says itself
        access_log=False,  # phono_event has it, and no token stands in that
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_ENDS_WITHIN_S,
    )
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once all is closed
        uvicorn.Server(config).run(sockets=[listener])
