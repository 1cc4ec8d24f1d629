"""What a live recorder makes of everything that happens to it, in simulated time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase import Archive, State
from phonobase.errors import RecorderRunning
from phonobase.recorder.settings import SourceSettings, Trigger
from phonobase.recorder.state import Pause
from tests.recorder.scripted import NAME, RATE, START_US, Do, Hear, Lose, Scene, Stall
from tests.support.accounts import account
from tests.support.world import sounding

if TYPE_CHECKING:
    from pathlib import Path

    from phonobase.store.coverage import Gap

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = START_US * RATE // 1_000_000


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A recorder that has not run."""
    return Scene(tmp_path)


def at(seconds: float) -> datetime:
    """Returns a time of the scene."""
    return NOON + timedelta(seconds=seconds)


def gaps(scene: Scene) -> list[tuple[str, float, float, bool]]:
    """Returns cause, beginning and end in seconds, and whether it lies in a recording, of every gap."""
    with Archive(f"sqlite:///{scene.file}") as archive:
        return [
            (gap.cause, _seconds(gap.started_at), _seconds(gap.ended_at), gap.recording_id is not None)
            for gap in archive.gaps(NAME)
            if gap.cause != "unrecorded"
        ]


def heard(scene: Scene) -> list[tuple[float, float]]:
    """Returns, in seconds of the scene, what of the world is stored; fails where it is not as it was."""
    with Archive(f"sqlite:///{scene.file}") as archive:
        stretches = account(archive, NAME).heard
    return [((first - FIRST) / RATE, (end - FIRST) / RATE) for first, end in stretches]


def details(scene: Scene) -> list[str | None]:
    """Returns what is said of every gap."""
    with Archive(f"sqlite:///{scene.file}") as archive:
        found: list[Gap] = archive.gaps(NAME)
        return [gap.detail for gap in found if gap.cause != "unrecorded"]


def verified(scene: Scene) -> bool:
    """Tells whether every recording is as it was written."""
    with Archive(f"sqlite:///{scene.file}") as archive:
        return all(archive.verify(recording.id).ok for recording in archive.find(limit=None))


def _seconds(moment: datetime) -> float:
    return (moment - NOON) / timedelta(seconds=1)


def test_a_stall_is_silence_and_later_sound_stays_in_its_place(scene: Scene) -> None:
    """A device that gave nothing for three seconds leaves three seconds of silence, listed as a gap."""
    scene.play(Hear(10), Stall(3), Hear(10))

    assert gaps(scene) == [("stalled", 10, 13, True)]
    assert heard(scene) == [(0, 10), (13, 23)]
    assert [recording.frame_count for recording in scene.recordings] == [23 * RATE]
    assert verified(scene)


def test_a_long_stall_ends_the_recording(scene: Scene) -> None:
    """Minutes are not filled with silence: the next recording begins behind them."""
    scene.play(Hear(10), Stall(300), Hear(10))

    assert gaps(scene) == [("stalled", 10, 310, False)]
    assert heard(scene) == [(0, 10), (310, 320)]
    assert [recording.started_at for recording in scene.recordings] == [NOON, at(310)]


def test_a_lost_device_is_opened_again(scene: Scene) -> None:
    """The time until it was back is a gap between two recordings, and the second is of another run."""
    scene.play(Hear(10), Lose(20), Hear(10))

    assert gaps(scene) == [("device-lost", 10, 30, False)]
    assert details(scene) == ["the device went away"]
    assert heard(scene) == [(0, 10), (30, 40)]
    first, second = scene.recordings
    assert (first.state, second.state) == (State.INTERRUPTED, State.COMPLETE)
    assert first.run_id != second.run_id


def test_a_device_that_is_away_at_the_start(scene: Scene) -> None:
    """What is not heard since the recorder began is the device's fault, and before it nobody's."""
    scene.play(Hear(5))
    scene.clock.pass_us(10_000_000)
    scene.play(Lose(20), Hear(5))

    assert gaps(scene) == [("process-down", 5, 15, False), ("device-lost", 15, 35, False)]


def test_between_two_recorders_nothing_ran(scene: Scene) -> None:
    """From the end of one run to the start of the next the process was down."""
    scene.play(Hear(5))
    scene.clock.pass_us(3_600_000_000)
    scene.play(Hear(5))

    assert gaps(scene) == [("process-down", 5, 3605, False)]
    assert details(scene) == ["the recorder was stopped"]
    assert heard(scene) == [(0, 5), (3605, 3610)]


