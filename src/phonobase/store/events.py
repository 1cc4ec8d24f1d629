"""The log of access: what was asked for over HTTP, by whom, from where, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from phonobase.store.columns import to_us, with_zone
from phonobase.store.ids import uuid7
from phonobase.store.models import EventRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from phonobase.store.database import Database

_EVENT = cast("sa.Table", EventRow.__table__)
_NAME_CHARACTERS, _ACTION_CHARACTERS, _DETAIL_CHARACTERS = 200, 100, 1000
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """A request.

    Attributes:
        id: Its own.
        at: When it was asked for, in UTC.
        who: Name of who asked, if it is known.
        token_id: The token they showed, if any.
        address: Network address it came from.
        action: What was asked for: get_audio, edit_recording.
        source: The source it concerned, if one.
        recording_id: The recording it concerned, if one.
        detail: More: a range of bytes, why it was refused.
        status: HTTP status it was answered with; 102 for a change before it is made.
    """

    id: UUID
    at: datetime
    who: str | None
    token_id: UUID | None
    address: str | None
    action: str
    source: str | None
    recording_id: UUID | None
    detail: str | None
    status: int


def new_event(
    at: datetime,
    action: str,
    status: int,
    *,
    who: str | None = None,
    token_id: UUID | None = None,
    address: str | None = None,
    source: str | None = None,
    recording_id: UUID | None = None,
    detail: str | None = None,
) -> Event:
    """Return an event as both databases take it, each text in one line and not too long.

    Whoever asks chooses some of these texts: none may look like another line, or fill the disk.
    """
    return Event(
        id=uuid7(to_us(at)),
        at=at,
        who=_line(who, _NAME_CHARACTERS),
        token_id=token_id,
        address=_line(address, _NAME_CHARACTERS),
        action=_line(action, _ACTION_CHARACTERS) or "unknown",
        source=_line(source, _NAME_CHARACTERS),
        recording_id=recording_id,
        detail=_line(detail, _DETAIL_CHARACTERS),
        status=status,
    )


def add_events(database: Database, events: Sequence[Event]) -> None:
    """Write events, in one transaction, which is committed on return."""
    with database.session(writes=True) as session, session.begin():
        session.execute(sa.insert(_EVENT), [asdict(event) for event in events])


def find_events(
    database: Database,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    who: str | None = None,
    recording_id: UUID | None = None,
    limit: int | None = None,
) -> list[Event]:
    """Return the events that meet all conditions, the newest first; of a change what became of it before it.

    Args:
        database: The archive whose log it is.
        since: Only those at this time or later.
        until: Only those before this time.
        who: Only what this one asked for.
        recording_id: Only what concerned this recording.
        limit: At most so many.
    """
    statement = (
        sa.select(*_EVENT.columns)
        .order_by(EventRow.at.desc(), EventRow.status.desc(), EventRow.id.desc())
        .limit(limit)
    )
    if since is not None:
        statement = statement.where(EventRow.at >= with_zone(since))
    if until is not None:
        statement = statement.where(EventRow.at < with_zone(until))
    if who is not None:
        statement = statement.where(EventRow.who == who)
    if recording_id is not None:
        statement = statement.where(EventRow.recording_id == recording_id)
    with database.session() as session:
        return [Event(**row) for row in session.execute(statement).mappings()]


def prune_events(database: Database, before: datetime) -> int:
    """Delete the events of before a time, a part at a time, and return how many there were."""
    oldest = sa.select(EventRow.id).where(EventRow.at < with_zone(before)).limit(_ROWS_AT_ONCE)
    deleted = 0
    while True:
        with database.session(writes=True) as session, session.begin():
            result = session.execute(sa.delete(_EVENT).where(EventRow.id.in_(oldest)))
        count = cast("sa.CursorResult[Any]", result).rowcount
        deleted += count
        if count < _ROWS_AT_ONCE:
            return deleted


def _line(text: str | None, most: int) -> str | None:
    """Return a text without what would begin a new line, steer a terminal, or not be stored."""
    if text is None:
        return None
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:most])
