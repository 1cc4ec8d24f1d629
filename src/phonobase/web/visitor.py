"""Who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from fastapi import Request

from phonobase.store.tokens import Scope
from phonobase.web.problems import Refused

__all__ = ["Authenticate", "Scope", "Visitor", "nobody_else"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks.

    Attributes:
        name: Who it is, for the log of access.
        scope: What they may do.
        sources: Which sources they may know of; all of them, with None.
        token_id: The token they showed, if they showed one.
    """

    name: str
    scope: Scope = Scope.READ
    sources: frozenset[str] | None = None
    token_id: UUID | None = None

    def may_know(self, source: str) -> bool:
        """Return whether they may know of a source and what it heard."""
        return self.sources is None or source in self.sources

    def check(self, scope: Scope) -> None:
        """Raise Refused unless they may do what asks for a scope."""
        if not self.scope.includes(scope):
            raise Refused(f"this needs the scope {scope}, and {self.name} has {self.scope}")


class Authenticate(Protocol):
    """How a host says who asks; it runs for every request, in the event loop."""

    async def __call__(self, request: Request, /) -> Visitor | None:
        """Return who makes a request; None refuses it with 401.

        What it raises as ``HTTPException`` is answered as it says.
        """


async def nobody_else(request: Request, /) -> Visitor:  # noqa: ARG001 - what every Authenticate is given
    """Take everyone for the one person at this machine, who may do everything."""
    return Visitor("local", Scope.ADMIN)
