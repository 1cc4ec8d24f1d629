"""The page: files for a browser, which hold nothing of the archive and need no token."""

from __future__ import annotations

import hashlib
import html
import secrets
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
_MISSING = "the page is not built: run scripts/setup page, or install phonobase from a wheel"
_FOREVER = "public, max-age=31536000, immutable"
# The waveform's library brings a style of its own into the page, which only the nonce lets in.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """The files, as they were when the application was made.

    Those that the page refers to carry a digest of all of them in their address, so that a browser keeps
    them for good and never mixes two versions.

    Args:
        by_token: Whether a token lets people in, so that the page asks for one.
        sign_in: Where else they sign in; None where nobody said.
    """

    def __init__(self, *, by_token: bool, sign_in: str | None) -> None:
        contents = _read(files("phonobase.web") / "page/built")
        index = contents.pop(_INDEX, b"").decode()
        digest = hashlib.sha256()
        for name, content in sorted(contents.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.digest = digest.hexdigest()[:16]
        way = 'name="sign-in" content="token"'
        if not by_token:
            index = index.replace(
                way, f'name="sign-in" content="host" data-at="{html.escape(sign_in or "")}"'
            )
        self._index = index.replace('="page/', f'="page/{self.digest}/')
        self._files = contents
        self._etags = {name: f'"{hashlib.sha256(content).hexdigest()}"' for name, content in contents.items()}

    def index(self) -> HTMLResponse:
        """Return what a browser begins with; each time another one, because of its nonce.

        Raises:
            HTTPException: It was never built.
        """
        if not self._index:
            raise HTTPException(503, _MISSING)
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            self._index.replace('nonce=""', f'nonce="{nonce}"'),
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": _POLICY.format(nonce=nonce),
            },
        )

    def file(self, digest: str, name: str, known: str | None) -> Response:
        """Return a file.

        Args:
            digest: Of the version that is asked for.
            name: Its path.
            known: The entity tags that the browser has, as ``If-None-Match`` lists them.

        Raises:
            HTTPException: There is no such file in the version that is served; the page is to be loaded anew.
        """
        content = self._files.get(name) if digest == self.digest else None
        if content is None:
            raise HTTPException(404, "the page has no such file; load it anew")
        headers = {"Cache-Control": _FOREVER, "ETag": self._etags[name]}
        if known is not None and self._etags[name] in known:
            return Response(status_code=304, headers=headers)
        suffix = name[name.rfind(".") :]
        return Response(content, headers=headers, media_type=_MEDIA_TYPES.get(suffix, "text/plain"))


def page_router(*, by_token: bool, sign_in: str | None) -> APIRouter:
    """Return the routes of the page; they are for browsers, and no part of the API's description.

    Args:
        by_token: Whether a token lets people in, so that the page asks for one.
        sign_in: Where else they sign in; None where nobody said.
    """
    page = Page(by_token=by_token, sign_in=sign_in)
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def get_page() -> HTMLResponse:
        return page.index()

    @router.api_route("/page/{digest}/{name}", methods=["GET", "HEAD"])
    async def get_page_file(request: Request, digest: str, name: str) -> Response:
        return page.file(digest, name, request.headers.get("if-none-match"))

    return router


def _read(folder: Traversable) -> dict[str, bytes]:
    """Return the files of a folder by their names; none, where it is not there."""
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()} if folder.is_dir() else {}
