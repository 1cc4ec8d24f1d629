from __future__ import annotations

import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase.errors import GapInCut, InvalidDetails, RecordingNotFound
from phonobase.store.take import Silence, Sound
from tests.store.heard import END_US, SOURCE, START, START_US, Heard, fill
from tests.support.prs import noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase import Archive
    from phonobase.pcm import Frames
    from phonobase.store.cut import Cut
    from phonobase.store.take import Take

CUTS = int(100 * float(os.environ.get("TORTURE", "1")))
"""How many random stretches are cut, for each policy and on each database."""

ROLLOVERS = 5
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def heard(shared_archive: Archive) -> list[Heard]:
    """What was heard in the archive that all tests here look at."""
    return fill(shared_archive)


@pytest.mark.parametrize("policy", ["silence", "split"])
def test_a_cut_is_what_was_heard(shared_archive: Archive, heard: list[Heard], policy: str) -> None:
    """Between any two moments every frame that was heard is there once, in its place, and no other."""
    for since_us, until_us in _stretches(seed=policy):
        cut = shared_archive.cut(SOURCE, _moment(since_us), _moment(until_us), policy)

        sounds = [np.concatenate([*shared_archive.sound(take)]) for take in cut.takes]
        assert [len(sound) for sound in sounds] == [take.frame_count for take in cut.takes]
        asked = [part for part in _between(heard, since_us, until_us) if part[1] < part[2]]
        if policy == "split":
            _assert_stretches(asked, cut, sounds)
        else:
            _assert_in_place(asked, cut, sounds)
        accounted = Counter(shared_archive.coverage(SOURCE, cut.since, cut.until).lost_us)
        accounted.subtract(_by_cause(cut))
        # At 11,025 Hz a rollover is at no whole microsecond, which a cut takes for no gap.
        assert 0 <= accounted.pop("unrecorded", 0) <= ROLLOVERS
        assert not any(accounted.values())


def test_the_sound_of_a_cut_is_that_of_its_takes(shared_archive: Archive, heard: list[Heard]) -> None:
    """Whoever asks for the sound of a cut as a whole is told what to ask for."""
    cut = shared_archive.cut(SOURCE, START, START + SECOND)
    with pytest.raises(TypeError, match=r"takes a Take, not a Cut; give it one of cut\.takes"):
        next(shared_archive.sound(cut))  # type: ignore[arg-type]
    assert heard


def test_a_cut_with_a_gap_may_be_refused(shared_archive: Archive, heard: list[Heard]) -> None:
    """Under the policy ``error`` a cut is exactly what was heard, or names the first gap."""
    kept = 0
    for since_us, until_us in _stretches(seed="error"):
        since, until = _moment(since_us), _moment(until_us)
        gaps = shared_archive.cut(SOURCE, since, until, "split").gaps
        if gaps:
            first = gaps[0]
            with pytest.raises(GapInCut, match=f"from .* to .*{first.cause}.*(only gap|{len(gaps)} gaps)"):
                shared_archive.cut(SOURCE, since, until, "error")
            continue
        kept += 1
        cut = shared_archive.cut(SOURCE, since, until, "error")
        asked = [part for part in _between(heard, since_us, until_us) if part[1] < part[2]]
        sounds = [np.concatenate([*shared_archive.sound(take)]) for take in cut.takes]
        expected = [part.signal[first:end] for part, first, end in asked]
        assert np.array_equal(_all(sounds), _all(expected))
    assert kept > CUTS / 5


def test_what_is_cut_next_to_each_other_shares_nothing(shared_archive: Archive, heard: list[Heard]) -> None:
    """A period that is cut at random moments has every frame in exactly one of the cuts."""
    chance = random.Random(11)
    moments = sorted({START_US, END_US, *(chance.randrange(START_US, END_US) for _ in range(60))})
    parts: list[Frames] = []
    for since_us, until_us in pairwise(moments):
        cut = shared_archive.cut(SOURCE, _moment(since_us), _moment(until_us), "split")
        parts += [frames for take in cut.takes for frames in shared_archive.sound(take)]
    assert np.array_equal(_all(parts), _all([part.signal for part in heard]))


