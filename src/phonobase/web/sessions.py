"""Who is asking, and sessions: what a browser has instead of showing its token each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from phonobase.store.sessions import begin_session as begin
from phonobase.store.sessions import end_session as end
from phonobase.store.tokens import token_shown
from phonobase.web.admission import admission_of, from_here
from phonobase.web.cookie import clear_cookie, set_cookie, shown_cookies
from phonobase.web.log import entry_of
from phonobase.web.problems import answers
from phonobase.web.site import site_of
from phonobase.web.tokens import Tokens, shown_word
from phonobase.web.visit import Reading
from phonobase.web.visitor import Scope

_LASTS = timedelta(days=7)
_TOKEN_CHARACTERS = 200

router = APIRouter(tags=["session"])


class Me(BaseModel):
    """Who asks, as the archive sees them."""

    name: str = Field(description="the token's name", examples=["Anna"])
    scope: Scope = Field(description="what they may do; each includes the one before")
    sources: list[str] | None = Field(description="the sources they may know of; all, if null")
    session: bool = Field(description="whether they show the cookie of a session, which they can end")


class Shown(BaseModel):
    """What begins a session."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(
        max_length=_TOKEN_CHARACTERS, description="a token, as it was printed when it was made"
    )


@router.get("/me", responses=answers())
def get_me(visit: Reading, request: Request) -> Me:
    """Tell who asks, and what they may."""
    visitor = visit.visitor
    return Me(
        name=visitor.name,
        scope=visitor.scope,
        sources=None if visitor.sources is None else sorted(visitor.sources),
        session=shown_word(request) is None and bool(shown_cookies(request)),
    )


def sessions(tokens: Tokens) -> APIRouter:
    """Return the routes by which browsers begin and end sessions, where tokens let them in."""
    routes = APIRouter(tags=["session"], dependencies=[Depends(from_here)])

    @routes.post(
        "/session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=answers(400, 408, 413),
        openapi_extra={"security": []},
    )
    def begin_session(shown: Shown, request: Request) -> Response:
        """Begin a session: the answer brings a cookie that is as good as the token, for a week at most."""
        admission = admission_of(request)
        archive = site_of(request).archive
        token = token_shown(archive, shown.token)
        visitor = tokens.taken(request, token)
        if token is None or visitor is None:
            admission.refuse_unknown()
        admission.count(visitor)
        entry_of(request).begin()
        word, expires_at = begin(archive, token, _LASTS)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        set_cookie(response, request, word, int((expires_at - datetime.now(UTC)).total_seconds()))
        return response

    @routes.delete("/session", status_code=HTTPStatus.NO_CONTENT, responses=answers())
    def end_session(request: Request) -> Response:
        """End the session whose cookie is shown, for good; without one nothing is done."""
        archive = site_of(request).archive
        if words := shown_cookies(request):
            token = tokens.session(words)
            tokens.taken(request, token)
            if token is None:
                admission_of(request).count_refused()
            else:
                entry_of(request).begin()
            for word in words:
                end(archive, word)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        clear_cookie(response, request)
        return response

    return routes