def test_a_pause_is_silence_with_its_reason(scene: Scene) -> None:
    """What is said during a pause is nowhere in the archive; its time is, with the reason."""
    scene.play(
        Hear(10),
        Do(lambda: scene.state.pause(Pause(NAME, "card number", START_US))),
        Hear(5),
        Do(lambda: scene.state.resume(NAME, scene.clock.wall_us())),
        Hear(10),
    )

    assert gaps(scene) == [("paused", 10, 15, True)]
    assert details(scene) == ["card number"]
    assert heard(scene) == [(0, 10), (15, 25)]
    secret = sounding(FIRST + 10 * RATE, 5 * RATE).astype("<i2").tobytes()
    stored = scene.file.read_bytes()
    assert not any(secret[place : place + 32] in stored for place in range(0, len(secret) - 32, 32))


def test_a_pause_outlasts_the_recorder(scene: Scene) -> None:
    """A recorder that is started while its source is paused stores nothing until that is resumed."""
    scene.state.pause(Pause(NAME, "card number", START_US))

    scene.play(Hear(5), Do(lambda: scene.state.resume(NAME, scene.clock.wall_us())), Hear(5))

    assert heard(scene) == [(5, 10)]
    assert gaps(scene) == [("paused", 0, 5, False)]


def test_what_is_heard_in_a_pause_and_dealt_with_later(scene: Scene) -> None:
    """The recorder stands still over the end of a pause: what it fetches then was heard in it: gone."""
    scene.play(
        Hear(5),
        Do(lambda: scene.state.pause(Pause(NAME, "card number", scene.clock.wall_us()))),
        Hear(2),
        Do(lambda: setattr(scene, "late", True)),
        Hear(3),
        Do(lambda: scene.state.resume(NAME, scene.clock.wall_us())),
        Hear(2),
        Do(lambda: setattr(scene, "late", False)),
        Hear(5),
    )

    assert gaps(scene) == [("paused", 5, 10, True)]
    assert heard(scene) == [(0, 5), (10, 17)]


def test_what_is_heard_before_a_pause_and_dealt_with_in_it(scene: Scene) -> None:
    """The first second is held back; a pause in it takes nothing of what was heard before."""
    scene.play(
        Hear(0.5),
        Do(lambda: scene.state.pause(Pause(NAME, "card number", scene.clock.wall_us()))),
        Hear(0.2),
        Do(lambda: scene.state.resume(NAME, scene.clock.wall_us())),
        Hear(5),
    )

    assert gaps(scene) == [("paused", 0.5, 0.7, True)]
    assert heard(scene) == [(0, 0.5), (0.7, 5.7)]


def test_a_device_that_is_lost_before_its_first_sound(scene: Scene) -> None:
    """It opens and fails: until then the process was down, and from then on the device was lost."""
    scene.play(Hear(5))
    scene.clock.pass_us(10_000_000)
    scene.play(Do(lambda: scene.clock.pass_us(1_000_000)), Lose(20), Hear(5))

    assert gaps(scene) == [("process-down", 5, 16, False), ("device-lost", 16, 36, False)]


def test_a_new_source_whose_device_is_lost_before_its_first_sound(scene: Scene) -> None:
    """Nothing is said of the time before the recorder began."""
    scene.play(Do(lambda: scene.clock.pass_us(1_000_000)), Lose(20), Hear(5))

    assert gaps(scene) == [("device-lost", 1, 21, False)]


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_clock_that_is_set_while_the_device_is_away(scene: Scene, step_s: int) -> None:
    """The device was away for twenty seconds, whatever the clock says, and the step is stored."""
    scene.play(Hear(10), Lose(20, step_s), Hear(10))

    assert gaps(scene) == sorted(
        [
            ("device-lost", 10, 30, False),
            ("clock-step", 30, max(30, 30 + step_s), False),
        ],
        key=lambda gap: gap[1],
    )
    assert [recording.started_at for recording in scene.recordings] == [NOON, at(30 + step_s)]


