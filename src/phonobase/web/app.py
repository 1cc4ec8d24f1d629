"""The application: the API's routes, the page, and what stands around every request."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from phonobase.store.archive import Archive
from phonobase.web import audio, cuts, gaps, pictures, recordings, sessions, sources, status, uploads
from phonobase.web.guard import Guard
from phonobase.web.headers import Headers
from phonobase.web.log import AccessLog, EventLog
from phonobase.web.problems import Problem, answer_with_problems
from phonobase.web.rates import Rates
from phonobase.web.site import Limits, Site
from phonobase.web.tokens import Tokens
from phonobase.web.visitor import Authenticate, nobody_else


def create_app(
    archive: Archive, *, authenticate: Authenticate = nobody_else, limits: Limits | None = None
) -> FastAPI:
    """Return an archive as an application, to be run by itself or mounted under a prefix of another one.

    Args:
        archive: What it serves; whoever made it closes it.
        authenticate: Who makes a request. Unless it is given, whoever reaches the application may do
            everything: right only where nobody else does.
        limits: How much one request may ask for.
    """
    app = FastAPI(
        title="phonobase",
        version=version("phonobase"),
        summary="A recording archive: every second is there, provably unaltered, or listed as a gap.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load its program from elsewhere
        redoc_url=None,
    )
    app.state.site = site = Site(archive, authenticate, limits or Limits())
    app.state.uploads = uploads.Uploads(app.state.site.limits)
    answer_with_problems(app)
    for router in (
        audio.router,
        cuts.router,
        sources.router,
        gaps.router,
        status.router,
        recordings.router,
        sessions.router,
        uploads.router,
        pictures.router,
    ):
        app.include_router(router, prefix="/api")
    if isinstance(authenticate, Tokens):
        app.include_router(sessions.sessions(authenticate), prefix="/api")
    _describe_problems(app)
    # The last one stands outermost.
    app.add_middleware(Guard, site=site, rates=Rates(site.limits))
    app.add_middleware(AccessLog, events=EventLog(archive))
    app.add_middleware(Headers)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the shape of problems into the description of the API, which no route returns as such."""
    described = app.openapi

    def openapi() -> dict[str, object]:
        description = described()
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema())
        return description

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI documents it
