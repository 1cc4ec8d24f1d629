"""What is said of a take: the annotations of its recordings, placed in its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.audio.labels import Label
from phonobase.store.annotations import annotations_within
from phonobase.store.take import Sound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

    from phonobase.store.database import Database
    from phonobase.store.take import Take

__all__ = ["Label", "labels_of"]


def labels_of(archive: Database, take: Take) -> list[Label]:
    """Return what is said of a take, the first to begin first.

    Of a stretch that the take holds only a part of, that part is labelled; of one that goes on in the take's
    next part, both as one. A moment belongs to the part that holds the frame it stands before; one at the
    very end of a recording, to the part that ends there.

    Args:
        archive: Where the recordings are.
        take: Sound and silence, one behind the other.
    """
    labels: list[Label] = []
    unended: dict[UUID, int] = {}
    with archive.one_moment() as session:
        for offset, part in _sounds(take):
            ends_here: dict[UUID, int] = {}
            for annotation_id, label in _labels_in(session, part, offset):
                before = unended.get(annotation_id)
                if before is not None and labels[before].end_frame == label.first_frame:
                    place, whole = before, _joined(labels[before], label)
                    labels[place] = whole
                else:
                    place = len(labels)
                    labels.append(label)
                if label.frame_count:
                    ends_here[annotation_id] = place
            unended = ends_here
    return sorted(labels, key=lambda label: (label.first_frame, label.frame_count))


def _sounds(take: Take) -> Iterator[tuple[int, Sound]]:
    """Yield the parts that are sound, each with the frames of the take before it."""
    offset = 0
    for part in take.parts:
        if isinstance(part, Sound):
            yield offset, part
        offset += part.frame_count


def _labels_in(session: Session, part: Sound, offset: int) -> Iterator[tuple[UUID, Label]]:
    """Yield what is said of a part, clipped to it, each with the id of its annotation."""
    for row in annotations_within(session, part.recording.id, part.first_frame, part.end_frame):
        begin, end = row["first_frame"], row["first_frame"] + row["frame_count"]
        first, last = max(begin, part.first_frame), min(end, part.end_frame)
        at_the_end = begin == part.end_frame == part.recording.frame_count
        is_moment_here = begin == end and (begin < part.end_frame or at_the_end)
        if first < last or is_moment_here:
            label = Label(
                first - part.first_frame + offset, last - first, row["kind"], row["text"], row["score"]
            )
            yield row["id"], label


def _joined(one: Label, other: Label) -> Label:
    return Label(one.first_frame, one.frame_count + other.frame_count, one.kind, one.text, one.score)
