"""An office's own program with the archive in it, for the people whom the office knows.

It needs ``pip install 'phonobase[web]'``; run it with
``PHONOBASE_DB=sqlite:///office.db uvicorn --factory examples.fastapi_office:create_app``.
"""

import contextlib
import os
from collections.abc import AsyncGenerator

from fastapi import FastAPI, Request

from phonobase import Archive
from phonobase.web import Scope, Visitor
from phonobase.web import create_app as archive_app

DESKS = {"anna": {"desk-1", "desk-2"}, "ben": {"desk-3"}}
"""Who looks after which desks."""


async def colleague(request: Request, /) -> Visitor | None:
    """Return who asks, by what the office's proxy says, which lets nobody else say it."""
    name = request.headers.get("X-Remote-User")
    if name == "chief":
        return Visitor(name, Scope.ADMIN)
    return Visitor(name, Scope.WRITE, frozenset(DESKS[name])) if name in DESKS else None


def create_app(url: str | None = None) -> FastAPI:
    """Return the program.

    Args:
        url: Where the recordings are; what PHONOBASE_DB names, where not given.
    """
    archive = Archive(url or os.environ.get("PHONOBASE_DB", "sqlite:///office.db"))

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        with archive:
            yield

    app = FastAPI(title="Office", lifespan=lifespan)
    app.get("/desks")(list_desks)
    app.mount("/recordings", archive_app(archive, authenticate=colleague))
    return app


def list_desks() -> dict[str, list[str]]:
    """List the desks."""
    return {"desks": sorted(set().union(*DESKS.values()))}
