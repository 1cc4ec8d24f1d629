"""Asking over the network as a program does that may be slow, or leave."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

PATIENCE_S = 30
_SMALL_BYTES = 16 * 1024


@contextlib.contextmanager
def asking(url: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    """Asks for something and gives the answer, of which the system holds as little as it can."""
    connection = _asked(url, headers)
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def ask_and_leave(url: str, leave: threading.Event) -> None:
    """Asks for something, waits for no answer, and goes once it is time to."""
    connection = _asked(url)
    assert leave.wait(PATIENCE_S)
    connection.close()


def _asked(url: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
    connection.sock = socket.socket()
    connection.sock.settimeout(PATIENCE_S)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
    connection.sock.connect((parts.hostname, parts.port))
    path = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    connection.request("GET", path, headers=dict(headers or {}))
    return connection