def test_a_gap_tells_where_and_why(archive: Archive) -> None:
    """The gaps of a cut are clipped to it, with cause, detail and frames."""
    with archive.writer(1_000, source=SOURCE, started_at=START) as writer:
        writer.write(noise(1_000))
        writer.lose(500, "overflow", "the reader was late")
        writer.write(noise(500, seed=2))
    archive.add_gap(SOURCE, START + 2 * SECOND, START + 4 * SECOND, "paused", detail="card number")

    cut = archive.cut(SOURCE, START + 1.2 * SECOND, START + 5 * SECOND)

    found = [(gap.started_at - START, gap.ended_at - START, gap.cause, gap.detail) for gap in cut.gaps]
    assert found == [
        (1.2 * SECOND, 1.5 * SECOND, "overflow", "the reader was late"),
        (2 * SECOND, 4 * SECOND, "paused", "card number"),
        (4 * SECOND, 5 * SECOND, "unrecorded", None),
    ]
    assert (cut.gaps[0].first_frame, cut.gaps[0].frame_count) == (1_200, 300)
    assert (cut.lost_us, cut.takes[0].started_at) == (3_300_000, START + 1.2 * SECOND)
    assert cut.takes[0].frame_count == 3_800


def test_a_whole_recording_with_losses_is_one_piece(archive: Archive) -> None:
    """Silence that stands in a recording for what was lost is not made anew: its bytes can be copied."""
    with archive.writer(8_000, source=SOURCE, started_at=START) as writer:
        writer.write(noise(8_000))
        writer.lose(700, "overflow", "test")
        writer.lose(0, "overflow", "test")
        writer.write(noise(3_300))
    recording = archive.get(writer.id)

    (take,) = archive.cut(SOURCE, recording.started_at, recording.ended_at).takes

    assert take.parts == (Sound(recording, 0, 12_000),)


def test_another_recorder_fills_a_loss(archive: Archive) -> None:
    """Where two recorders heard a source, what one lost comes from the other, and the first has the word."""
    signal = noise(8_000)
    with archive.writer(1_000, source=SOURCE, started_at=START) as first:
        first.write(signal[:2_000])
        first.lose(1_000, "overflow", "test")
        first.write(signal[3_000:])
    with archive.writer(1_000, source=SOURCE, started_at=START + SECOND) as second:
        second.write(signal[1_000:2_500])

    cut = archive.cut(SOURCE, START, START + 8 * SECOND)

    (take,) = cut.takes
    assert [(part.recording.id, part.first_frame, part.frame_count) for part in take.sounds] == [
        (first.id, 0, 2_000),
        (second.id, 1_000, 500),
        (first.id, 3_000, 5_000),
    ]
    expected = signal.copy()
    expected[2_500:3_000] = 0
    assert np.array_equal(np.concatenate([*archive.sound(take)]), expected)
    assert [(gap.started_at, gap.frame_count) for gap in cut.gaps] == [(START + 2.5 * SECOND, 500)]


def test_a_slow_recording_moves_nothing(archive: Archive) -> None:
    """Where only a recording of few frames a second heard a moment, later sound keeps its place in time."""
    signal = noise(20_000)
    with archive.writer(10_000, source=SOURCE, started_at=START) as fast:
        fast.write(signal[:8_000])
        fast.lose(400, "overflow", "test")
        fast.write(signal[8_400:])
    slow = archive.add(noise(11, seed=2).tobytes(), 5, source=SOURCE, started_at=START + 0.1 * SECOND)

    (take,) = archive.cut(SOURCE, START, START + 2 * SECOND).takes

    sound = np.concatenate([*archive.sound(take)])
    signal[8_000:8_400] = 0
    assert np.array_equal(sound, signal)
    (gap,) = archive.cut(SOURCE, START, START + 2 * SECOND).gaps
    assert (gap.first_frame, gap.frame_count, gap.cause) == (8_000, 400, "overflow")
    late = archive.cut(SOURCE, START + 1.95 * SECOND, START + 2.2 * SECOND, "split")
    found = [(part.recording.id, part.first_frame) for take in late.takes for part in take.sounds]
    assert found == [(fast.id, 19_500), (slow.id, 10)]


