"""Where a follower of an archive is: a text that it may keep, and go on from."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

from phonobase.errors import InvalidDetails

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "start"
"""Stands for the position before everything, wherever one is asked for."""

NOW = "now"
"""Stands for the position behind all that is committed when the follower begins."""

_NONE = UUID(int=0)
_LARGEST = 2**63 - 1
_SHOWN = 40
_MOMENT = re.compile(r"[0-9]+(:[0-9]+:[0-9,]*)?")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a follower is.

    A batch is what was committed after one moment and not after a later one; moments are written as the
    database has them (phonobase.store.order). Within it recordings come by place and id.

    Attributes:
        archive: Which database it is a position in.
        source: The source that is followed; None for all.
        seen: What was committed at this moment is behind the follower.
        until: The batch's later moment; empty between two batches.
        place: Of the recording that came last in the batch.
        recording_id: That recording.
        unfinished: How many frames of a recording are behind the follower, of all of which more may come.
    """

    archive: str
    source: str | None
    seen: str
    until: str = ""
    place: int = 0
    recording_id: UUID = _NONE
    unfinished: Mapping[UUID, int] = field(default_factory=dict)

    def within(self, recording_id: UUID, frames: int) -> Position:
        """Return the position behind so many frames of the recording that comes next."""
        return replace(self, unfinished={**self.unfinished, recording_id: frames})

    def behind(self, place: int, recording_id: UUID, frames: int | None) -> Position:
        """Return the position behind the recording that comes next.

        Args:
            place: Its place.
            recording_id: The recording.
            frames: How many it had, where more may come.
        """
        left = self.unfinished
        if frames is not None:
            left = {**left, recording_id: frames}
        elif recording_id in left:
            left = {other: taken for other, taken in left.items() if other != recording_id}
        return replace(self, place=place, recording_id=recording_id, unfinished=left)

    def behind_batch(self) -> Position:
        """Return the position behind all of the batch."""
        return replace(self, seen=self.until, until="", place=0, recording_id=_NONE)

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        parts = [
            self.archive,
            self.source,
            self.seen,
            self.until,
            self.place,
            self.recording_id.hex,
            {recording_id.hex: frames for recording_id, frames in self.unfinished.items()},
        ]
        text = json.dumps(parts, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a text stands for.

        Raises:
            InvalidDetails: It stands for none.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            archive, source, seen, until, place, recording_id, unfinished = parts
            found = cls(
                archive=_text(archive),
                source=source if source is None else _text(source),
                seen=_moment(seen),
                until=until and _moment(until),
                place=_number(place),
                recording_id=UUID(recording_id),
                unfinished={UUID(other): _number(frames) for other, frames in unfinished.items()},
            )
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
            found = None
        if found is None or str(found) != text:
            raise no_position(text)
        return found


def no_position(text: object) -> InvalidDetails:
    """Return the error that says that a text stands for no position."""
    shown = text if not isinstance(text, str) or len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return InvalidDetails(
        f"{shown!r} is no position to go on from; pass one that a part had, {START!r} or {NOW!r}"
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(value)
    return value


def _moment(value: object) -> str:
    text = _text(value)
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    return text
