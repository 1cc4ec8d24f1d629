"""Whether a request is let in: from a page of our own, not too often, and by somebody who may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import NoReturn, Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

from phonobase.web.problems import Refused, Unauthenticated
from phonobase.web.rates import Rates, TooMuch, network
from phonobase.web.site import Site
from phonobase.web.visitor import Scope, Visitor

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that change nothing."""

_HEAVY = ("/cut", "/spectrogram", "/recordings", "/recordings/pcm")
"""How the paths end of what takes more than a row or two; of the last two only what is posted there."""
_PORTS = {"http": 80, "https": 443}


class Admission:
    """Lets a request in, once: whoever asks for the visitor first, or reads the body, waits for that.

    So nothing of a body is taken from somebody who may not send it. It lasts as long as the answer.

    Args:
        request: The request.
        site: What it came to.
        rates: How often everyone came.

    Attributes:
        visitor: Who makes it, once they are let in.
        claimed: Who made it, where that is known although they are not let in.
        reason: Why it was refused, for the log; the answer says less.
        is_told: Whether the log need not say it again.
    """

    def __init__(self, request: Request, site: Site, rates: Rates) -> None:
        self.visitor: Visitor | None = None
        self.claimed: Visitor | None = None
        self.reason: str | None = None
        self.is_told = False
        self._request = request
        self._site = site
        self._rates = rates
        self._lasting = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lasting.close()

    @property
    def address(self) -> str:
        """Where the request comes from; empty where that is not known."""
        return self._request.client.host if self._request.client else ""

    async def let_in(self) -> Visitor:
        """Return who makes the request.

        Raises:
            HTTPException: They may not, or not so often.
        """
        if self.visitor is None:
            self.refuse_foreign()
            visitor = await self._site.authenticate(self._request)
            if visitor is None:
                self.refuse_unknown()
            self.count(visitor)
            if self._request.method not in SAFE:
                visitor.check(Scope.WRITE)
            self.visitor = visitor
        return self.visitor

    def count(self, visitor: Visitor) -> None:
        """Count a request of somebody, now and for as long as it is answered.

        Raises:
            TooMuch: They made too many.
        """
        self.claimed = visitor
        with self._telling():
            key = visitor.token_id.hex if visitor.token_id else visitor.name
            self._rates.count(key, heavy=self._is_heavy())
            self._lasting.enter_context(self._rates.open(key))

    def count_stranger(self) -> None:
        """Count a request that nobody is asked about.

        Raises:
            TooMuch: Too many come from there.
        """
        with self._telling():
            self._rates.count(network(self.address), heavy=False)

    async def still_in(self) -> bool:
        """Return whether who was let in would be let in now, as the same.

        Raises:
            Exception: Nobody can say: the database does not answer, or a host's own authentication fails.
        """
        try:
            return await self._site.authenticate(self._request) == self.visitor
        except HTTPException as error:
            if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return False

    def refuse_foreign(self) -> None:
        """Refuse what a page of somebody else may have made a browser send with its user's cookies.

        Raises:
            Refused: It would change something, and may come from such a page.
        """
        headers = self._request.headers
        if self._request.method in SAFE or is_bearer(headers.get("authorization", "")):
            return
        if not _from_here(headers):
            self.refuse("cross-site", "changes are taken only from pages of this site, or with a token")

    def refuse(self, reason: str, detail: str) -> NoReturn:
        """Refuse what nobody may ask for in such a way, whoever it is.

        Args:
            reason: For the log.
            detail: For the answer.

        Raises:
            Refused: Always, or
            TooMuch: where that happened too often.
        """
        self.reason = reason
        self.count_refused()
        raise Refused(detail)

    def refuse_unknown(self) -> NoReturn:
        """Refuse somebody of whom nobody knows that they may ask.

        Raises:
            Unauthenticated: Always, or
            TooMuch: where that happened too often.
        """
        self.reason = self.reason or "no token"
        self.count_refused()
        raise Unauthenticated

    def count_refused(self) -> None:
        """Count what is refused, so that nobody fills the log with it.

        Raises:
            TooMuch: Too much was, of what comes from there.
        """
        with self._telling():
            self._rates.count_refused(self.address)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except TooMuch as error:
            self.reason, self.is_told = "too much", error.said
            raise

    def _is_heavy(self) -> bool:
        path = self._request.url.path
        return path.endswith(_HEAVY[:2] if self._request.method in SAFE else _HEAVY)


def admission_of(request: Request) -> Admission:
    """Return what lets a request in."""
    admission: Admission = request.state.admission
    return admission


async def of_anybody(request: Request) -> None:
    """Let in whoever asks, unless too often: a dependency of routes that tell nothing of the archive."""
    admission_of(request).count_stranger()


async def from_here(request: Request) -> None:
    """Let in whoever asks from a page of our own: a dependency of routes that ask who it is."""
    admission_of(request).refuse_foreign()


def is_bearer(authorization: str) -> bool:
    """Return whether a header shows a token; no page of somebody else can make a browser send one."""
    return authorization[:7].lower() == "bearer "


def _from_here(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is not None:
        scheme, colon, _ = origin.partition("://")
        place = _place(origin)
        return place is not None and place == _place(f"{scheme}{colon}{headers.get('host', '')}")
    return "cookie" not in headers  # no browser then, or one that sends nothing of its user's


def _place(origin: str) -> tuple[str | None, int | None] | None:
    """Return the host and the port that an origin names; None where it names none."""
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    # A name before the host would be somebody's trick.
    return (parts.hostname, port) if parts.hostname and parts.username is None else None