def test_recorders_that_take_turns_move_nothing(archive: Archive) -> None:
    """However often another recording takes over, whose frames begin at other instants, time is kept."""
    with archive.writer(1_000, source=SOURCE, started_at=START) as one:
        for _ in range(40):
            one.write(noise(20))
            one.lose(20, "overflow", "test")
    began = START + timedelta(microseconds=400)
    archive.add(noise(1_700).tobytes(), 1_000, source=SOURCE, started_at=began)

    (take,) = archive.cut(SOURCE, START, START + 1.6 * SECOND).takes

    assert abs(take.frame_count - 1_600) <= 1
    place = 0
    for part in take.parts:
        if isinstance(part, Sound):
            at_us = place * 1_000 - part.first_frame * 1_000
            assert abs(at_us - (0 if part.recording.id == one.id else 400)) <= 1_000
        place += part.frame_count


def test_a_cut_from_the_beginning_of_time(archive: Archive) -> None:
    """A cut may begin long before anything was heard."""
    recording = archive.add(noise(800).tobytes(), 8_000, source=SOURCE, started_at=START)
    (take,) = archive.cut(SOURCE, datetime(1, 1, 1, tzinfo=UTC), recording.ended_at, "split").takes
    assert take.frame_count == 800


def test_a_cut_wholly_in_a_gap_is_the_gap(archive: Archive) -> None:
    """Where nothing was heard there is nothing for a file, and the gap says why."""
    archive.add(noise(8_000).tobytes(), 8_000, source=SOURCE, started_at=START)
    archive.add_gap(SOURCE, START + SECOND, START + 9 * SECOND, "paused")

    for policy in ("silence", "split"):
        cut = archive.cut(SOURCE, START + 3 * SECOND, START + 5 * SECOND, policy)
        assert (cut.takes, _by_cause(cut)) == ((), {"paused": 2_000_000})


def test_another_format_begins_another_take(archive: Archive) -> None:
    """A file has one format; the silence before a change belongs to what was heard before."""
    stereo, mono = noise(4_000, 2), noise(16_000, seed=2)
    archive.add(stereo.tobytes(), 4_000, 2, source=SOURCE, started_at=START)
    archive.add(mono.tobytes(), 8_000, source=SOURCE, started_at=START + 3 * SECOND)

    cut = archive.cut(SOURCE, START - SECOND, START + 6 * SECOND)

    assert [(take.format.channels, take.started_at, take.ended_at) for take in cut.takes] == [
        (2, START - SECOND, START + 3 * SECOND),
        (1, START + 3 * SECOND, START + 6 * SECOND),
    ]
    assert [type(part) for part in cut.takes[0].parts] == [Silence, Sound, Silence]
    assert [part.frame_count for part in cut.takes[1].parts] == [16_000, 8_000]


def test_what_is_still_being_recorded_is_cut_as_far_as_it_goes(archive: Archive) -> None:
    """The committed part of a recording in progress is there; the rest is not recorded yet."""
    began = datetime.now(UTC) - 10 * SECOND
    with archive.writer(8_000, source=SOURCE, started_at=began, chunk_seconds=0.6) as writer:
        writer.write(noise(16_000))
        while writer.frames_committed < 8_192:
            pass
        committed = archive.get(writer.id).frame_count
        cut = archive.cut(SOURCE, began, began + 5 * SECOND, "split")

    assert 8_192 <= cut.takes[0].frame_count == committed
    assert [gap.cause for gap in cut.gaps] == ["unrecorded"]


@pytest.mark.parametrize(
    ("since", "until", "gaps", "message"),
    [
        (START + SECOND, START, "silence", "cannot end at .*swap the two"),
        (START, START, "silence", "give it a length"),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), "silence", "give it a length"),
        (START.replace(tzinfo=None), START, "silence", "no time zone"),
        (START, START + SECOND, "mute", "no policy 'mute'.*silence, split, error"),
        (START, datetime.now(UTC) + timedelta(hours=1), "split", "still to come"),
    ],
)
def test_a_cut_that_makes_no_sense(
    archive: Archive, since: datetime, until: datetime, gaps: str, message: str
) -> None:
    """Bounds the wrong way round, without a zone or in the future, and unknown policies, are refused."""
    archive.add(noise(800).tobytes(), 8_000, source=SOURCE, started_at=START)
    with pytest.raises(InvalidDetails, match=message):
        archive.cut(SOURCE, since, until, gaps)


