"""Which operation a request came to, wherever the application is mounted."""

from __future__ import annotations

from starlette.types import Scope

_TELL_NOTHING = frozenset(
    {
        ("phonobase.web.health", "get_health"),
        ("phonobase.web.page", "get_page"),
        ("phonobase.web.page", "get_page_file"),
        ("fastapi.applications", "openapi"),
    }
)
"""Whoever asks there learns nothing of what is in the archive."""

_LOOK_THEMSELVES = frozenset(
    {("phonobase.web.sessions", "begin_session"), ("phonobase.web.sessions", "end_session")}
)
"""What these are shown says who asks."""


def operation(scope: Scope) -> str:
    """Return the name of what was routed to; empty where nothing was."""
    return _function(scope)[1]


def is_logged(scope: Scope) -> bool:
    """Return whether a request that was routed is one for the log of access: all that are not known."""
    return _function(scope) not in _TELL_NOTHING


def is_public(scope: Scope) -> bool:
    """Return whether nobody has to say who they are before what was routed to is run."""
    return _function(scope) in _TELL_NOTHING | _LOOK_THEMSELVES


def _function(scope: Scope) -> tuple[str, str]:
    # By what answers, not by the path: what of that is ours depends on how a host mounts the application.
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__module__", ""), getattr(endpoint, "__name__", "")
