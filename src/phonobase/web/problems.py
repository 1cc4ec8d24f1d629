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
from phonobase.store.lookup import HINT

MEDIA_TYPE = "application/problem+json"

NOT_NOW = "the archive cannot answer this now; the service's log says why"
UNEXPECTED = "an unexpected error; the service's log has it"
"""All that a stranger is told of what goes wrong here."""

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


_SAID: dict[int, tuple[str, str]] = {
    400: ("The body cannot be read", "There was an error parsing the body"),
    401: ("Nobody says who asks", "a token is needed, one that is neither revoked nor expired"),
    403: ("Who asks may not do this", "this needs the scope write, and reporter has read"),
    404: ("There is none that who asks may know of", "no recording has the id 0199f2b1"),
    408: ("The rest of the request did not come", "the rest of the request does not come"),
    409: ("What is there does not allow this", "recording 0199f2b1 is not closed yet"),
    412: ("It is not what it was", "it is another one by now"),
    413: ("More than is taken at once", "more than the 1048576 bytes that are taken here"),
    415: ("Of a type that is not taken", "a file comes as multipart/form-data"),
    416: ("No byte of it is asked for", "there are 2880086 bytes"),
    422: ("What is asked for means nothing", "query.limit: Input should be less than or equal to 1000"),
    429: ("Asked too often", "too many requests; ask again in 3 seconds"),
    500: ("What is stored is damaged, or an error", UNEXPECTED),
    503: (
        "The archive does not answer now",
        NOT_NOW,
    ),
    507: ("The archive's disk is full", NOT_NOW),
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the documentation says of a route's problems: those of every visit, and some more."""
    return answers_alone(401, 403, 422, 429, 503, *statuses)


def answers_alone(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the documentation says of a route that answers with these problems and no others."""
    return {status: _documented(status) for status in sorted(set(statuses))}


def _documented(status: int) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    description, detail = _SAID[status]
    example = Problem(title=title, status=status, detail=detail).model_dump()
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as an answer."""
    # What is wrong may be quoted in it, and need not be text that can be sent.
    sendable = detail.encode(errors="replace").decode()
    content = Problem(title=HTTPStatus(status).phrase, status=status, detail=sendable).model_dump()
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def answer_with_problems(app: FastAPI, *, by_token: bool) -> None:
    """Make an application answer every error with problem details.

    Args:
        app: The application.
        by_token: Whether whoever shows a token is let in; if not, a host says by itself who asks.
    """
    if not by_token:
        app.add_exception_handler(Unauthenticated, _unknown_to_host)
    app.add_exception_handler(errors.PhonobaseError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        # Who asks over HTTP need not have the command line that errors speak of.
        return problem(status, str(error).removesuffix(HINT))
    # What a database says of itself is not for everyone.
    _log.error("%s", error)
    return problem(status, NOT_NOW)


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


async def _unknown_to_host(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unauthenticated)  # noqa: S101 - by what it was registered for
    return problem(error.status_code, "you are not signed in to the application that this archive is part of")


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)
