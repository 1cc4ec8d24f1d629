"""What the API says of itself: OpenAPI, for programs that read it, and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from phonobase.web.problems import Problem

SUMMARY = "A recording archive: every second is there, provably unaltered, or listed as a gap."
DESCRIPTION = """\
Positions and lengths are frames, times are ISO 8601 with an offset, levels are dBFS with `null` for digital
silence, and ids are UUIDs, written as 32 hexadecimal digits. What is no success is answered with problem
details as RFC 9457 has them. What a visitor may not know of is answered like what is not there.
"""
TAGS = [
    {"name": "sources", "description": "The named places that sound comes from."},
    {"name": "recordings", "description": "Stretches of sound: found, looked at, described, added."},
    {"name": "audio", "description": "The sound itself, as files."},
    {"name": "pictures", "description": "What sound looks like: outlines, spectrograms, a timeline."},
    {"name": "gaps", "description": "What was not heard, why, and how much that is."},
    {"name": "service", "description": "What is recorded now, and how the service is doing."},
    {"name": "session", "description": "Who asks, and how a browser remembers that."},
]
TOKEN_SCHEMES: Mapping[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token, as `phonobase tokens create` prints it.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "phonobase_session",
        "description": "The cookie that a browser gets for a token, for the page and its players; "
        "over https its name may begin with `__Host-`.",
    },
}


def operation_id(route: APIRoute) -> str:
    """Return what an operation is called: as its function, which the log of access names, too."""
    return f"head_{route.name}" if route.methods == {"HEAD"} else route.name


def describe(app: FastAPI, schemes: Mapping[str, Any]) -> None:
    """Put into an application's description what no route says.

    Args:
        app: The application.
        schemes: How a visitor may show who they are, each of which is enough; where a host looks after
            that itself, it describes it itself.
    """
    described = app.openapi

    def openapi() -> dict[str, Any]:
        description = described()
        components = description.setdefault("components", {})
        components.setdefault("schemas", {}).setdefault("Problem", Problem.model_json_schema())
        if schemes:
            components.setdefault("securitySchemes", dict(schemes))
            description.setdefault("security", [{name: []} for name in schemes])
        return description

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI documents it
