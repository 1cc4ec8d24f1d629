"""Bytes on their way to somebody who may read slowly, or leave."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Send

from phonobase.errors import PhonobaseError

_log = logging.getLogger(__name__)
_NAME_LETTERS = "!#$&+-.^_`|~"
"""What needs no escape in the long form of a name, beside letters and digits (RFC 8187, section 3.2.1)."""


class Stream(StreamingResponse):
    """An answer that is made while it is sent, and no longer than somebody reads it.

    What fails on the way breaks the connection off, so that no part is taken for the whole.

    Args:
        pieces: What is sent; it is closed in any case once it was begun.
        status: The HTTP status.
        headers: Header fields; with a Content-Length where that is known.
        media_type: The Content-Type.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        headers: Mapping[str, str],
        media_type: str,
        status: int = HTTPStatus.OK,
    ) -> None:
        super().__init__(pieces, status, headers, media_type)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """Send all of it, or break off where the rest cannot be had."""
        try:
            async with aclosing(self._pieces):
                await super().stream_response(send)
        except PhonobaseError as error:  # as where a recording is deleted, which is no mistake of anybody
            _log.warning("an answer is broken off: %s", error)


async def in_threads(first: bytes, rest: Generator[bytes]) -> AsyncGenerator[bytes]:
    """Yield a piece, and what a generator yields that works between its pieces: in a thread, each time.

    No thread is held while a piece is sent.
    """
    piece: bytes | None = first
    try:
        while piece is not None:
            yield piece
            piece = await run_in_threadpool(next, rest, None)
    finally:
        rest.close()


def disposition(name: str, *, download: bool) -> str:
    """Return the Content-Disposition of a file of a name, as RFC 6266 has it.

    Args:
        name: The name; whatever is in it, it stays one.
        download: Whether a browser is to store it rather than show it.
    """
    kind = "attachment" if download else "inline"
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name
    )
    if plain == name:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_NAME_LETTERS)}"
