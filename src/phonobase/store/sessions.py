"""Sessions: browsers that showed a token once, and show a word of their own since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from phonobase.store.columns import to_us
from phonobase.store.credential import Credential
from phonobase.store.ids import uuid7
from phonobase.store.models import SessionRow, TokenRow
from phonobase.store.tokens import Token, to_token

if TYPE_CHECKING:
    from phonobase.store.database import Database

KIND = "session"

_TOKEN = cast("sa.Table", TokenRow.__table__)
_SESSION = cast("sa.Table", SessionRow.__table__)


def begin_session(database: Database, token: Token, lasts: timedelta) -> tuple[str, datetime]:
    """Begin a session, and return the word to show and when it ends: with the token, at the latest.

    Sessions that are over are forgotten.
    """
    now = datetime.now(UTC)
    expires_at = min(now + lasts, token.expires_at or datetime.max.replace(tzinfo=UTC))
    credential = Credential.new(KIND, uuid7(to_us(now)))
    row = {
        "id": credential.id,
        "token_id": token.id,
        "secret_sha256": credential.sha256(),
        "created_at": now,
        "expires_at": expires_at,
    }
    with database.session(writes=True) as session, session.begin():
        session.execute(sa.delete(_SESSION).where(SessionRow.expires_at <= now))
        session.execute(sa.insert(_SESSION), row)
    return credential.word(), expires_at


def session_shown(database: Database, word: str) -> Token | None:
    """Return the token of the session whose secret a word holds; None where there is none, or it is over.

    The token may be over itself.
    """
    credential = Credential.parse(KIND, word)
    if credential is None:
        return None
    statement = (
        sa.select(*_TOKEN.columns, SessionRow.secret_sha256.label("session_sha256"))
        .join(SessionRow, SessionRow.token_id == TokenRow.id)
        .where(SessionRow.id == credential.id, SessionRow.expires_at > datetime.now(UTC))
    )
    with database.session() as session:
        row = session.execute(statement).mappings().one_or_none()
    return to_token(row) if row is not None and credential.is_of(row["session_sha256"]) else None


def end_session(database: Database, word: str) -> None:
    """Forget the session whose secret a word holds; where there is none, nothing is done."""
    credential = Credential.parse(KIND, word)
    if credential is None:
        return
    with database.session(writes=True) as session, session.begin():
        session.execute(
            sa.delete(_SESSION).where(
                SessionRow.id == credential.id, SessionRow.secret_sha256 == credential.sha256()
            )
        )
