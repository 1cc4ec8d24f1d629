"""The application at a port of this machine, until somebody wants it to end."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import socket
import sys
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI

from phonobase.errors import CannotServe
from phonobase.web.connection import Patient

_ENDS_WITHIN_S = 2
_FILES = 512
_SWITCHES_AFTER_S = 0.0001


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
        listener = socket.create_server((str(address[0]), port), family=family)
    except PermissionError as error:
        raise CannotServe(f"port {port} is not for this user; name one of 1024 or above") from error
    except OSError as error:
        # What Python makes of a taken port says more than a line should.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotServe(
            f"cannot listen at {host} port {port}: {reason}; name another with --host and --port"
        ) from error
    # Its connections have it from there. asyncio sets it only where a socket names its protocol, and without
    # it the bytes behind a head wait for the other side, often for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


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
        timeout_graceful_shutdown=_ENDS_WITHIN_S,
    )
    _favour_rows()
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once all is closed
        uvicorn.Server(config).run(sockets=[listener])


def _favour_rows() -> None:
    """Let answers that are made of many rows be made soon, also beside each other."""
    # What is there now stays for good; to look through it for garbage again and again takes as long as the
    # rows themselves.
    gc.collect()
    gc.freeze()
    # A thread that reads SQLite gives the interpreter up with each row. Beside one that calculates, it has it
    # back after so long: 40,000 rows take 0.6 seconds instead of 18.
    sys.setswitchinterval(_SWITCHES_AFTER_S)


def _let_open(connections: int) -> None:
    """Let this process have so many connections, as far as the system lets it, beside its files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
