"""How the API says no: problem details as RFC 9457 has them, for every answer that is no success."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from phonobase import errors

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What is wrong with a request, or with the service."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no recording"}
            ]
        }
    )

    type: str = Field(default="about:blank", description="always about:blank: the status says which it is")
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status", ge=400, le=599)
    detail: str = Field(description="what is wrong with this request, and what to do")


class Unauthenticated(HTTPException):
    """Nobody says who asks."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed, one that is neither revoked nor expired",
            {"WWW-Authenticate": 'Bearer realm="phonobase"'},
        )


class Refused(HTTPException):
    """Who asks may not do this."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


_STATUSES: tuple[tuple[type[errors.PhonobaseError], HTTPStatus], ...] = (
    (errors.RecordingNotFound, HTTPStatus.NOT_FOUND),
    (errors.AnnotationNotFound, HTTPStatus.NOT_FOUND),
    (errors.InvalidDetails, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.TooMuchAudio, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.AudioError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.GapInCut, HTTPStatus.CONFLICT),
    (errors.RecordingClosed, HTTPStatus.CONFLICT),
    (errors.RecordingConflict, HTTPStatus.CONFLICT),
    (errors.StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (errors.SchemaError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.DatabaseUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.PhonobaseError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's documentation says of the problems it answers with."""
    said: dict[int | str, dict[str, Any]] = {}
    for status in sorted({401, 403, 422, 503, *statuses}):
        said[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
        }
    return said


_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as an answer."""
    # What is wrong may be quoted in it, and need not be text that can be sent.
    sendable = detail.encode(errors="replace").decode()
    content = Problem(title=HTTPStatus(status).phrase, status=status, detail=sendable).model_dump()
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Make an application answer every error with problem details."""
    app.add_exception_handler(errors.PhonobaseError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, str(error))
    # What a database says of itself is not for everyone.
    _log.error("%s", error)
    return problem(status, "the archive cannot answer this now; the service's log says why")


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - by what it was registered for
    wrong = "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    )
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, wrong)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - by what it was registered for
    return problem(error.status_code, error.detail, error.headers)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; the service's log has it")
