"""Asking over the network as a program does that may be slow, or leave."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE_S = 30
_SMALL_BYTES = 16 * 1024


@contextlib.contextmanager
def asking(url: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    """Asks for something and gives the answer, of which the system holds as little as it can."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
    connection.sock = socket.socket()
    connection.sock.settimeout(PATIENCE_S)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
    connection.sock.connect((parts.hostname, parts.port))
    connection.request(
        "GET", url.removeprefix(f"{parts.scheme}://{parts.netloc}"), headers=dict(headers or {})
    )
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()
