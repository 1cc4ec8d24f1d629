"""Annotations as rows: what people and programs say of stretches of recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import exc, select

from phonobase.errors import AnnotationNotFound, InvalidDetails
from phonobase.store.columns import to_us, with_zone
from phonobase.store.ids import uuid7
from phonobase.store.lookup import not_found
from phonobase.store.models import AnnotationRow, RecordingRow
from phonobase.store.recording import LONGEST, is_number, refuse_unknown, storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from phonobase.store.recording import Recording

_ANNOTATION = cast("sa.Table", AnnotationRow.__table__)
_KIND_CHARACTERS, _AUTHOR_CHARACTERS = 100, 200


class AnnotationConditions(TypedDict, total=False):
    """Which annotations are looked for; what is left out does not matter.

    Attributes:
        source: Only those of this source's recordings.
        kind: Only those of this kind.
        author: Only what this one says.
        since: Only those that reach behind this time, or begin at it.
        until: Only those that begin before this time.
    """

    source: str | None
    kind: str | None
    author: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a person or a program says of a stretch of a recording.

    Attributes:
        id: Its own.
        recording_id: The recording it speaks of.
        source: That recording's.
        started_at: UTC at the stretch's first frame, to the microsecond.
        ended_at: UTC behind its last frame; ``started_at`` for a moment.
        first_frame: Frames of the recording before the stretch.
        frame_count: Frames in it; 0 for a moment.
        kind: What sort of thing is said: note, label, transcript, speech.
        text: What is said, in words.
        score: How sure or how strong, on the author's own scale.
        author: Who says it: a person, or a program and its version.
        created_at: When it was said.
    """

    id: UUID
    recording_id: UUID
    source: str
    started_at: datetime
    ended_at: datetime
    first_frame: int
    frame_count: int
    kind: str
    text: str | None
    score: float | None
    author: str
    created_at: datetime

    @property
    def end_frame(self) -> int:
        """The frame of the recording behind the last one."""
        return self.first_frame + self.frame_count


def annotate(
    session: Session,
    recording: Recording,
    first_frame: int,
    frame_count: int,
    kind: str,
    text: str | None = None,
    score: float | None = None,
    *,
    author: str,
) -> Annotation:
    """Say something of a stretch of a recording; arguments are the attributes of Annotation.

    Raises:
        InvalidDetails: The stretch is not within the frames that are there, or a text cannot be stored.
        RecordingNotFound: The recording was deleted meanwhile.
    """
    first_frame, frame_count = _whole("first_frame", first_frame), _whole("frame_count", frame_count)
    if first_frame < 0 or frame_count < 0 or first_frame + frame_count > recording.frame_count:
        raise InvalidDetails(
            f"{frame_count} frames from frame {first_frame} on are not within recording "
            f"{recording.id.hex}; it has {recording.frame_count}"
        )
    row = {
        "id": uuid7(to_us(created_at := datetime.now(UTC))),
        "recording_id": recording.id,
        "first_frame": first_frame,
        "frame_count": frame_count,
        "kind": _name("kind", kind, _KIND_CHARACTERS),
        "text": storable("text", text),
        "score": None if score is None else _score(score),
        "author": _name("author", author, _AUTHOR_CHARACTERS),
        "created_at": created_at,
    }
    try:
        session.execute(sa.insert(_ANNOTATION), row)
    except exc.IntegrityError as error:
        raise not_found(f"has the id {recording.id.hex}") from error
    return _placed(row, recording.source, recording.started_at, recording.format.sample_rate)


