"""A stretch of a source's time as files: what was heard, and what was not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy import bindparam, select

from phonobase.errors import GapInCut, InvalidDetails
from phonobase.store.columns import from_us, to_us, with_zone
from phonobase.store.cutting import ROUNDED_US, Hole, Piece, cut_up, unheard, unmeasured
from phonobase.store.gaps import accounted_until, find_gaps
from phonobase.store.lookup import check_source
from phonobase.store.models import RecordingRow
from phonobase.store.recording import LONGEST
from phonobase.store.rows import to_recording
from phonobase.store.take import Silence, Sound, Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from phonobase.pcm import AudioFormat
    from phonobase.store.coverage import Gap
    from phonobase.store.recording import Recording


_FIRST = datetime.min.replace(tzinfo=UTC)
# Put together once: that takes as long as asking.
_REACHING = (
    select(*cast("sa.Table", RecordingRow.__table__).columns)
    .where(
        RecordingRow.source == bindparam("source"),
        RecordingRow.started_at >= bindparam("longest_before"),
        RecordingRow.started_at < bindparam("until"),
        RecordingRow.ended_at > bindparam("since"),
    )
    .order_by(RecordingRow.started_at, RecordingRow.id)
)


class GapPolicy(StrEnum):
    """What a cut makes of time without sound."""

    SILENCE = "silence"
    """Silence of its length, so that every sound keeps its place in time."""
    SPLIT = "split"
    """The end of a file: each holds a stretch without a gap."""
    ERROR = "error"
    """A refusal."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of a source's time.

    What was heard and the gaps add up to the period, to the microsecond.

    Attributes:
        source: Whose time.
        since: Its beginning, in UTC.
        until: Its end.
        policy: What was made of time without sound.
        takes: What goes into files, one after the other; more than one where the format changes, or where
            the gaps split it; none where nothing was heard.
        gaps: What was not heard, clipped to the period, the first to begin first. What no row accounts for
            has the cause ``unrecorded``.
    """

    source: str
    since: datetime
    until: datetime
    policy: GapPolicy
    takes: tuple[Take, ...]
    gaps: tuple[Gap, ...]

    @property
    def lost_us(self) -> int:
        """Microseconds of the period that were not heard."""
        return sum((gap.ended_at - gap.started_at) // timedelta(microseconds=1) for gap in self.gaps)


def cut(session: Session, source: str, since: datetime, until: datetime, gaps: str) -> Cut:
    """Return a stretch of a source's time; arguments and errors are those of Archive.cut."""
    policy = _policy(gaps)
    since, until = with_zone(since).astimezone(UTC), with_zone(until).astimezone(UTC)
    if until <= since:
        advice = "give it a length" if until == since else "swap the two"
        raise InvalidDetails(f"a cut cannot end at {until}, where it begins at {since}; {advice}")
    recordings = _recordings(session, source, since, until)
    listed = find_gaps(session, source, since, until)
    if not recordings:
        check_source(session, source)
    # A recorder's clock may be ahead of this one.
    if until > datetime.now(UTC) and until > (accounted_until(session, source) or since):
        raise InvalidDetails(f"a cut cannot end at {until}, which is still to come; end it now or earlier")
    return _cut_of(Cut(source, since, until, policy, (), ()), recordings, listed)


def _policy(name: str) -> GapPolicy:
    try:
        return GapPolicy(name)
    except ValueError:
        choices = ", ".join(GapPolicy)
        raise InvalidDetails(f"no policy {name!r} for gaps; choose one of {choices}") from None


def _recordings(session: Session, source: str, since: datetime, until: datetime) -> list[Recording]:
    """Return the recordings that reach into a stretch, in the order of their beginning."""
    values = {
        "source": source,
        "longest_before": max(since, _FIRST + LONGEST) - LONGEST,
        "since": since,
        "until": until,
    }
    return [to_recording(row) for row in session.execute(_REACHING, values).mappings()]


