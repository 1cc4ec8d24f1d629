"""The place of every block in time: what is missing between blocks, and when the sound was heard.

A device gives as many frames a second as its format says, nearly. So the moment at which a block's last
frame arrives, less that frame's place, is always the same: the *floor*, plus however late this block is. Late
blocks are made up for by those that follow; only where sound is missing does the floor itself rise.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from phonobase.recorder.floor import LEVEL_NS, NEVER_NS, Arrival, Floor, moved_by, settled, split, stairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phonobase.capture.block import Block
    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat, Frames

_NS = 1_000_000_000
_ANCHORING_NS = 1_000_000_000

# As heard through PulseAudio, which gives 50 ms at a time, by a reader that naps for 10 ms: a block is late
# by 10 ms at most on an idle machine. With four threads and two processes that never rest it is late by
# 22 ms at the median and by 230 ms at most, while the least of each second is within 12 ms of the floor.
_LATE_NS = 25_000_000
_SETTLED_NS = 1_000_000_000
_BURST_NS = 300_000_000
_LONG_NS = 200_000_000
_SURELY_SETTLED_NS = 3_000_000_000
_UNDECIDED_NS = 10_000_000_000
_STEP_US = 50_000
_HELD_S = 60
_HELD_BYTES = 268_435_456
_READING_NS = 1_000_000
_READINGS = 5


@dataclass(frozen=True, slots=True)
class Sound:
    """Frames that were heard.

    Attributes:
        frames: They follow those of the event before, a loss counted as so many frames.
        captured_at_us: Wall clock at the first of them, in microseconds since 1970-01-01 UTC.
    """

    frames: Frames
    captured_at_us: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that should be here and are not.

    Attributes:
        frame_count: How many; 0 where the device reported a loss and the clock misses nothing.
        cause: ``overflow``, where sound was not fetched in time; ``stalled``, where the device gave none.
        detail: More of that, for people.
    """

    frame_count: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClockStep:
    """Somebody set the wall clock.

    Attributes:
        step_us: By how much, in microseconds: positive is forward.
    """

    step_us: int


Event: TypeAlias = Sound | Loss | ClockStep