@pytest.mark.parametrize("step_s", [3600, -3600, 0.3])
def test_a_clock_that_is_set_while_the_disk_is_full(
    scene: Scene, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be stored is listed whole, before and behind the step, and the recorder lives on."""
    full = Event()
    suffices = property(lambda _: not full.is_set(), lambda *_: None)
    monkeypatch.setattr("phonobase.recorder.room.Room.suffices", suffices, raising=False)
    scene.play(
        Hear(10),
        Do(full.set),
        Hear(5),
        Do(lambda: scene.clock.set_us(round(step_s * 1_000_000))),
        Hear(5),
        Do(full.clear),
        Hear(10),
    )

    large = abs(step_s) > 1
    listed = [(cause, round(began, 1), round(ended, 1)) for cause, began, ended, _ in gaps(scene)]
    assert sorted(listed) == sorted(
        [
            ("disk-full", 10, 15),
            ("clock-step", 15, max(15, 15 + step_s)),
            ("disk-full", 15 + step_s, 20 + step_s),
        ]
        if large
        else [("disk-full", 10, 20), ("clock-step", 15, 15)]
    )


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_large_step_of_the_clock_begins_a_recording_on_the_new_time(scene: Scene, step_s: int) -> None:
    """Somebody sets the clock by an hour: no frame is lost or moved, and the step is stored."""
    scene.play(Hear(10), Do(lambda: scene.clock.set_us(step_s * 1_000_000)), Hear(10))

    with Archive(f"sqlite:///{scene.file}") as archive:
        frames = np.concatenate([archive.read(recording.id) for recording in scene.recordings])
    assert np.array_equal(frames, sounding(FIRST, 20 * RATE))
    assert [recording.started_at for recording in scene.recordings] == [NOON, at(10 + step_s)]
    assert [(recording.run_index) for recording in scene.recordings] == [0, 1]
    way = "forward" if step_s > 0 else "back"
    assert gaps(scene) == [("clock-step", 10, max(10, 10 + step_s), False)]
    assert details(scene) == [f"the wall clock was set {way} by 3600.000 s"]


def test_a_small_step_of_the_clock_is_noted(scene: Scene) -> None:
    """A few hundred milliseconds move nothing, and are listed where they happened."""
    scene.play(Hear(10), Do(lambda: scene.clock.set_us(300_000)), Hear(10))

    assert [recording.frame_count for recording in scene.recordings] == [20 * RATE]
    assert gaps(scene) == [("clock-step", 10, 10, True)]


def test_recordings_roll_over_at_the_full_minute(scene: Scene) -> None:
    """Each begins with the first frame of its minute, and none is lost or there twice."""
    scene.clock.pass_us(7_300_000)
    scene.play(Hear(200), sources=[SourceSettings({"source": NAME}, rollover_s=60)])

    assert [recording.started_at for recording in scene.recordings] == [
        at(second) for second in (7.3, 60, 120, 180)
    ]
    assert heard(scene) == [(7.3, 60), (60, 120), (120, 180), (180, 207.3)]
    assert gaps(scene) == []


def test_only_sound_is_recorded_with_its_lead_in(scene: Scene) -> None:
    """With a trigger each event is a recording of its own, and the quiet between is a gap."""
    trigger = Trigger(level_dbfs=-20, pre_roll_s=2, hang_s=3)
    scene.play(
        Hear(20, level=0.01),
        Hear(1),
        Hear(20, level=0.01),
        Hear(1),
        Hear(10, level=0.01),
        sources=[SourceSettings({"source": NAME}, trigger=trigger)],
    )

    assert gaps(scene) == [("quiet", 0, 18, False), ("quiet", 24, 39, False), ("quiet", 45, 52, False)]
    with Archive(f"sqlite:///{scene.file}") as archive:
        stored = [(_seconds(found.started_at), found.seconds) for found in archive.find()[::-1]]
    assert stored == [(18, 6), (39, 6)]


def test_a_detector_decides_what_is_kept(scene: Scene) -> None:
    """Whatever says of frames whether they are worth keeping can be plugged in."""
    word = sounding(FIRST + 5 * RATE, 4).tobytes()
    trigger = Trigger(pre_roll_s=0, hang_s=1, detector=lambda frames: word in frames.tobytes())
    scene.play(Hear(10), sources=[SourceSettings({"source": NAME}, trigger=trigger)])

    assert heard(scene) == [(5, 6.05)]


def test_channels_go_to_sources_of_their_own(scene: Scene) -> None:
    """One device of four channels is two sources, and what the first hears is not in the second."""
    scene.channels = 4
    sources = [
        SourceSettings({"source": "left"}, channels=(1,)),
        SourceSettings({"source": "room"}, channels=(4, 2)),
    ]
    scene.play(Hear(5), Stall(2), Hear(5), sources=sources)

    world = sounding(FIRST, 12 * RATE, 4)
    world[5 * RATE : 7 * RATE] = 0
    with Archive(f"sqlite:///{scene.file}") as archive:
        for name, channels in (("left", [0]), ("room", [3, 1])):
            (found,) = archive.find(source=name)
            assert np.array_equal(archive.read(found.id), world[:, channels])
            assert [gap.cause for gap in archive.gaps(name, found.started_at, found.ended_at)] == ["stalled"]


def test_a_duration_counts_what_was_lost(scene: Scene) -> None:
    """A minute is asked for: losses and a device that was away are part of it."""
    scene.play(Hear(10), Stall(5), Hear(10), Lose(20), Hear(100), duration_s=Fraction(60))

    assert heard(scene) == [(0, 10), (15, 25), (45, 60)]


def test_what_was_quiet_until_a_crash_is_not_the_crash(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder died while it was quiet: it was quiet until its last sign of life, and down from then on."""
    trigger = Trigger(level_dbfs=-20, pre_roll_s=0, hang_s=1)
    quiet = [SourceSettings({"source": NAME}, trigger=trigger)]

    def die() -> None:
        monkeypatch.setattr("phonobase.recorder.lane.Lane.finish", lambda _lane: None)

    scene.play(Hear(5), Hear(30, level=0.001), Do(die), sources=quiet)
    monkeypatch.undo()
    scene.clock.pass_us(10_000_000)
    scene.play(Hear(5), sources=quiet)

    assert gaps(scene) == [("quiet", 6, 35, False), ("process-down", 35, 45, False)]


def test_what_a_recorder_left_open_is_closed_by_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs to run recover: the next recorder of the source closes what the last one left."""
    monkeypatch.setattr("phonobase.recorder.lane.Lane.finish", lambda _lane: None)
    scene.play(Hear(5.5))
    monkeypatch.undo()
    scene.clock.pass_us(10_000_000)
    scene.play(Hear(5))

    with Archive(f"sqlite:///{scene.file}") as archive:
        states = [recording.state for recording in archive.find()[::-1]]
    assert states == [State.INTERRUPTED, State.COMPLETE]
    ((cause, began, ended, _),) = gaps(scene)
    assert (cause, ended) == ("process-down", 15.5)
    assert 0 <= began <= 5.5
    assert verified(scene)


def test_two_recorders_of_one_source(scene: Scene) -> None:
    """The second is refused, by the number of the first's process."""
    with (
        scene.state.lock(NAME),
        pytest.raises(RecorderRunning, match="is being recorded already, by process"),
    ):
        scene.play(Hear(1))


def test_the_drift_of_the_sample_clock_is_kept(scene: Scene) -> None:
    """A device that is 600 ppm slow is known as such, and a new recording begins at the true time."""
    scene.slow_ppm = 600
    scene.play(Hear(1000), sources=[SourceSettings({"source": NAME}, rollover_s=900)])

    first, second = scene.recordings
    assert first.drift_ppm == pytest.approx(-600, abs=5)
    assert second.drift_ppm == pytest.approx(-600, abs=5)
    assert first.frame_count + second.frame_count == 1000 * RATE
    assert (second.started_at - at(900.54)) / timedelta(milliseconds=1) == pytest.approx(0, abs=20)
    assert gaps(scene) == [("clock-drift", _seconds(first.ended_at), _seconds(second.started_at), False)]


def test_what_was_heard_before_something_unforeseen_is_stored(scene: Scene) -> None:
    """Whatever ends the recorder, what had come until then is in the archive, and the next one goes on."""

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scene.play(Hear(10), Do(fail))
    scene.clock.pass_us(5_000_000)
    scene.play(Hear(5))

    assert heard(scene) == [(0, 10), (15, 20)]
    assert gaps(scene) == [("process-down", 10, 15, False)]
