"""The cookie in which a browser keeps its session."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

_NAME = "phonobase_session"
_AT_MOST = 4
"""How many of a name are looked at."""

_OF_THIS_HOST = "__Host-"
"""Browsers take a cookie of such a name only by https, for all of a host, and from no other one."""


def shown_cookies(request: Request) -> list[str]:
    """Return the sessions that a request shows, the likeliest first.

    Another application of the same host may have left one of the same name. Browsers send those of longer
    paths, that is, of what is not all of this application, first.
    """
    name = _name(request)
    pairs = (part.partition("=") for line in request.headers.getlist("cookie") for part in line.split(";"))
    return [word.strip() for key, _, word in pairs if key.strip() == name][: -_AT_MOST - 1 : -1]


def set_cookie(response: Response, request: Request, word: str, lasts_s: int) -> None:
    """Let a browser keep a session, out of reach of the page's own programs, and show it only to us."""
    response.set_cookie(
        _name(request),
        word,
        max_age=lasts_s,
        path=_path(request),
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(response: Response, request: Request) -> None:
    """Let a browser forget its session."""
    response.delete_cookie(
        _name(request), path=_path(request), secure=_is_secure(request), httponly=True, samesite="strict"
    )


def _name(request: Request) -> str:
    return _OF_THIS_HOST + _NAME if _is_secure(request) and _path(request) == "/" else _NAME


def _path(request: Request) -> str:
    """Return where the application is mounted."""
    return str(request.scope.get("root_path", "")).rstrip("/") + "/"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
