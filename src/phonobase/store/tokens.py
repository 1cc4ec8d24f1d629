"""Tokens: who may ask over HTTP, what for, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from phonobase.errors import InvalidDetails, TokenNotFound
from phonobase.store.columns import to_us, with_zone
from phonobase.store.credential import Credential
from phonobase.store.ids import uuid7
from phonobase.store.models import SessionRow, TokenRow
from phonobase.store.recording import source_name

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from phonobase.store.database import Database

KIND = "phono"

_TOKEN = cast("sa.Table", TokenRow.__table__)
_SESSION = cast("sa.Table", SessionRow.__table__)
_NAME_CHARACTERS = 200


class Scope(StrEnum):
    """What somebody may do; each includes the one before.

    Attributes:
        READ: Look and listen.
        WRITE: Add recordings, too, and change what is said of them.
        ADMIN: See what the service does, too: metrics, and the log of access.
    """

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        """Return whether who has this scope may do what asks for the other."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; its secret is not.

    Attributes:
        id: Its own.
        name: Whose it is: a person, or a program.
        scope: What they may do.
        sources: The sources it is for; all of them, with None.
        created_at: When it was made.
        expires_at: When it ends; never, with None.
        revoked_at: When it was taken back, if it was.
    """

    id: UUID
    name: str
    scope: Scope
    sources: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def flaw(self, moment: datetime) -> str | None:
        """Return why it is not good at a moment, in a word; None where it is."""
        if self.revoked_at is not None and self.revoked_at <= moment:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= moment else None


def create_token(
    database: Database,
    name: str,
    scope: Scope,
    sources: Collection[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Make a token, and return it with the word to show, which is kept nowhere.

    Args:
        database: The archive it is for.
        name: Whose it is: 1 to 200 printable characters.
        scope: What they may do.
        sources: The sources it is for; they need not be there yet. All of them, with None.
        expires_at: When it ends; never, with None.

    Raises:
        InvalidDetails: The name or a source cannot be stored, or it would be over already.
    """
    if not 1 <= len(name) <= _NAME_CHARACTERS or not name.isprintable() or not name.strip():
        raise InvalidDetails(
            f"{name!r} cannot name a token; use 1 to {_NAME_CHARACTERS} printable characters"
        )
    now = datetime.now(UTC)
    if expires_at is not None and with_zone(expires_at) <= now:
        raise InvalidDetails(f"a token that ends at {expires_at} would be over already; name a later time")
    token = Token(
        id=uuid7(to_us(now)),
        name=name,
        scope=scope,
        sources=None if sources is None else frozenset(map(source_name, sources)),
        created_at=now,
        expires_at=expires_at and expires_at.astimezone(UTC),
        revoked_at=None,
    )
    credential = Credential.new(KIND, token.id)
    row = {
        "id": token.id,
        "name": name,
        "secret_sha256": credential.sha256(),
        "scope": scope,
        "sources": None if token.sources is None else sorted(token.sources),
        "created_at": now,
        "expires_at": token.expires_at,
    }
    with database.session(writes=True) as session, session.begin():
        session.execute(sa.insert(_TOKEN), row)
    return token, credential.word()


def all_tokens(database: Database) -> list[Token]:
    """Return all tokens, those that are over among them, the oldest first."""
    with database.session() as session:
        rows = session.execute(sa.select(*_TOKEN.columns).order_by(TokenRow.id)).mappings()
        return [to_token(row) for row in rows]


def revoke_token(database: Database, token_id: UUID) -> Token:
    """Take a token back, and end the sessions that were begun with it; return it as it is now.

    Raises:
        TokenNotFound: There is none of that id.
    """
    here = TokenRow.id == token_id
    with database.session(writes=True) as session, session.begin():
        first = sa.func.coalesce(TokenRow.revoked_at, sa.bindparam("now", datetime.now(UTC)))
        session.execute(sa.update(_TOKEN).where(here).values(revoked_at=first))
        session.execute(sa.delete(_SESSION).where(SessionRow.token_id == token_id))
        row = session.execute(sa.select(*_TOKEN.columns).where(here)).mappings().one_or_none()
    if row is None:
        raise TokenNotFound(f"no token has the id {token_id.hex}; see them with: phonobase tokens list")
    return to_token(row)


def token_shown(database: Database, word: str) -> Token | None:
    """Return the token whose secret a word holds, be it good or over; None where it holds none's."""
    credential = Credential.parse(KIND, word)
    if credential is None:
        return None
    with database.session() as session:
        statement = sa.select(*_TOKEN.columns).where(TokenRow.id == credential.id)
        row = session.execute(statement).mappings().one_or_none()
    return to_token(row) if row is not None and credential.is_of(row["secret_sha256"]) else None


def to_token(row: Any) -> Token:  # noqa: ANN401 - a row of phono_token, or one that has its columns
    """Return a row as a token."""
    return Token(
        id=row["id"],
        name=row["name"],
        scope=Scope(row["scope"]),
        sources=None if row["sources"] is None else frozenset(row["sources"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
