"""What a timeline makes of the blocks of a device: nothing invented, nothing overlooked."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonobase.capture.block import Block
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.recorder.timeline import ClockStep, Event, Loss, Sound, Timeline

RATE = 1000
FORMAT = AudioFormat(RATE, 1, SampleFormat.INT32)
MS, S = 1_000_000, 1_000_000_000
BEGAN_US = 1_772_366_400_000_000
HOUR_US = 3_600_000_000
FRAGMENT = 50
TOLERANCE = 20


@dataclass
class Clocks:
    """Two clocks that a test sets."""

    now_ns: int = 0
    set_us: int = 0

    def wall_us(self) -> int:
        """What the wall clock shows."""
        return BEGAN_US + self.set_us + self.now_ns // 1000

    def elapsed_ns(self) -> int:
        """What nobody sets."""
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * S)


@dataclass
class Taken:
    """A timeline, what it was given and what it returned."""

    clocks: Clocks = field(default_factory=Clocks)
    audio_format: AudioFormat = FORMAT
    events: list[Event] = field(default_factory=list)
    given: int = 0

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.audio_format, self.clocks)

    def take(self, count: int, at_ns: int, **said: int | bool) -> list[Event]:
        """Gives it so many numbered frames that have just arrived."""
        block = Block(self.numbered(count), arrived_ns=at_ns, **said)  # type: ignore[arg-type]
        self.clocks.now_ns = at_ns
        return self.keep(self.timeline.take(block))

    def numbered(self, count: int) -> npt.NDArray[np.int32]:
        """Returns the next frames, each of which holds its number."""
        self.given += count
        return np.arange(self.given - count, self.given, dtype=np.int32).reshape(-1, 1)

    def steadily(self, seconds: float, late_ns: int = 5 * MS, *, until_ns: int | None = None) -> None:
        """Gives it fragments that come in step with the clock."""
        first_ns = self.clocks.now_ns if until_ns is None else until_ns
        for number in range(1, round(seconds * RATE / FRAGMENT) + 1):
            self.take(FRAGMENT, first_ns + number * FRAGMENT * MS + late_ns)
        self.clocks.now_ns -= late_ns

    def finish(self) -> list[Event]:
        """Ends it."""
        return self.keep(self.timeline.finish())

    def losses(self) -> list[Loss]:
        """What it found."""
        return [event for event in self.events if isinstance(event, Loss)]

    def heard(self) -> list[int]:
        """The numbers of the frames that came through."""
        return [
            int(frame) for event in self.events if isinstance(event, Sound) for frame in event.frames[:, 0]
        ]

    def lost_at(self) -> list[int]:
        """How many frames had come through before each loss."""
        found, frames = [], 0
        for event in self.events:
            if isinstance(event, Sound):
                frames += len(event.frames)
            elif isinstance(event, Loss):
                found.append(frames)
        return found

    def keep(self, events: list[Event]) -> list[Event]:
        """Notes what the timeline returned."""
        self.events += events
        return events


def test_the_first_second_is_held_and_the_earliest_block_tells_the_start() -> None:
    """Late blocks at the beginning do not make the run begin late."""
    taken = Taken()
    lateness_ms = [12, 31, 7, 25, 60, 9, 33, 8, 12, 50, 7, 7, 90, 10, 7, 21, 7, 8, 19, 7]
    for number, late_ms in enumerate(lateness_ms, 1):
        assert taken.take(50, (number * 50 + late_ms) * MS) == []
    with pytest.raises(RuntimeError, match="knows its start once"):
        _ = taken.timeline.started_at_us
    assert len(taken.take(50, (21 * 50 + 12) * MS)) == 21
    assert taken.timeline.started_at_us == BEGAN_US + 7000
    assert taken.losses() == []


def test_what_comes_in_step_passes_at_once() -> None:
    """Nothing is held back once the start is known; every frame is where and when it belongs."""
    taken = Taken()
    taken.steadily(2)
    (sound,) = taken.take(FRAGMENT, 2055 * MS)
    assert isinstance(sound, Sound)
    assert sound.captured_at_us == BEGAN_US + 2_005_000
    assert taken.heard() == list(range(2050))


def test_a_device_that_gave_nothing_for_a_while_has_lost_that() -> None:
    """Silence goes where the device fell silent, as long as it was."""
    taken = Taken()
    taken.steadily(3)
    taken.steadily(3, until_ns=5500 * MS)
    taken.finish()
    (loss,) = taken.losses()
    assert (loss.frame_count, loss.cause) == (2500, "stalled")
    assert taken.lost_at() == [3000]
    assert taken.heard() == list(range(6000))
    assert _times(taken.events)[-1] == BEGAN_US + 5005 * 1000 + 3_450_000


@pytest.mark.parametrize("late_ms", [0, 20])
@pytest.mark.parametrize(
    ("stalls_ms", "apart_ms"),
    [
        ((1000, 1000), 500),
        ((1000, 350), 950),
        ((300, 300), 1000),
        ((300, 300), 400),
        ((2000, 400, 700), 250),
        ((150, 150), 300),
        ((300, 3000), 100),
    ],
)
def test_stalls_close_together_are_losses_of_their_own(
    stalls_ms: tuple[int, ...], apart_ms: int, late_ms: int
) -> None:
    """What was heard between two stalls stays in its place, also if it came somewhat late."""
    taken = Taken()
    lateness = random.Random(late_ms)
    stops = {3000 + number * apart_ms: stall_ms for number, stall_ms in enumerate(stalls_ms)}
    at_ms = 0
    for place in range(0, 9000, FRAGMENT):
        at_ms += stops.get(place, 0) + FRAGMENT
        taken.take(FRAGMENT, round((at_ms + lateness.uniform(0, late_ms)) * MS))
    taken.finish()
    assert [loss.cause for loss in taken.losses()] == ["stalled"] * len(stalls_ms)
    assert [loss.frame_count for loss in taken.losses()] == pytest.approx(stalls_ms, abs=TOLERANCE)
    assert taken.lost_at() == list(stops)
    assert taken.heard() == list(range(9000))


def test_a_stall_right_behind_what_was_not_fetched_is_a_loss_of_its_own() -> None:
    """Of the first pause the device kept a second; half a second after it, it gave nothing for a while."""
    taken = Taken()
    taken.steadily(3)
    for number in range(1, 6):
        taken.take(200, 8000 * MS + number * 1000)
    taken.steadily(0.5, until_ns=8000 * MS)
    taken.steadily(3, until_ns=9500 * MS)
    taken.finish()
    overflow, stall = taken.losses()
    assert (overflow.cause, stall.cause) == ("overflow", "stalled")
    assert overflow.frame_count == pytest.approx(4000, abs=TOLERANCE)
    assert stall.frame_count == pytest.approx(1000, abs=TOLERANCE)
    assert taken.lost_at() == [pytest.approx(4000, abs=TOLERANCE), 4500]


@pytest.mark.parametrize(("flagged", "causes"), [(0, ["overflow", "stalled"]), (1, ["stalled", "overflow"])])
def test_of_two_stalls_one_is_reported_by_the_device(flagged: int, causes: list[str]) -> None:
    """Each has its own cause."""
    taken = Taken()
    taken.steadily(3)
    for number, began_ms in enumerate((4000, 5500)):
        taken.take(FRAGMENT, (began_ms + 55) * MS, overflowed=number == flagged)
        taken.steadily(0.45, until_ns=(began_ms + 50) * MS)
    taken.steadily(3)
    taken.finish()
    assert [(loss.cause, loss.frame_count) for loss in taken.losses()] == [(cause, 1000) for cause in causes]
    assert taken.lost_at() == [3000, 3500]


def test_sound_that_only_comes_late_is_not_lost() -> None:
    """A burst that makes up for a pause leaves no trace."""
    taken = Taken()
    taken.steadily(3)
    for number in range(1, 41):
        taken.take(FRAGMENT, 5000 * MS + number * 1000)
    taken.steadily(3, until_ns=5000 * MS)
    assert taken.losses() == []
    assert taken.heard() == list(range(8000))


def test_what_a_device_could_not_hold_is_missing_where_fetching_began_again() -> None:
    """Of a pause of five seconds the device kept the first two: the silence comes after them."""
    taken = Taken()
    taken.steadily(3)
    for number in range(1, 11):
        taken.take(200, 8000 * MS + number * 1000)
    taken.steadily(3, until_ns=8000 * MS)
    taken.finish()
    (loss,) = taken.losses()
    assert (loss.cause, abs(loss.frame_count - 3000) <= 1) == ("overflow", True)
    assert abs(taken.lost_at()[0] - 5000) <= TOLERANCE
    assert taken.heard() == list(range(8000))


def test_a_machine_that_slept_has_lost_that_time() -> None:
    """The clock that goes on counts an hour of sleep, and so does the timeline."""
    taken = Taken()
    taken.steadily(3)
    taken.steadily(3, until_ns=3603 * S)
    taken.finish()
    (loss,) = taken.losses()
    assert (loss.frame_count, loss.cause) == (3_600_000, "stalled")


def test_dropped_frames_are_lost_exactly() -> None:
    """The queue knows how many it dropped; the clock is not asked."""
    taken = Taken()
    taken.steadily(3)
    loss, sound = taken.take(FRAGMENT, 3555 * MS, dropped_frames=500)
    taken.steadily(2, until_ns=3550 * MS)
    taken.finish()
    assert isinstance(sound, Sound)
    assert isinstance(loss, Loss)
    assert (loss.frame_count, loss.cause) == (500, "overflow")
    assert taken.losses() == [loss]


@pytest.mark.parametrize("missing", [0, 120, 2000])
def test_a_reported_overflow_is_measured_by_the_clock(missing: int) -> None:
    """A flag alone says that sound is missing; how much, the clock does."""
    taken = Taken()
    taken.steadily(3)
    taken.take(FRAGMENT, (3055 + missing) * MS, overflowed=True)
    taken.steadily(5, until_ns=(3050 + missing) * MS)
    taken.finish()
    (loss,) = taken.losses()
    assert (loss.frame_count, loss.cause) == (missing, "overflow")
    assert taken.lost_at() == [3000]


def test_a_loss_within_the_first_second_is_found_too() -> None:
    """Holding the first second does not hide what is missing in it."""
    taken = Taken()
    taken.steadily(0.4)
    taken.steadily(3, until_ns=1400 * MS)
    taken.finish()
    assert [loss.frame_count for loss in taken.losses()] == [1000]
    assert taken.lost_at() == [400]


def test_a_loss_right_before_the_end_is_found_too() -> None:
    """What is still held at the end is judged by what is known then."""
    taken = Taken()
    taken.steadily(3)
    taken.steadily(0.3, until_ns=7000 * MS)
    assert taken.losses() == []
    taken.finish()
    assert [loss.frame_count for loss in taken.losses()] == [4000]
    assert taken.heard() == list(range(3300))


def test_lateness_at_the_end_is_no_loss() -> None:
    """A run that ends while a block is late by what a busy machine may cost has lost nothing."""
    taken = Taken()
    taken.steadily(3)
    taken.take(FRAGMENT, 3170 * MS)
    taken.finish()
    assert taken.losses() == []
    assert taken.heard() == list(range(3050))


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_a_run_shorter_than_a_second_comes_whole(seconds: float) -> None:
    """What was held back for the start is returned at the end."""
    taken = Taken()
    taken.steadily(seconds)
    assert taken.events == []
    taken.finish()
    assert taken.heard() == list(range(round(seconds * RATE)))
    assert taken.timeline.started_at_us == BEGAN_US + 5000


def test_nothing_at_all_is_nothing() -> None:
    """A run without a block has no events and no drift."""
    taken = Taken()
    assert taken.finish() == []
    assert taken.timeline.drift_ppm is None


@pytest.mark.parametrize("at_us", [None, BEGAN_US + 5])
def test_of_a_file_nothing_is_missing(at_us: int | None) -> None:
    """Blocks that never arrived pass at once, however long that takes; their own time tells the start."""
    clocks = Clocks()
    taken = Taken(clocks)
    for number in range(5):
        own_us = None if at_us is None else at_us + number * 100_000
        (sound,) = taken.timeline.take(Block(taken.numbered(100), own_us))
        assert isinstance(sound, Sound)
        assert sound.captured_at_us == (BEGAN_US if at_us is None else at_us) + number * 100_000
        clocks.now_ns += 60 * S
    assert taken.timeline.started_at_us == (at_us or BEGAN_US)
    assert taken.timeline.finish() == []


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US, 60_000, -60_000])
def test_a_step_of_the_wall_clock_is_told_and_harms_nothing(step_us: int) -> None:
    """No frame is lost, moved or repeated; later sound has the new time."""
    taken = Taken()
    taken.steadily(3)
    taken.clocks.set_us = step_us
    taken.steadily(3)
    taken.finish()
    steps = [event for event in taken.events if isinstance(event, ClockStep)]
    assert steps == [ClockStep(step_us)]
    assert taken.losses() == []
    assert taken.heard() == list(range(6000))
    assert _times(taken.events[: taken.events.index(steps[0])])[-1] == BEGAN_US + 2_955_000
    assert _times(taken.events)[-1] == BEGAN_US + 5_955_000 + step_us


def test_a_step_comes_before_the_sound_it_came_before() -> None:
    """Also where that was still held back."""
    taken = Taken()
    taken.steadily(0.5)
    taken.clocks.set_us = HOUR_US
    taken.steadily(3)
    position = taken.events.index(ClockStep(HOUR_US))
    assert sum(len(event.frames) for event in taken.events[:position] if isinstance(event, Sound)) == 500


def test_a_step_reaches_a_paced_file() -> None:
    """Its blocks count from the wall clock at their beginning, so that the step is added to them."""
    clocks = Clocks()
    timeline = Timeline(FORMAT, clocks)
    frames = np.zeros((100, 1), np.int32)
    timeline.take(Block(frames, BEGAN_US))
    clocks.set_us = HOUR_US
    step, sound = timeline.take(Block(frames, BEGAN_US + 100_000))
    assert step == ClockStep(HOUR_US)
    assert isinstance(sound, Sound)
    assert sound.captured_at_us == BEGAN_US + 100_000 + HOUR_US


def test_a_wall_clock_that_is_slewed_is_followed() -> None:
    """Half a second, gained at 500 millionths, is no step; the times follow it."""
    taken = Taken()
    taken.steadily(3)
    for _ in range(1000):
        taken.clocks.set_us += 500
        taken.steadily(1)
    assert not [event for event in taken.events if isinstance(event, ClockStep)]
    assert _times(taken.events)[-1] == BEGAN_US + 1_002_955_000 + 500_000


@pytest.mark.parametrize("ppm", [-800, -50, 0, 50, 800])
def test_drift_is_measured_and_is_no_loss(ppm: int) -> None:
    """A sample clock that is off by less than a thousandth is told from one that misses sound."""
    taken = Taken()
    source = random.Random(ppm)
    minutes_known = None
    for number in range(1, 20 * 60 * RATE // FRAGMENT):
        due_ns = round(number * FRAGMENT * MS / (1 + ppm / 1e6))
        taken.take(FRAGMENT, due_ns + round(source.uniform(0, 10) * MS))
        if minutes_known is None and taken.timeline.drift_ppm is not None:
            minutes_known = due_ns / 60 / S
    assert taken.losses() == []
    assert taken.timeline.drift_ppm == pytest.approx(ppm, abs=2)
    assert minutes_known == pytest.approx(5, abs=0.5)
    assert _times(taken.events)[-1] == pytest.approx(BEGAN_US + due_ns / 1000 - 50_000, abs=25_000)


@settings(max_examples=8, deadline=None)
@given(st.floats(-900, 900), st.sampled_from([0, 10, 25]), st.integers(0, 2**32))
def test_no_drift_of_a_sample_clock_is_a_loss(ppm: float, late_ms: int, seed: int) -> None:
    """For twenty minutes, and with a reader that is late at random."""
    taken = Taken()
    source = random.Random(seed)
    at_ns = 0
    for number in range(1, 20 * 60 * RATE // FRAGMENT):
        due_ns = round(number * FRAGMENT * MS / (1 + ppm / 1e6))
        at_ns = max(at_ns, due_ns + round(source.expovariate(1) * late_ms * MS))
        taken.take(FRAGMENT, at_ns)
    taken.finish()
    assert taken.losses() == []
    assert taken.heard() == list(range(taken.given))


@pytest.mark.parametrize("late_ms", [0, 10])
@pytest.mark.parametrize(("lost", "every_s", "ppm"), [(20, 10, 0), (20, 10, 90), (20, 10, -90), (5, 2.5, 0)])
def test_small_losses_that_add_up_are_found(lost: int, every_s: float, ppm: int, late_ms: int) -> None:
    """Each is too small to be told from lateness; together they are more than any sample clock is off."""
    taken = Taken()
    source = random.Random(lost)
    missing = 0
    every = round(every_s * RATE / FRAGMENT)
    for number in range(20 * 60 * RATE // FRAGMENT):
        missing += lost if number and number % every == 0 else 0
        due_ns = round((number * FRAGMENT + FRAGMENT) * MS / (1 + ppm / 1e6)) + missing * MS
        taken.take(FRAGMENT, due_ns + round(source.uniform(0, late_ms) * MS))
    taken.finish()
    sizes = [loss.frame_count for loss in taken.losses()]
    found = sum(sizes)
    assert max(sizes) <= 125
    assert found == pytest.approx(missing, rel=0.1)
    assert {loss.cause for loss in taken.losses()} == {"stalled"}
    assert "went missing little by little; found over" in taken.losses()[0].detail
    assert taken.heard() == list(range(taken.given))
    assert taken.timeline.drift_ppm == pytest.approx(ppm, abs=200)


def test_small_losses_that_the_device_reports_are_found() -> None:
    """They are its overflows, though the clock misses less than it can tell each time."""
    taken = Taken()
    for minute in range(1, 121):
        taken.steadily(5, until_ns=minute * 5060 * MS)
        taken.take(FRAGMENT, taken.clocks.now_ns + (FRAGMENT + 5 + 10) * MS, overflowed=True)
        taken.clocks.now_ns -= 5 * MS
    taken.finish()
    found = sum(loss.frame_count for loss in taken.losses())
    assert found == pytest.approx(1200, rel=0.1)
    assert {loss.cause for loss in taken.losses()} == {"overflow"}


def test_a_loss_does_not_count_as_drift() -> None:
    """Hours with a loss every minute still tell how fast the sample clock is."""
    taken = Taken()
    at_ns, ppm = 0, 100
    for _ in range(60):
        for _ in range(60 * RATE // FRAGMENT):
            at_ns += round(FRAGMENT * MS / (1 + ppm / 1e6))
            taken.take(FRAGMENT, at_ns)
        at_ns += 700 * MS
    assert len(taken.losses()) == 59
    assert taken.timeline.drift_ppm == pytest.approx(ppm, abs=5)


@pytest.mark.parametrize("blocks", [1, 7])
@pytest.mark.parametrize(
    ("wrong_ms", "after_s"),
    [(-5000, 0.5), (-5000, 6), (-300, 6), (5000, 0.5), (5000, 6), (3_600_000, 6)],
)
def test_a_wrong_moment_of_arrival_is_no_loss(wrong_ms: int, blocks: int, after_s: float) -> None:
    """A plugin that tells some moments in the past, or in the future, moves neither frames nor times."""
    taken = Taken()
    taken.steadily(after_s)
    for _ in range(blocks):
        taken.clocks.now_ns += FRAGMENT * MS
        at_ns = taken.clocks.now_ns + (5 + wrong_ms) * MS
        taken.keep(taken.timeline.take(Block(taken.numbered(FRAGMENT), arrived_ns=at_ns)))
    taken.steadily(20)
    taken.finish()
    assert taken.losses() == []
    assert taken.heard() == list(range(taken.given))
    times_us = _times(taken.events)
    expected_us = [BEGAN_US + 5000 + number * FRAGMENT * 1000 for number in range(len(times_us))]
    assert np.abs(np.subtract(times_us, expected_us)).max() <= 5000


def test_a_clock_that_goes_back_for_good_is_no_loss() -> None:
    """What it shows from then on is believed once it is past what it showed before, and is no drift."""
    taken = Taken()
    taken.steadily(400)
    taken.steadily(400, until_ns=395 * S)
    taken.finish()
    assert taken.losses() == []
    assert taken.heard() == list(range(800_000))
    assert taken.timeline.drift_ppm == pytest.approx(0, abs=1)


def test_a_loss_behind_a_wrong_moment_is_found() -> None:
    """It is measured from the moments that are right."""
    taken = Taken()
    taken.steadily(3)
    taken.take(FRAGMENT, 1 * S)
    taken.steadily(3, until_ns=5050 * MS)
    taken.finish()
    assert [loss.frame_count for loss in taken.losses()] == [2000]
    assert taken.lost_at() == [3050]


def test_a_device_that_never_comes_in_step_is_judged_nonetheless() -> None:
    """At half its rate its sound is neither hoarded nor left seconds behind the clock."""
    taken = Taken()
    taken.steadily(2)
    at_ns, behind_ms = taken.clocks.now_ns, []
    for number in range(1, 2000):
        if taken.take(FRAGMENT, at_ns + 2 * number * FRAGMENT * MS):
            come = len(taken.heard()) + sum(loss.frame_count for loss in taken.losses())
            behind_ms.append(2000 + 2 * number * FRAGMENT - come)
    taken.finish()
    assert max(behind_ms) <= 12_000
    assert min(behind_ms) >= -12_000
    assert taken.heard() == list(range(taken.given))


@dataclass(frozen=True)
class Trouble:
    """What happens to a simulated device.

    Attributes:
        kind: ``away``, nobody fetches; ``silent``, the device gives nothing; ``late``, it gives all that it
            owes once this is over.
        after_s: Time since the trouble before ended.
        lasts_s: For so long.
    """

    kind: str
    after_s: float
    lasts_s: float


@dataclass(frozen=True)
class Device:
    """A simulated device, and a reader that is late at random."""

    seed: int
    late_ms: float
    drift_ppm: float
    capacity_s: float
    troubles: list[Trouble]

    def fragments(self) -> Iterator[tuple[int, range]]:
        """Yields when the reader had which frames, by their numbers; those that were lost are left out."""
        lateness = random.Random(self.seed)
        spans: list[tuple[str, float, float]] = []
        at_s = 0.0
        for trouble in self.troubles:
            spans.append((trouble.kind, at_s + trouble.after_s, at_s + trouble.after_s + trouble.lasts_s))
            at_s = spans[-1][2]
        fetched_s = 0.0
        for number in range(round((at_s + 10) * RATE / FRAGMENT)):
            there_s = (number + 1) * FRAGMENT / RATE / (1 + self.drift_ppm / 1e6)
            late_s, lost = lateness.expovariate(1) * self.late_ms / 1000, False
            for kind, start_s, end_s in spans:
                if start_s <= there_s < end_s:
                    lost |= kind == "silent" or (kind == "away" and there_s >= start_s + self.capacity_s)
                    there_s, late_s = end_s, late_s if kind == "silent" else 0
            if lost:
                continue
            fetched_s = max(fetched_s + 1e-5, there_s + late_s)
            yield round(fetched_s * S), range(number * FRAGMENT, (number + 1) * FRAGMENT)


DEVICES = st.builds(
    Device,
    seed=st.integers(0, 2**32),
    late_ms=st.sampled_from([0, 5, 25]),
    drift_ppm=st.integers(-300, 300),
    capacity_s=st.floats(0.5, 12),
    troubles=st.lists(
        st.builds(
            Trouble,
            kind=st.sampled_from(["away", "silent", "late"]),
            after_s=st.floats(9, 25),
            lasts_s=st.floats(0.3, 20),
        ),
        max_size=4,
    ),
)


@settings(max_examples=60, deadline=None)
@given(DEVICES)
def test_what_a_device_lost_is_found_and_nothing_is_invented(device: Device) -> None:
    """Every frame comes through once and in order; behind each loss all are in their place, within 20 ms.

    Between a loss and the place where it is listed there are no more frames than come in a tenth of a second.
    """
    clocks = Clocks()
    timeline = Timeline(FORMAT, clocks)
    events: list[Event] = []
    given: list[int] = []
    for at_ns, numbers in device.fragments():
        clocks.now_ns = at_ns
        given += numbers
        events += timeline.take(Block(np.array(numbers, np.int32).reshape(-1, 1), arrived_ns=at_ns))
    events += timeline.finish()

    heard: list[int] = []
    places: list[int] = []
    losses = 0
    for event in events:
        if isinstance(event, Sound):
            first = (places[-1] + 1 if places else 0) + losses
            heard += [int(number) for number in event.frames[:, 0]]
            places += range(first, first + len(event.frames))
            losses = 0
        elif isinstance(event, Loss):
            losses += event.frame_count
    jumps = np.diff(given, prepend=-1) - 1
    missing = np.flatnonzero(jumps)
    # What is missing is time; a sample clock that is fast would have had more frames for it.
    expected = np.array(given) - jumps.cumsum() * device.drift_ppm / 1e6
    found = [event for event in events if isinstance(event, Loss)]
    assert heard == given
    assert len(found) == len(missing)
    misplaced = np.abs(np.array(places) - expected) > TOLERANCE
    assert misplaced.sum() <= 100 * len(missing)
    assert not losses


def _times(events: list[Event]) -> list[int]:
    return [event.captured_at_us for event in events if isinstance(event, Sound)]
