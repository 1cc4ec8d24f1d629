"""Which recording is meant: by its id, by the end of it, or by being the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import func, select

from phonobase.errors import RecordingNotFound
from phonobase.store.models import RecordingRow, SourceRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

LAST = "last"
"""Stands for the recording that began last, wherever an id is asked for."""

HINT = "; see what there is with: phonobase list"
"""What the error says that no recording answers, for those who have the command line."""

_FEWEST_DIGITS = 4


def resolve(session: Session, recording_id: UUID | str) -> UUID:
    """Return the full id that a shortened one stands for; a full one is not looked up.

    Raises:
        RecordingNotFound: No recording, or more than one, answers to it.
    """
    if isinstance(recording_id, UUID):
        return recording_id
    if recording_id == LAST:
        return _newest(session)
    digits = recording_id.replace("-", "").lower()
    try:
        return UUID(digits)
    except ValueError:
        return _by_end(session, recording_id, digits)


def newest_first() -> tuple[sa.UnaryExpression[Any], sa.UnaryExpression[Any]]:
    """Return what to order recordings by, so that the one that began last comes first."""
    return RecordingRow.started_at.desc(), RecordingRow.id.desc()


def not_found(what: str) -> RecordingNotFound:
    """Return the error that says that no recording does or has something."""
    return RecordingNotFound(f"no recording {what}{HINT}")


def check_source(session: Session, name: str) -> None:
    """Raise RecordingNotFound, naming those that there are, unless there is a source of that name."""
    known = list(session.scalars(select(SourceRow.name).order_by(SourceRow.name)))
    if name not in known:
        raise no_source(name, known)


def no_source(name: str, known: Sequence[str]) -> RecordingNotFound:
    """Return the error that says that there is no source of a name, and which there are."""
    return RecordingNotFound(f"no source {name!r}; there are: {', '.join(known) or 'none yet'}")


def _newest(session: Session) -> UUID:
    newest = session.scalar(select(RecordingRow.id).order_by(*newest_first()).limit(1))
    if newest is None:
        raise RecordingNotFound("no recording is in this archive yet; make one with: phonobase record")
    return newest


def _by_end(session: Session, recording_id: str, digits: str) -> UUID:
    if len(digits) < _FEWEST_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise RecordingNotFound(
            f"{recording_id!r} is no id; write its 32 hexadecimal digits, the last "
            f"{_FEWEST_DIGITS} or more of them, or {LAST!r} (phonobase list shows ids)"
        )
    text = func.replace(sa.cast(RecordingRow.id, sa.Text), "-", "")
    found = session.scalars(select(RecordingRow.id).where(text.endswith(digits)).limit(3)).all()
    if not found:
        raise not_found(f"has an id that ends in {digits!r}")
    if len(found) > 1:
        raise RecordingNotFound(
            f"more than one recording ends in {digits!r}, "
            f"as {found[0].hex} and {found[1].hex}; write more digits"
        )
    return found[0]