def find_annotations(
    session: Session, recording_id: UUID | None = None, **conditions: Unpack[AnnotationConditions]
) -> list[Annotation]:
    """Return the annotations that meet all conditions, the first to begin first.

    Args:
        session: On the database they are in.
        recording_id: Only those of this recording.
        conditions: What else.
    """
    refuse_unknown(conditions, AnnotationConditions)
    since, until = conditions.get("since"), conditions.get("until")
    statement = select(
        *_ANNOTATION.columns, RecordingRow.source, RecordingRow.started_at, RecordingRow.sample_rate
    ).join(RecordingRow, RecordingRow.id == AnnotationRow.recording_id)
    wanted = {
        AnnotationRow.recording_id: recording_id,
        RecordingRow.source: conditions.get("source"),
        AnnotationRow.kind: conditions.get("kind"),
        AnnotationRow.author: conditions.get("author"),
    }
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(column == value)
    # The recordings that reach into the period; which of their stretches do is a matter of frames.
    if since is not None:
        earliest = with_zone(since)
        statement = statement.where(
            RecordingRow.started_at >= earliest - LONGEST, RecordingRow.ended_at >= earliest
        )
    if until is not None:
        statement = statement.where(RecordingRow.started_at < with_zone(until))
    rows = session.execute(statement).mappings()
    found = (_placed(row, row["source"], row["started_at"], row["sample_rate"]) for row in cast("Any", rows))
    return sorted(_reaching(found, since, until), key=lambda one: (one.started_at, one.first_frame, one.id))


def annotations_within(
    session: Session, recording_id: UUID, first_frame: int, end_frame: int
) -> list[dict[str, Any]]:
    """Return the rows of the annotations that reach into some frames of a recording, or touch them."""
    statement = select(*_ANNOTATION.columns).where(
        AnnotationRow.recording_id == recording_id,
        AnnotationRow.first_frame <= end_frame,
        AnnotationRow.first_frame + AnnotationRow.frame_count >= first_frame,
    )
    ordered = statement.order_by(AnnotationRow.first_frame, AnnotationRow.id)
    return [dict(row) for row in session.execute(ordered).mappings()]


def delete_annotation(session: Session, annotation_id: UUID | str) -> None:
    """Take an annotation back.

    Args:
        session: On the database it is in.
        annotation_id: Its UUID, or the hexadecimal digits of it.

    Raises:
        AnnotationNotFound: There is no such annotation.
    """
    try:
        number = annotation_id if isinstance(annotation_id, UUID) else UUID(annotation_id)
    except ValueError:
        raise AnnotationNotFound(
            f"{annotation_id!r} is no id of an annotation; write its 32 hexadecimal digits"
        ) from None
    deleted = cast(
        "sa.CursorResult[Any]", session.execute(sa.delete(_ANNOTATION).where(AnnotationRow.id == number))
    )
    if deleted.rowcount != 1:
        raise AnnotationNotFound(f"no annotation has the id {number.hex}; it may be deleted already")


def _whole(what: str, value: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InvalidDetails(f"the {what} of an annotation is a whole number; {value!r} is none")
    return int(value)


def _score(score: float) -> float:
    try:
        number = float(score) if is_number(score) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidDetails("a score is a finite number; leave it out where there is none")
    return number


def _name(what: str, text: str, most: int) -> str:
    storable(what, text)
    if not text.strip() or len(text) > most:
        raise InvalidDetails(
            f"the {what} of an annotation has 1 to {most} characters; {text[:most]!r} has not"
        )
    return text


def _placed(row: Any, source: str, started_at: datetime, sample_rate: int) -> Annotation:  # noqa: ANN401
    """Return a row with the time that its frames stand for."""
    first, end = row["first_frame"], row["first_frame"] + row["frame_count"]
    moments = [
        started_at + timedelta(microseconds=frame * 1_000_000 // sample_rate) for frame in (first, end)
    ]
    return Annotation(
        id=row["id"],
        recording_id=row["recording_id"],
        source=source,
        started_at=moments[0],
        ended_at=moments[1],
        first_frame=first,
        frame_count=row["frame_count"],
        kind=row["kind"],
        text=row["text"],
        score=row["score"],
        author=row["author"],
        created_at=row["created_at"],
    )


def _reaching(
    found: Iterator[Annotation], since: datetime | None, until: datetime | None
) -> Iterator[Annotation]:
    for one in found:
        reaches = since is None or one.ended_at > since or one.started_at >= since
        if reaches and (until is None or one.started_at < until):
            yield one
