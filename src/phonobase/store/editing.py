"""What people say of a recording, said anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

import sqlalchemy as sa

from phonobase.store.models import RecordingRow
from phonobase.store.recording import WORDS, all_tags, json_object, refuse_unknown, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

_RECORDING = cast("sa.Table", RecordingRow.__table__)


class Changes(TypedDict, total=False):
    """What is to be said of a recording; what is not given stays. None and an empty text clear.

    Attributes:
        title: For people; at most 1,000 characters.
        notes: For people, longer; at most 65,536 characters.
        external_id: What the recording is called elsewhere: an order, a call, a case; at most 500 characters.
        tags: Names to values that are set; other tags stay. All of them are at most 65,536 bytes of JSON.
        untag: Names of tags that are taken away before; those that are not there are no matter.
    """

    title: str | None
    notes: str | None
    external_id: str | None
    tags: Mapping[str, Any]
    untag: Iterable[str]


def edit(session: Session, recording_id: UUID, changes: Changes) -> None:
    """Change what is said of a recording; where there is none, nothing is done.

    Raises:
        InvalidDetails: A text or a tag cannot be stored, or would be too long.
    """
    refuse_unknown(changes, Changes)
    values: dict[str, Any] = {name: words(name, changes[name]) or None for name in WORDS if name in changes}
    set_tags, taken = json_object("tags", changes.get("tags")), set(changes.get("untag", ()))
    if set_tags or taken:
        # Locked, so that two who change different tags at once both have their way. Chunks may still come.
        there = sa.select(RecordingRow.tags).where(RecordingRow.id == recording_id)
        tags = session.scalar(there.with_for_update(key_share=True)) or {}
        left = {name: value for name, value in tags.items() if name not in taken}
        # Taking away is right also where so much stays that an older version took.
        values["tags"] = all_tags(left | set_tags) if set_tags else left
    if values:
        session.execute(sa.update(_RECORDING).where(RecordingRow.id == recording_id).values(values))
