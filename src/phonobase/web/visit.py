"""One request: who makes it, whether they may, and what it concerns, for the log of access."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from phonobase.store.archive import Archive
from phonobase.store.lookup import no_source, not_found
from phonobase.store.recording import Recording
from phonobase.web.admission import admission_of
from phonobase.web.log import entry_of
from phonobase.web.site import Site, site_of
from phonobase.web.visitor import Scope, Visitor

_LISTS = frozenset({"labels", "sources"})
"""Parameters that hold more than one value."""


class Visit:
    """A request of somebody who may make it.

    What is not theirs to know of looks to them like what is not there.

    Args:
        request: The request.
        visitor: Who makes it.

    Attributes:
        site: What is served.
        visitor: Who makes it.
        source: The source it concerns, once that is known.
        recording_id: The recording it concerns, once that is known.
        detail: What else the log of access shall say.
    """

    def __init__(self, request: Request, visitor: Visitor) -> None:
        self.site: Site = site_of(request)
        self.visitor = visitor
        self.source: str | None = None
        self.recording_id: UUID | None = None
        self.detail: str | None = None
        self._entry = entry_of(request)

    @property
    def archive(self) -> Archive:
        """The recordings."""
        return self.site.archive

    def begin_change(self) -> None:
        """Log that what was asked for is about to be changed; without that, nothing may be.

        Raises:
            PhonobaseError: The log cannot be written.
        """
        self._entry.begin()

    def about(self, source: str) -> str:
        """Return a source that the request names.

        Raises:
            RecordingNotFound: There is none, or it is not theirs to know of.
        """
        self.source = source
        known = self.sources()
        if source not in known:
            raise no_source(source, known)
        return source

    def sources(self) -> list[str]:
        """Return the sources that they may know of."""
        return [name for name in self.archive.sources() if self.visitor.may_know(name)]

    def recording(self, recording_id: UUID) -> Recording:
        """Return a recording that the request names.

        Raises:
            RecordingNotFound: There is none, or it is not theirs to know of.
        """
        self.recording_id = recording_id
        recording = self.archive.get(recording_id)
        self.source = recording.source
        if not self.visitor.may_know(recording.source):
            raise not_found(f"has the id {recording_id.hex}")
        return recording


def visiting(scope: Scope) -> Callable[[Request], Awaitable[Visit]]:
    """Return the dependency that lets in who has a scope."""

    async def visit(request: Request) -> Visit:
        visitor = await admission_of(request).let_in()
        request.state.visit = visit = Visit(request, visitor)
        visitor.check(scope)
        _refuse_twice(request)
        return visit

    return visit


def _refuse_twice(request: Request) -> None:
    """Refuse a question that says two things at once.

    Raises:
        HTTPException: A parameter that is one value came more than once.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, count in counts.items() if count > 1 and name not in _LISTS]
    if twice:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"query.{twice[0]}: came more than once; name one"
        )


Reading = Annotated[Visit, Depends(visiting(Scope.READ))]
Writing = Annotated[Visit, Depends(visiting(Scope.WRITE))]
Administering = Annotated[Visit, Depends(visiting(Scope.ADMIN))]
