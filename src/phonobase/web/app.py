"""The application: the API's routes, the page, and what stands around every request."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from phonobase.store.archive import Archive
from phonobase.web import (
    audio,
    cuts,
    gaps,
    health,
    live,
    metrics,
    pictures,
    recordings,
    sessions,
    sources,
    status,
    timeline,
    uploads,
)
from phonobase.web.description import DESCRIPTION, SUMMARY, TAGS, TOKEN_SCHEMES, describe, operation_id
from phonobase.web.guard import Guard
from phonobase.web.headers import Headers
from phonobase.web.log import AccessLog, EventLog
from phonobase.web.metrics import Measured, Metrics
from phonobase.web.page import page_router
from phonobase.web.problems import answer_with_problems
from phonobase.web.rates import Rates
from phonobase.web.site import Limits, Site
from phonobase.web.tokens import Tokens
from phonobase.web.visitor import Authenticate, nobody_else


def create_app(
    archive: Archive,
    *,
    authenticate: Authenticate = nobody_else,
    limits: Limits | None = None,
    sign_in: str | None = None,
) -> FastAPI:
    """Return an archive as an application, to be run by itself or mounted under a prefix of another one.

    Args:
        archive: What it serves; whoever made it closes it.
        authenticate: Who makes a request. Unless it is given, whoever reaches the application may do
            everything: right only where nobody else does.
        limits: How much one request may ask for.
        sign_in: Where people sign in that ``authenticate`` does not know, as "/login": the page leads there.
            It is not needed with Tokens, for which the page asks by itself.
    """
    app = FastAPI(
        title="phonobase",
        version=version("phonobase"),
        summary=SUMMARY,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        generate_unique_id_function=operation_id,
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load its program from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = site = Site(archive, authenticate, limits or Limits())
    app.state.metrics = Metrics(archive)
    app.state.uploads = uploads.Uploads(app.state.site.limits)
    by_token = isinstance(authenticate, Tokens)
    answer_with_problems(app, by_token=by_token)
    for router in (
        audio.router,
        cuts.router,
        sources.router,
        gaps.router,
        status.router,
        health.router,
        metrics.router,
        recordings.router,
        sessions.router,
        uploads.router,
        pictures.router,
        timeline.router,
        live.router,
    ):
        app.include_router(router, prefix="/api")
    if isinstance(authenticate, Tokens):
        app.include_router(sessions.sessions(authenticate), prefix="/api")
    app.include_router(page_router(by_token=by_token, sign_in=sign_in))
    describe(app, TOKEN_SCHEMES if isinstance(authenticate, Tokens) else {})
    # The last one stands outermost.
    app.add_middleware(Guard, site=site, rates=Rates(site.limits))
    app.add_middleware(AccessLog, events=EventLog(archive))
    app.add_middleware(Headers)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app
