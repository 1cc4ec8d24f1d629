"""Where in the application a request goes, wherever that is mounted."""

from __future__ import annotations

from starlette.types import Scope

API = "/api/"
SESSION = "/api/session"

_TELL_NOTHING = frozenset({"/api/health", "/api/openapi.json"})
"""Whoever asks there learns nothing of what is in the archive."""


def own_path(scope: Scope) -> str:
    """Return the path below the place where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_logged(scope: Scope) -> bool:
    """Return whether a request is one for the log of access."""
    path = own_path(scope)
    return path.startswith(API) and path not in _TELL_NOTHING


def is_public(scope: Scope) -> bool:
    """Return whether nobody has to say who they are; what SESSION is shown it looks at itself."""
    return not is_logged(scope) or own_path(scope) == SESSION
