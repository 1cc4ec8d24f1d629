"""What is sent to the archive, into a file without a name: no larger and no slower than it may be."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, cast

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

_FORM_BYTES = 256 * 1024
"""What a form may be besides its file."""
_FIELD_BYTES = 64 * 1024
_FIELDS = 16
_PIECE_BYTES = 1024 * 1024

_IDLE_S = 30.0
_GRACE_S = 60.0
_SLOWEST_BYTES_PER_S = 4096
"""Whoever takes longer for what came so far, and the grace, keeps others from their turn."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Form:
    """A form that came with a file.

    Attributes:
        file: What came, with a descriptor.
        name: What who sent it calls it.
        fields: Everything else; empty fields are as if they were not there.
    """

    file: BinaryIO
    name: str
    fields: dict[str, str]


@contextlib.asynccontextmanager
async def received_form(request: Request, most: int) -> AsyncIterator[Form]:
    """Receive a form with a file; the file is gone afterwards.

    Args:
        request: Its body.
        most: How many bytes the file may have.

    Raises:
        HTTPException: It is no such form, too large, too slow, or there is no room for it.
    """
    _check_type(request, "multipart/form-data")
    body = _bounded(request, most, _FORM_BYTES)
    parser = MultiPartParser(
        request.headers, body, max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES
    )
    try:
        with _room():
            items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise _unprocessable(error.message) from error
    files = {name: value for name, value in items if isinstance(value, UploadFile)}
    fields = {name: value for name, value in items if isinstance(value, str) and value}
    file = files.get("file")
    try:
        if file is None:
            raise _unprocessable("there is no file in the form; send it as file")
        if len({name for name, _ in items}) < len(items):
            raise _unprocessable("a field came twice; send each once")
        with _room():
            file.file.fileno()  # writes what was small enough for memory
            file.file.flush()
        if (file.size or 0) > most:
            raise _too_large(most)
        yield Form(file.file, file.filename or "", fields)
    finally:
        for each in files.values():
            each.file.close()


@contextlib.asynccontextmanager
async def received_body(request: Request, most: int) -> AsyncIterator[BinaryIO]:
    """Receive a body as it is; the file is gone afterwards.

    Args:
        request: Its body.
        most: How many bytes it may have.

    Raises:
        HTTPException: It is of another type, too large, too slow, or there is no room for it.
    """
    _check_type(request, "application/octet-stream")
    with tempfile.TemporaryFile(buffering=0) as file:
        piece = bytearray()
        async for part in _bounded(request, most):
            piece += part
            if len(piece) >= _PIECE_BYTES:
                await run_in_threadpool(_write, file, piece)
                piece.clear()
        await run_in_threadpool(_write, file, piece)
        file.seek(0)
        yield cast("BinaryIO", file)


async def _bounded(request: Request, most: int, more: int = 0) -> AsyncGenerator[bytes]:
    """Yield the body of a request, which may have so many bytes, and so many around them."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[-18:]) > most + more:
        raise _too_large(most)
    begun, received = time.monotonic(), 0
    stream = request.stream()
    while True:
        due = begun + _GRACE_S + received / _SLOWEST_BYTES_PER_S
        try:
            async with asyncio.timeout(min(_IDLE_S, due - time.monotonic())):
                part = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT, "it comes too slowly; send it again over a faster line"
            ) from None
        except ClientDisconnect:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the end is missing") from None
        if part is None:
            return
        received += len(part)
        if received > most + more:
            raise _too_large(most)
        yield part


def _check_type(request: Request, wanted: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send it as {wanted}")


def _write(file: BinaryIO, piece: bytearray) -> None:
    with _room(), memoryview(piece) as rest:
        done = 0
        while done < len(rest):
            done += file.write(rest[done:])


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """Say in the answer that the disk is full, where it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise HTTPException(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "there is no room here for the file; free some, then send it again",
        ) from error


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a file may have {most} bytes here; send it in parts"
    )


def _unprocessable(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
