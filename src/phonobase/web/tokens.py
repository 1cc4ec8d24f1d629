"""Who asks, by the token they show, or by the session that they began with one."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request

from phonobase.store.archive import Archive
from phonobase.store.sessions import session_shown
from phonobase.store.tokens import Token, token_shown
from phonobase.web.admission import admission_of, is_bearer
from phonobase.web.cookie import shown_cookies
from phonobase.web.visitor import Scope, Visitor

_FORWARDED = ("forwarded", "via", "x-real-ip")
_NAMES = ("localhost", ".localhost")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][:@/]+)(?::\d{1,5})?")


class Tokens:
    """Lets in who shows a token of the archive, or the cookie of a session.

    Args:
        archive: Whose tokens they are.
        open_here: Whether the person at this machine needs none. Whoever reaches the application is taken for
            that person: it must listen at a loopback address alone.
    """

    def __init__(self, archive: Archive, *, open_here: bool = False) -> None:
        self._archive = archive
        self._open_here = open_here

    async def __call__(self, request: Request, /) -> Visitor | None:
        """Return who makes a request; None where they show nothing that is good."""
        word, sessions = shown_word(request), shown_cookies(request)
        if self._open_here:
            _refuse_guests(request)
            if word is None and not sessions:
                return Visitor("local", Scope.ADMIN)
        if word is not None:
            return self.taken(request, await asyncio.to_thread(token_shown, self._archive, word))
        if sessions:
            return self.taken(request, await asyncio.to_thread(self.session, sessions))
        return None

    def session(self, words: Sequence[str]) -> Token | None:
        """Return the token of the first session of several that holds; None where none does."""
        found = (session_shown(self._archive, word) for word in words)
        return next((token for token in found if token is not None), None)

    def taken(self, request: Request, token: Token | None) -> Visitor | None:
        """Return whose a token is; None where there is none, or it is over: then the log is told why."""
        admission = admission_of(request)
        if token is None:
            admission.reason = "wrong token"
            return None
        admission.claimed = Visitor(token.name, token.scope, token.sources, token.id)
        flaw = token.flaw(datetime.now(UTC))
        if flaw is not None:
            admission.reason = flaw
            return None
        return admission.claimed


def shown_word(request: Request) -> str | None:
    """Return what a request shows as a token; None where it shows none."""
    authorization = request.headers.get("authorization", "")
    return authorization[7:].strip() if is_bearer(authorization) else None


def _refuse_guests(request: Request) -> None:
    """Refuse what is not the person at this machine, though it comes from there.

    Raises:
        Refused: A proxy brings it for somebody, or a page of somebody else had a browser ask.
    """
    headers, admission = request.headers, admission_of(request)
    if any(name.startswith("x-forwarded-") or name in _FORWARDED for name in headers):
        admission.refuse(
            "forwarded", "a proxy brings this from elsewhere; start with: phonobase serve --require-token"
        )
    if not _is_here(headers.get("host", "")):
        admission.refuse(
            "another host's name",
            "without tokens this is open only at localhost; start with: phonobase serve --require-token",
        )
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if elsewhere and headers.get("sec-fetch-mode") != "navigate":
        admission.refuse("cross-site", "a page of another site asks for this")


def _is_here(host: str) -> bool:
    """Return whether the name that somebody asked for is this machine's own, as no page can pretend."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == _NAMES[0] or name.endswith(_NAMES[1])