@pytest.mark.parametrize("name", ["desk", "", "'; DROP TABLE phono_source; --", "x" * 10_000])
def test_a_source_never_heard_of(archive: Archive, name: str) -> None:
    """A source that is not there is named, with those that are."""
    archive.add(noise(800).tobytes(), 8_000, source=SOURCE, started_at=START)
    with pytest.raises(RecordingNotFound, match=f"there are: {SOURCE}"):
        archive.cut(name, START, START + SECOND)


def _stretches(seed: str) -> Iterator[tuple[int, int]]:
    """Yields random stretches: short and long ones, and such as begin or end where something happens."""
    chance = random.Random(seed)
    edges = [18_300_000, 18_300_125, 20_000_000, 26_200_000, 26_400_007, 40_000_000, 43_500_000, 11_000_000]
    for _ in range(CUTS):
        length_us = int(10 ** chance.uniform(1, 6.7))
        at_us = chance.choice(edges) if chance.random() < 0.3 else chance.randrange(END_US - START_US)
        since_us = START_US + at_us - chance.choice([0, 0, 1, length_us // 2, length_us])
        yield since_us, since_us + length_us


def _between(heard: list[Heard], since_us: int, until_us: int) -> list[tuple[Heard, int, int]]:
    return [(part, *part.between(since_us, until_us)) for part in heard]


def _assert_stretches(asked: list[tuple[Heard, int, int]], cut: Cut, sounds: list[Frames]) -> None:
    """Asserts that the takes hold what was heard, and that each begins behind a gap or a change of format."""
    expected = [part.signal[first:end] for part, first, end in asked]
    assert np.array_equal(_all(sounds), _all(expected))
    assert not any(isinstance(part, Silence) for take in cut.takes for part in take.parts)
    ends = {take.ended_at for take in cut.takes}
    for earlier, take in pairwise(cut.takes):
        lost_before = any(abs(gap.ended_at - take.started_at) <= _a_frame(take) for gap in cut.gaps)
        assert lost_before or earlier.format != take.format
    assert len(ends) == len(cut.takes)


def _assert_in_place(asked: list[tuple[Heard, int, int]], cut: Cut, sounds: list[Frames]) -> None:
    """Asserts that every frame that was heard lies in its place, and that all else is silent."""
    waiting = list(asked)
    for take, sound in zip(cut.takes, sounds, strict=True):
        expected = np.zeros_like(sound)
        anchor_us = START_US + (take.started_at - START) // timedelta(microseconds=1)
        end = 0
        while waiting and waiting[0][0].rate == take.format.sample_rate and end < len(sound):
            part, first, stop = waiting.pop(0)
            place = part.place(first, anchor_us)
            end = place + stop - first
            expected[place:end] = part.signal[first:stop]
        assert np.array_equal(sound, expected)
        assert np.count_nonzero(expected)
    assert not waiting
    if cut.takes and cut.gaps and cut.gaps[-1].ended_at == cut.until:
        assert abs(cut.takes[-1].ended_at - cut.until) <= _a_frame(cut.takes[-1])


def _a_frame(take: Take) -> timedelta:
    return timedelta(seconds=1) / take.format.sample_rate + timedelta(microseconds=1)


def _all(arrays: list[Frames]) -> Frames:
    return np.concatenate([np.empty((0, 1), np.int16), *arrays])


def _by_cause(cut: Cut) -> dict[str, int]:
    lost: Counter[str] = Counter()
    for gap in cut.gaps:
        lost[gap.cause] += (gap.ended_at - gap.started_at) // timedelta(microseconds=1)
    return {cause: us for cause, us in lost.items() if us}


def _moment(us: int) -> datetime:
    return START + timedelta(microseconds=us - START_US)
