"""Who asks an archive that lets in only who shows a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastapi.testclient import TestClient

from phonobase.store.tokens import Scope, Token, create_token
from phonobase.web import Limits, create_app
from phonobase.web.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from phonobase import Archive
    from tests.store.judge import Program

HERE = "http://localhost:8123"
NOWHERE = "ffffffffffff7fffbfffffffffffffff"
"""The id of no recording."""


@dataclass(frozen=True)
class Guest:
    """Somebody with a token, and how they show it."""

    token: Token
    word: str

    @property
    def shows(self) -> dict[str, str]:
        """The headers that show the token."""
        return {"Authorization": f"Bearer {self.word}"}


def guest(
    archive: Archive, scope: str = "read", *sources: str, name: str = "Anna", until: datetime | None = None
) -> Guest:
    """Makes somebody a token."""
    return Guest(*create_token(archive, name, Scope(scope), sources or None, until))


def door(
    archive: Archive,
    *,
    open_here: bool = False,
    limits: Limits | None = None,
    base_url: str = HERE,
    root_path: str = "",
) -> TestClient:
    """Returns a client of the archive as `phonobase serve` serves it, who shows nothing."""
    app = create_app(archive, authenticate=Tokens(archive, open_here=open_here), limits=limits)
    return TestClient(app, base_url=base_url, root_path=root_path)


def signed_in(client: TestClient, somebody: Guest) -> TestClient:
    """Lets the client have the cookie of a session, as a browser has it."""
    answer = client.post("/api/session", json={"token": somebody.word}, headers={"Origin": origin(client)})
    assert answer.status_code == 204, answer.text
    return client


def origin(client: TestClient) -> str:
    """Returns the origin of the pages that the client serves."""
    return str(client.base_url).rstrip("/")


class Answer(Protocol):
    """What a client gets, whichever client it is."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def content(self) -> bytes:
        """The body."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""


def told(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """Returns everything that somebody learns from an answer but the time."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.content, headers


def logged(program: Program, what: str = "who, action, status") -> list[str]:
    """Returns the log of access as the database's own program has it, the oldest first."""
    return program.lines(f"SELECT {what} FROM phono_event ORDER BY at, status, id")
