"""Somebody who asks an archive, as a host would say who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from phonobase.web import Scope, Visitor, create_app

if TYPE_CHECKING:
    from fastapi import Request

    from phonobase import Archive


def asking(archive: Archive, *sources: str, scope: Scope = Scope.READ) -> TestClient:
    """Returns a client of somebody who may know of these sources only."""

    async def authenticate(request: Request, /) -> Visitor:  # noqa: ARG001 - what it is called with
        return Visitor("visitor", scope, frozenset(sources))

    return TestClient(create_app(archive, authenticate=authenticate))
