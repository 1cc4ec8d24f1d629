"""Everything of one archive into another, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phonobase.errors import CorruptRecording, RecordingConflict, StoreError
from phonobase.store import sending
from phonobase.store.engine import plain_errors
from phonobase.store.pusher import BATCH_BYTES, Pusher, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from phonobase.store.archive import Archive
    from phonobase.store.sending import Extent

_ANNOTATED_AT_ONCE = 100
"""Recordings whose annotations are compared at once."""


@dataclass(slots=True)
class Pushed:
    """What a push did.

    Attributes:
        recordings: Recordings that were sent, or of which something was.
        already: Recordings of which the archive had everything.
        deleted: Recordings that were deleted there, and so left out.
        bytes: Bytes of audio that were sent.
        failed: Why others stopped: RecordingConflict or CorruptRecording, one each.
    """

    recordings: int = 0
    already: int = 0
    deleted: int = 0
    bytes: int = 0
    failed: list[StoreError] = field(default_factory=list)


def push(
    ours: Archive,
    theirs: Archive,
    on_bytes: Callable[[int], None] = lambda _bytes: None,
    batch_bytes: int = BATCH_BYTES,
) -> Pushed:
    """Copy everything that another archive has not, the oldest first.

    A recording that is open here is sent as far as it is committed, and is open there.

    Args:
        ours: Where the recordings are.
        theirs: Where they go.
        on_bytes: Called after every transaction with the bytes of audio that are there now and were not
            counted before, those that somebody else had sent included.
        batch_bytes: How much audio goes in one transaction, about.

    Returns:
        What was done, and which recordings stopped: others go on.

    Raises:
        DatabaseUnavailable: One of the two does not work; what was sent before is there.
    """
    pusher, pushed = Pusher(ours, theirs), Pushed()
    here = extents(ours)
    there = pusher.extents(list(here))
    refused: set[UUID] = set()
    for recording_id, extent in here.items():
        if extent.closed and extent == there.get(recording_id):
            pushed.already += 1
            on_bytes(extent.byte_count)
            continue
        try:
            _push_one(pusher, recording_id, on_bytes, batch_bytes, pushed)
        except (RecordingConflict, CorruptRecording) as error:
            pushed.failed.append(error)
            refused.add(recording_id)
    with plain_errors(ours.engine), ours.engine.connect() as connection:
        gaps = sending.all_gaps(connection)
        annotated = sending.annotated(connection)
    conflicts = pusher.send_gaps([gap for gap, inside in gaps.items() if inside not in refused])
    pushed.failed += conflicts.values()
    _push_annotations(pusher, [one for one in annotated if one not in refused], pushed)
    return pushed


def extents(archive: Archive) -> dict[UUID, Extent]:
    """Return how far every recording of an archive goes, the oldest first."""
    with plain_errors(archive.engine), archive.engine.connect() as connection:
        return sending.extents(connection)


def _push_one(
    pusher: Pusher, recording_id: UUID, on_bytes: Callable[[int], None], batch_bytes: int, pushed: Pushed
) -> None:
    standing, sent, counted = Standing.MORE, 0, 0
    while standing is Standing.MORE:
        step = pusher.advance(recording_id, batch_bytes)
        standing, sent = step.standing, sent + step.bytes
        pushed.bytes += step.bytes
        on_bytes(max(0, step.bytes_there - counted))
        counted = max(counted, step.bytes_there)
    if standing is Standing.DELETED:
        pushed.deleted += 1
    elif sent:
        pushed.recordings += 1
    elif standing is not Standing.GONE:
        pushed.already += 1


def _push_annotations(pusher: Pusher, recording_ids: Sequence[UUID], pushed: Pushed) -> None:
    """Send what was said of recordings, also since they were sent."""
    for begin in range(0, len(recording_ids), _ANNOTATED_AT_ONCE):
        try:
            pusher.send_annotations(recording_ids[begin : begin + _ANNOTATED_AT_ONCE])
        except RecordingConflict as error:
            pushed.failed.append(error)