class Timeline:
    """Puts the blocks of one run of an input in their place.

    The first second is held back, for the start of the run is known only then. Later blocks pass at once,
    unless one is later than it should be: those are held until it is clear whether sound is missing.

    Args:
        audio_format: What the blocks hold.
        clock: The clocks; ``Block.arrived_ns`` is read from the same.
    """

    def __init__(self, audio_format: AudioFormat, clock: Clock) -> None:
        self._format = audio_format
        self._clock = clock
        self._floor = Floor()
        self._held: deque[Arrival] = deque()
        self._held_frames = 0
        self._resumed_ns = 0
        self._seen_ns = self._flagged_ns = -NEVER_NS
        self._most_held = min(_HELD_S * audio_format.sample_rate, _HELD_BYTES // audio_format.frame_bytes)
        self._anchored = False
        self._place = 0
        self._started_at_us: int | None = None
        self._latest_us: int | None = None
        self._offset_us: int | None = None
        self._stepped_us = 0

    @property
    def started_at_us(self) -> int:
        """Wall clock at the run's first frame, in microseconds since 1970-01-01 UTC.

        Raises:
            RuntimeError: No sound was returned yet.
        """
        if self._started_at_us is None:
            raise RuntimeError("a timeline knows its start once it has returned sound")
        return self._started_at_us

    @property
    def drift_ppm(self) -> float | None:
        """How fast the sample clock is against the system's, in parts per million; None until known."""
        return self._floor.drift_ppm

    def take(self, block: Block) -> list[Event]:
        """Return what is certain once this block has arrived, in order.

        Args:
            block: The next of the input.
        """
        step_us = self._look_at_clocks()
        if block.arrived_ns is None:
            return self._pass(block, step_us)
        crept = self._crept(block.arrived_ns) if self._anchored and not self._held else []
        return crept + self._judge(self._arrive(block, block.arrived_ns, step_us))

    def _arrive(self, block: Block, arrived_ns: int, step_us: int) -> Arrival:
        """Give a block its place behind those before."""
        # Nothing arrives later than now: one wrong moment in the future must not hide those that follow.
        arrived_ns = min(arrived_ns, self._clock.elapsed_ns())
        sure = arrived_ns >= self._seen_ns
        self._seen_ns = max(self._seen_ns, arrived_ns)
        arrival = Arrival(
            block.frames,
            self._place + block.dropped_frames,
            self._seen_ns,
            block.overflowed,
            block.dropped_frames,
            step_us,
            self._offset_us or 0,
            sure,
        )
        self._place = arrival.end
        if block.overflowed:
            self._flagged_ns = arrival.arrived_ns
        return arrival

    def _judge(self, arrival: Arrival) -> list[Event]:
        """Release this block, or hold it, or decide about all that are held."""
        if self._anchored and not self._held and self._in_time(arrival) and not arrival.overflowed:
            return self._release([arrival])
        self._hold(arrival)
        if not self._anchored:
            full = self._held_frames >= self._most_held
            if full or arrival.arrived_ns - self._held[0].arrived_ns >= _ANCHORING_NS:
                return self._anchor()
            return []
        return self._decide()

    def finish(self) -> list[Event]:
        """Return what is still held back; nothing comes after it."""
        events = [] if self._anchored or not self._held else self._anchor()
        return events + (self._decide(last=True) if self._held else [])

    def _pass(self, block: Block, step_us: int) -> list[Event]:
        """Place a block of which nothing can be missing."""
        at_us = block.captured_at_us
        if at_us is not None:
            at_us += self._stepped_us
        elif self._latest_us is None or self._started_at_us is None:
            at_us = self._clock.wall_us()
        else:
            at_us = self._started_at_us + self._format.microseconds(self._place)
        self._place += len(block.frames)
        if self._started_at_us is None:
            self._started_at_us = at_us
        self._latest_us = at_us
        paced = block.captured_at_us is not None
        steps: list[Event] = [ClockStep(step_us)] if step_us and paced else []
        return [*steps, Sound(block.frames, at_us)]

    def _crept(self, now_ns: int) -> list[Event]:
        """Return the loss that so many small ones have come to, each too small to be told from lateness."""
        if self._floor.crept is None:
            return []
        missing_ns, since_ns = self._floor.crept
        self._floor.lower(missing_ns)
        count = round(missing_ns * self._format.sample_rate / _NS)
        self._place += count
        seconds = f"{count / self._format.sample_rate:.3f} s"
        cause = "overflow" if self._flagged_ns >= since_ns else "stalled"
        over_s = (now_ns - since_ns) // _NS
        return [Loss(count, cause, f"{seconds} went missing little by little; found over {over_s} s")]

    def _anchor(self) -> list[Event]:
        """Find the start of the run, and place what has come so far anew."""
        self._anchored = True
        held, self._held, self._held_frames = list(self._held), deque(), 0
        self._floor.begin(held[0].arrived_ns, min(self._lag(arrival) for arrival in held if arrival.sure))
        events: list[Event] = []
        for arrival in held:
            if not self._held and self._in_time(arrival) and not arrival.overflowed:
                events += self._release([arrival])
                continue
            self._hold(arrival)
            events += self._decide()
        return events

    def _hold(self, arrival: Arrival) -> None:
        if not self._held or arrival.arrived_ns - self._held[-1].arrived_ns > _SETTLED_NS:
            self._resumed_ns = arrival.arrived_ns
        self._held.append(arrival)
        self._held_frames += len(arrival.frames)

    def _decide(self, *, last: bool = False) -> list[Event]:
        """Release what is held, with or without a loss, or go on holding it."""
        flagged = any(arrival.overflowed for arrival in self._held)
        if self._in_time(self._held[-1]) and not flagged:
            return self._let_go()
        settled_ns = self._settled_ns(_SETTLED_NS)
        if settled_ns is not None and self._floor.missing_ns(settled_ns) < _LONG_NS and not flagged:
            settled_ns = self._settled_ns(_SURELY_SETTLED_NS)
        # A block that is late again may be the first behind another loss.
        if settled_ns is not None and self._lag(self._held[-1]) - settled_ns <= _LATE_NS:
            return self._close_hold(settled_ns, flagged=flagged)
        latest_ns = self._held[-1].arrived_ns
        overdue = latest_ns - self._resumed_ns > _UNDECIDED_NS or self._held_frames >= self._most_held
        if not last and not overdue:
            return []
        recent = (arrival for arrival in self._held if latest_ns - arrival.arrived_ns <= _SETTLED_NS)
        least_ns = min(self._lag(arrival) for arrival in recent)
        # A few blocks at the very end may be late by a bad moment of the machine's.
        proof_ns = _LONG_NS if latest_ns - self._resumed_ns >= _LONG_NS else _SETTLED_NS
        proven = self._floor.missing_ns(least_ns) >= proof_ns
        return self._close_hold(least_ns if proven else None, flagged=flagged)

    def _settled_ns(self, span_ns: int) -> int | None:
        """Return the new floor, once blocks have come in step with the clock for so long."""
        if self._held[-1].arrived_ns - self._held[0].arrived_ns < span_ns:
            return None
        return settled(((held.arrived_ns, self._lag(held)) for held in reversed(self._held)), span_ns)

    def _close_hold(self, level_ns: int | None, *, flagged: bool) -> list[Event]:
        """Release what is held, and the losses by which the floor has risen to this, each at its place."""
        missing_ns = 0 if level_ns is None else self._floor.missing_ns(level_ns)
        if flagged and missing_ns < LEVEL_NS:
            place = next(arrival.place for arrival in self._held if arrival.overflowed)
            return self._let_go(
                (place, Loss(0, "overflow", "the device reported lost sound; the clock misses none"))
            )
        if level_ns is None or (missing_ns < _LATE_NS and not flagged):
            return self._let_go()
        levels_ns = stairs([self._lag(arrival) for arrival in self._held], self._floor.at_ns, level_ns)
        starts = [self._reached(level) for level in levels_ns]
        bounds = [self._held[0].place, *starts[1:], self._held[-1].end]
        losses = []
        before_ns = level_ns - missing_ns
        for number, (level, start) in enumerate(zip(levels_ns, starts, strict=True)):
            within = [
                arrival for arrival in self._held if bounds[number] <= arrival.place < bounds[number + 1]
            ]
            losses.append(self._lost(level - before_ns, level, start, within))
            before_ns = level
        return self._let_go(*losses)

    def _reached(self, level_ns: int) -> int:
        """Return the place from which on nothing came earlier than this: that came before the loss."""
        early = [arrival for arrival in self._held if self._lag(arrival) < level_ns - LEVEL_NS]
        return early[-1].end if early else self._held[0].place

    def _lost(
        self, missing_ns: int, level_ns: int, start: int, within: Sequence[Arrival]
    ) -> tuple[int, Loss]:
        """Return what is missing where the floor rose to the level that it has within these, and where."""
        count = round(missing_ns * self._format.sample_rate / _NS)
        seconds = f"{count / self._format.sample_rate:.3f} s"
        for flag in (arrival.place for arrival in within if arrival.overflowed):
            loss = Loss(count, "overflow", f"the device reported lost sound; the clock misses {seconds}")
            return max(flag, start), loss
        behind = [arrival for arrival in within if arrival.place >= start]
        latest = max(behind, key=self._lag, default=self._held[-1])
        if self._lag(latest) - level_ns > _BURST_NS:
            # What waited in the device is from before it was fetched from again; all after that was fetched.
            fetched = (latest.arrived_ns - level_ns) * self._format.sample_rate // _NS
            loss = Loss(count, "overflow", f"{seconds} were not fetched in time")
            return min(max(fetched, start), within[-1].end), loss
        return start, Loss(count, "stalled", f"the device gave no sound for {seconds}")

    def _let_go(self, *losses: tuple[int, Loss]) -> list[Event]:
        """Release what is held, with each loss at its place, the first first."""
        held, self._held, self._held_frames = list(self._held), deque(), 0
        if not losses:
            return self._release(held)
        ended_ns, moved, events = held[-1].arrived_ns, 0, list[Event]()
        for place, loss in losses:
            before, held = split(held, place, self._format.sample_rate)
            events += self._release(moved_by(before, moved), known=False)
            events.append(loss)
            moved += loss.frame_count
        self._place += moved
        self._floor.interrupt(ended_ns)
        return events + self._release(moved_by(held, moved))

    def _release(self, arrivals: Sequence[Arrival], *, known: bool = True) -> list[Event]:
        """Return the sound of these, whose lag tells the floor if it is known what was missing before."""
        events: list[Event] = []
        for arrival in arrivals:
            if known and arrival.sure:
                self._floor.see(arrival.arrived_ns, self._lag(arrival))
            if arrival.dropped:
                events.append(
                    Loss(arrival.dropped, "overflow", "sound was dropped: the recorder did not keep up")
                )
            if arrival.step_us:
                events.append(ClockStep(arrival.step_us))
                self._latest_us = None
            events.append(Sound(arrival.frames, self._captured_at_us(arrival)))
        return events

    def _captured_at_us(self, arrival: Arrival) -> int:
        at_ns = arrival.place * _NS // self._format.sample_rate + self._floor.at_ns
        at_us = at_ns // 1000 + arrival.offset_us
        # The floor is only as steady as it is known: times must not go back for that.
        at_us = max(at_us, self._latest_us or at_us)
        if self._started_at_us is None:
            self._started_at_us = at_us
        self._latest_us = at_us
        return at_us

    def _in_time(self, arrival: Arrival) -> bool:
        return self._lag(arrival) - self._floor.at_ns <= _LATE_NS

    def _lag(self, arrival: Arrival) -> int:
        return arrival.arrived_ns - arrival.end * _NS // self._format.sample_rate

    def _look_at_clocks(self) -> int:
        """Return by how much the wall clock was set since the last look; less than that is followed."""
        offset_us = self._read_offset_us()
        change_us = offset_us - (offset_us if self._offset_us is None else self._offset_us)
        self._offset_us = offset_us
        if abs(change_us) <= _STEP_US:
            return 0
        self._stepped_us += change_us
        return change_us

    def _read_offset_us(self) -> int:
        """Return the wall clock less the elapsed one, both read at once."""
        best_ns, offset_us = math.inf, 0
        for _ in range(_READINGS):
            before_ns = self._clock.elapsed_ns()
            wall_us = self._clock.wall_us()
            took_ns = self._clock.elapsed_ns() - before_ns
            if took_ns < best_ns:
                best_ns, offset_us = took_ns, wall_us - (before_ns + took_ns // 2) // 1000
            if took_ns < _READING_NS:
                break
        return offset_us
