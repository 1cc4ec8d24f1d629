"""Following an archive: every frame that is committed, once, in parts, as they come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select

from phonobase.errors import InvalidDetails
from phonobase.store.alarm import alarm
from phonobase.store.models import CommitRow, RecordingRow
from phonobase.store.order import order_of
from phonobase.store.position import NOW, START, Position, no_position
from phonobase.store.recording import MAX_SECONDS, Recording, State
from phonobase.store.rows import to_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from phonobase.pcm import Frames
    from phonobase.store.archive import Archive
    from phonobase.store.chunks import StoredChunks

PART_SECONDS = 60.0
"""How much sound a part holds at most, unless the caller says otherwise."""

_LOOK_EVERY_S = 2.0
"""How often a follower looks that nobody wakes up."""

_RECORDINGS_AT_ONCE = 200
_IDS_AT_ONCE = 500
_HIGHEST_ID = UUID(int=2**128 - 1)
_RECORDING = cast("sa.Table", RecordingRow.__table__)


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of a recording that were committed.

    Attributes:
        recording: As it was when this was found; it may be longer by now, or gone.
        first_frame: Frames of the recording before this part.
        frame_count: Frames in it; 0 where a recording is closed whose frames all came before.
        ends: Whether the recording is closed, and this is its last part. One that was taken for dead and is
            continued after all has more parts, and another last one.
    """

    recording: Recording
    first_frame: int
    frame_count: int
    ends: bool
    _position: Position = field(repr=False)
    _stored: StoredChunks = field(repr=False, compare=False)

    @property
    def end_frame(self) -> int:
        """The frame of the recording behind the last one."""
        return self.first_frame + self.frame_count

    @property
    def started_at(self) -> datetime:
        """UTC at its first frame, to the microsecond."""
        return self._moment(self.first_frame)

    @property
    def ended_at(self) -> datetime:
        """UTC behind its last frame."""
        return self._moment(self.end_frame)

    @property
    def position(self) -> str:
        """Where to go on behind this part."""
        return str(self._position)

    def read(self) -> Frames:
        """Return its frames, of shape (frames, channels).

        Raises:
            CorruptRecording: Chunks are missing, as where it was deleted meanwhile, or do not decode.
        """
        return self._stored.array(self.first_frame, self.end_frame)

    def frames(self) -> Iterator[Frames]:
        """Yield what ``read`` returns, block by block, in memory that does not grow."""
        return self._stored.frames(self.first_frame, self.end_frame)

    def _moment(self, frame: int) -> datetime:
        microseconds = self.recording.format.microseconds(frame)
        return self.recording.started_at + timedelta(microseconds=microseconds)


def position_now(archive: Archive, source: str | None) -> str:
    """Return the position behind all that is committed."""
    with archive.one_moment() as session:
        return str(_now(session, source))


def follow(
    archive: Archive,
    source: str | None,
    after: str,
    *,
    idle_seconds: float | None,
    part_seconds: float,
    is_left: Callable[[], bool] = lambda: False,
) -> Generator[Part]:
    """Yield what is committed behind a position; arguments and errors are those of Archive.follow.

    Where it waits in one thread and another one has had enough, ``is_left`` says so, within seconds.
    """
    if not 0 < part_seconds <= MAX_SECONDS:
        raise InvalidDetails(f"parts of {part_seconds:g} s are not possible; choose more than 0, as 60")
    with archive.one_moment() as session:
        position = _beginning(session, source, after)
    return _batches(archive, position, part_seconds, idle_seconds, is_left)


def _batches(
    archive: Archive,
    position: Position,
    part_seconds: float,
    idle_seconds: float | None,
    is_left: Callable[[], bool],
) -> Generator[Part]:
    with alarm(archive.engine) as wait:  # before the first look, so that nothing comes unnoticed between
        if position.until:  # the rest of a batch; what came later is not in it
            position, _ = yield from _batch(archive, position, part_seconds)
        quiet_since = time.monotonic()
        while not is_left():
            position, came = yield from _batch(archive, position, part_seconds)
            now = time.monotonic()
            if came:
                quiet_since = now
            left = inf if idle_seconds is None else quiet_since + idle_seconds - now
            if left <= 0:
                return
            if not came:
                wait(min(left, _LOOK_EVERY_S))


def _batch(
    archive: Archive, position: Position, part_seconds: float
) -> Generator[Part, None, tuple[Position, bool]]:
    """Yield what is left of a batch, a new one where there is none.

    Returns:
        The position behind it, and whether there was anything in it.
    """
    came = False
    while True:
        with archive.one_moment() as session:
            if not position.until:
                position = replace(position, until=order_of(session).now(session))
            page = _page(session, position)
        for place, recording in page:
            more = recording.frame_count if recording.state is not State.COMPLETE else None
            behind = position.behind(place, recording.id, more)
            yield from _parts(archive.stored(recording), position, behind, part_seconds)
            position, came = behind, True
        if len(page) < _RECORDINGS_AT_ONCE:
            return position.behind_batch(), came