def _cut_of(asked: Cut, recordings: Sequence[Recording], gaps: Sequence[Gap]) -> Cut:
    """Return a cut with its takes and gaps, from the recordings and gaps that reach into it."""
    source, policy = asked.source, asked.policy
    items = cut_up(recordings, gaps, to_us(asked.since), to_us(asked.until))
    holes = [item for item in items if isinstance(item, Hole)]
    sounds = [item.sound for item in items if isinstance(item, Piece)]
    lost = sorted(
        [*unheard(holes, recordings, gaps, source), *unmeasured(sounds, gaps)],
        key=lambda gap: gap.started_at,
    )
    if policy is GapPolicy.ERROR and lost:
        first, which = lost[0], "the only gap" if len(lost) == 1 else f"the first of {len(lost)} gaps"
        raise GapInCut(
            f"{source} was not heard from {first.started_at.isoformat()} to {first.ended_at.isoformat()} "
            f"({first.cause}), {which}; cut with silence in its place, or split there"
        )
    takes = _split(source, items) if policy is GapPolicy.SPLIT else _in_place(source, items)
    return replace(asked, takes=tuple(takes), gaps=tuple(lost))


@dataclass(slots=True)
class _Open:
    """A take that is being put together."""

    source: str
    format: AudioFormat
    start_us: int
    parts: list[Sound | Silence] = field(default_factory=list)
    frame_count: int = 0

    def wait_until(self, time_us: int) -> None:
        """Fill up with silence until what comes next has its place in time."""
        asked = ((time_us - self.start_us) * self.format.sample_rate + 500_000) // 1_000_000
        self._add(Silence(asked - self.frame_count))

    def wait_for(self, piece: Piece, early_us: int) -> None:
        """Likewise; what lies between frames of one recording is counted in frames.

        Args:
            piece: What comes next.
            early_us: By how much it may come too early.
        """
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Sound) and last.recording is piece.sound.recording:
            self._add(Silence(piece.sound.first_frame - last.end_frame))
        else:
            self.wait_until(piece.start_us - early_us)

    def play(self, sound: Sound) -> None:
        """Go on with sound; silence for a loss in its recording is in the recording itself."""
        match self.parts:
            case [*_, Sound() as last, Silence() as between]:
                silent = between.frame_count
            case [*_, Sound() as last]:
                silent = 0
            case _:
                self._add(sound)
                return
        if last.recording is not sound.recording or last.end_frame + silent != sound.first_frame:
            self._add(sound)
            return
        del self.parts[-2 if silent else -1 :]
        self.frame_count -= last.frame_count + silent
        self._add(Sound(last.recording, last.first_frame, sound.end_frame - last.first_frame))

    def closed(self) -> Take:
        return Take(self.source, self.format, from_us(self.start_us), tuple(self.parts))

    def _add(self, part: Sound | Silence) -> None:
        if part.frame_count > 0:
            self.parts.append(part)
            self.frame_count += part.frame_count


def _in_place(source: str, items: Sequence[Piece | Hole]) -> list[Take]:
    """Return takes in which every frame has its place in time: one, unless the format changes."""
    takes: list[Take] = []
    take: _Open | None = None
    hole: Hole | None = None
    for item in items:
        if isinstance(item, Hole):
            hole = Hole(hole.start_us, item.end_us) if hole else item
            continue
        form = item.sound.recording.format
        if take is not None and take.format != form:
            takes.append(_closed(take, hole))
            take = hole = None
        if take is None:
            take = _Open(source, form, hole.start_us if hole else item.start_us)
        # Also without a hole: where one recording takes over from another, frames begin at other instants.
        take.wait_for(item, early_us=0 if hole else ROUNDED_US)
        hole = None
        take.play(item.sound)
    return [*takes, _closed(take, hole)] if take is not None else takes


def _closed(take: _Open, hole: Hole | None) -> Take:
    """Return a take with the time behind its last sound."""
    if hole is not None:
        take.wait_until(hole.end_us)
    return take.closed()


def _split(source: str, items: Sequence[Piece | Hole]) -> list[Take]:
    """Return a take for every stretch without a gap and of one format."""
    takes: list[Take] = []
    take: _Open | None = None
    for item in items:
        ends = isinstance(item, Hole) or (take is not None and take.format != item.sound.recording.format)
        if take is not None and ends:
            takes.append(take.closed())
            take = None
        if isinstance(item, Piece):
            take = take or _Open(source, item.sound.recording.format, item.start_us)
            take.play(item.sound)
    return [*takes, take.closed()] if take is not None else takes
