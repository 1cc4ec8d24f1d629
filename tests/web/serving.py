"""The application as it is served: by uvicorn, at a port of this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from phonobase.web.connection import Patient
from phonobase.web.server import address_of, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

_PATIENCE_S = 30


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serves an application in a thread of its own and yields its address, without a slash behind."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(app, http=Patient, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        give_up = time.monotonic() + _PATIENCE_S
        while not server.started:
            assert time.monotonic() < give_up, "uvicorn does not start"
            assert thread.is_alive(), "uvicorn has ended"
            time.sleep(0.01)
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def connected(address: str) -> socket.socket:
    """Returns a connection to what is served at an address; it is closed at the end of a block."""
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), _PATIENCE_S)