def _parts(stored: StoredChunks, position: Position, behind: Position, part_seconds: float) -> Iterator[Part]:
    """Yield the frames of a recording that are not behind a position yet."""
    recording = stored.recording
    taken, closed = position.unfinished.get(recording.id, 0), recording.state is not State.RECORDING
    at_most = max(1, round(part_seconds * recording.format.sample_rate))
    while recording.frame_count - taken > at_most:
        end = taken + at_most
        here = position.within(recording.id, end)
        yield Part(recording, taken, at_most, ends=False, _position=here, _stored=stored)
        taken = end
    if taken < recording.frame_count or closed:
        yield Part(recording, taken, max(0, recording.frame_count - taken), closed, behind, stored)


def _page(session: Session, position: Position) -> list[tuple[int, Recording]]:
    """Return the recordings that come next in a batch, with their places."""
    rows = session.execute(next_recordings(session, position)).mappings()
    return [(row["place"], to_recording(row)) for row in rows]


def next_recordings(session: Session, position: Position) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement that gives the recordings that come next in a batch, each with its ``place``."""
    order = order_of(session)
    # One lower bound: of two SQLite takes the wrong one, and reads from the batch's beginning for every page.
    place, last_id = max((position.place, position.recording_id), (order.old(position.seen), _HIGHEST_ID))
    behind = sa.tuple_(CommitRow.place, CommitRow.recording_id) > sa.tuple_(
        sa.literal(place, CommitRow.place.type), sa.literal(last_id, CommitRow.recording_id.type)
    )
    statement = (
        select(*_RECORDING.columns, CommitRow.place)
        .join(CommitRow, CommitRow.recording_id == RecordingRow.id)
        .where(order.is_new(position.seen, position.until), behind)
        .order_by(CommitRow.place, CommitRow.recording_id)
        .limit(_RECORDINGS_AT_ONCE)
    )
    if position.source is not None:
        statement = statement.where(RecordingRow.source == position.source)
    return statement


def _beginning(session: Session, source: str | None, after: str) -> Position:
    order = order_of(session)
    archive = order.archive(session)
    if after == START:
        return Position(archive, source, order.nothing)
    if after == NOW:
        return _now(session, source)
    position = Position.parse(after)
    if position.archive != archive:
        raise InvalidDetails(
            f"the position is one in another archive; begin this one with {START!r} or {NOW!r}"
        )
    if position.source != source:
        followed = "all sources" if position.source is None else f"source {position.source!r}"
        raise InvalidDetails(f"the position is one of a follower of {followed}; follow that, or begin anew")
    moments = [position.seen, position.until or position.seen]
    if not all(map(order.knows, moments)) or order.height(moments[0]) > order.height(moments[1]):
        raise no_position(after)
    if order.height(moments[1]) > order.height(order.now(session)):
        raise _restored()
    return replace(position, unfinished=_still_there(session, position.unfinished))


def _now(session: Session, source: str | None) -> Position:
    order = order_of(session)
    return Position(
        order.archive(session), source, order.now(session), unfinished=_unfinished(session, source)
    )


def _unfinished(session: Session, source: str | None) -> dict[UUID, int]:
    """Return how many frames the recordings have of which more may come."""
    frames: dict[UUID, int] = {}
    for state in (State.RECORDING, State.INTERRUPTED):
        statement = unfinished_in(state)
        if source is not None:
            statement = statement.where(RecordingRow.source == source)
        frames.update((row.id, row.frame_count) for row in session.execute(statement))
    return frames


def unfinished_in(state: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement that gives the recordings in a state, and their frames."""
    # As a literal: a partial index is used only where its condition can be seen.
    in_state = RecordingRow.state == sa.bindparam(None, str(state), literal_execute=True)
    return select(RecordingRow.id, RecordingRow.frame_count).where(in_state)


def _still_there(session: Session, unfinished: Mapping[UUID, int]) -> dict[UUID, int]:
    """Return what is remembered of recordings without those that were deleted.

    Raises:
        InvalidDetails: One has fewer frames than are remembered.
    """
    ids, there = list(unfinished), dict[UUID, int]()
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        some = RecordingRow.id.in_(ids[begin : begin + _IDS_AT_ONCE])
        for found, frame_count in session.execute(
            select(RecordingRow.id, RecordingRow.frame_count).where(some)
        ):
            if unfinished[found] > frame_count:
                raise _restored()
            there[found] = unfinished[found]
    return there


def _restored() -> InvalidDetails:
    return InvalidDetails(
        "the position is ahead of what this archive holds, as where it was restored from an older backup; "
        f"begin anew with {START!r} or {NOW!r}"
    )
