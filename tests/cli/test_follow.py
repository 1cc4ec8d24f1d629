"""``phonobase follow``."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from phonobase import Archive, State
from tests.store.both_ends import add
from tests.store.judge import Program as Judge
from tests.store.judge import pcm_of, random_pcm

if TYPE_CHECKING:
    from tests.cli.program import Program

PCM = random_pcm(8000, 1, "int16")


def _lines(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.decode().splitlines()]


def test_what_is_there(phonobase_on_both: Program) -> None:
    """A line a part: of which recording, which frames, when, in which format, and where to go on."""
    with Archive(phonobase_on_both.url) as archive:
        made = [archive.add(PCM, 8000, source=f"mic-{number}") for number in range(3)]
        first, *rest = _lines(phonobase_on_both("follow", "--after", "start", "--idle", "0").ok().out)
        assert first.pop("position")
        assert first == {
            "recording_id": made[0].id.hex,
            "source": "mic-0",
            "started_at": made[0].started_at.isoformat(),
            "ended_at": made[0].ended_at.isoformat(),
            "first_frame": 0,
            "frame_count": 8000,
            "sample_rate": 8000,
            "channels": 1,
            "sample_format": "int16",
            "state": "complete",
            "ends": True,
        }
        behind = phonobase_on_both("follow", "--after", rest[0]["position"], "--idle", "0").ok()
        assert _lines(behind.out) == rest[1:]
        assert phonobase_on_both("follow", "--idle", "0").ok().out == b""


def test_killed_anywhere(phonobase_on_both: Program) -> None:
    """Whoever kills it, and goes on from the last line that came out, has every frame once."""
    followed: list[dict[str, Any]] = []
    with Archive(phonobase_on_both.url) as archive:
        made = [add(archive, 2) for _ in range(4)]
        position = "start"
        for count in (3, 4):
            follow = ("follow", "--after", position, "--part", "0.3")
            with phonobase_on_both.start(*follow, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(count)]
                process.kill()
                process.communicate(timeout=60)
            followed += _lines(b"".join(lines))
            position = followed[-1]["position"]
            made.append(add(archive, 1))
        out = phonobase_on_both("follow", "--after", position, "--part", "0.3", "--idle", "0").ok().out
        followed += _lines(out)
        assert [one["recording_id"] for one in followed if one["ends"]] == [one.id.hex for one in made]
        for one in made:
            ends = 0
            for part in followed:
                if part["recording_id"] == one.id.hex:
                    assert part["first_frame"] == ends
                    ends += part["frame_count"]
            assert ends == one.frame_count


def test_the_sound_into_a_pipe(phonobase_on_both: Program) -> None:
    """With --raw the sound of a source comes out as PCM, and at the end it says where to go on."""
    with Archive(phonobase_on_both.url) as archive:
        archive.add(PCM, 8000, source="desk")
        archive.add(PCM[::-1], 8000, source="attic")
        archive.add(PCM[:100], 8000, source="desk")
    raw = ("follow", "--source", "desk", "--raw", "--idle", "0", "--after")
    done = phonobase_on_both(*raw, "start").ok()
    assert done.out == PCM + PCM[:100]
    said, position = done.err.rstrip().rsplit(" ", 1)
    assert said == "go on with --after"
    again = phonobase_on_both(*raw, position).ok()
    assert (again.out, again.err) == (b"", "")


def test_live(phonobase_on_both: Program) -> None:
    """What a recorder hears comes out of another process while it is recorded, to the last frame."""
    # The duration only ends a recorder that nobody stops, because a test failed.
    record = ("record", "--source", "desk", "--input", "tone", "--duration", "60", "--chunk", "0.2")
    follow = ("follow", "--source", "desk", "--after", "start", "--idle", "20")
    with (
        phonobase_on_both.start(*record, stdout=subprocess.PIPE) as recorder,
        phonobase_on_both.start(*follow, stdout=subprocess.PIPE) as follower,
    ):
        assert follower.stdout is not None
        parts = [json.loads(follower.stdout.readline()) for _ in range(3)]
        assert recorder.poll() is None
        assert [(part["state"], part["ends"]) for part in parts] == [("recording", False)] * 3
        recorder.send_signal(signal.SIGTERM)
        while not parts[-1]["ends"]:
            parts.append(json.loads(follower.stdout.readline()))
        recorder.communicate(timeout=60)
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(60) == 130
    raw = phonobase_on_both("follow", "--source", "desk", "--after", "start", "--raw", "--idle", "0").ok().out
    with Archive(phonobase_on_both.url) as archive:
        (recording,) = archive.find()
        assert recording.state is State.COMPLETE
        assert raw == pcm_of(archive.read(recording.id), recording.format.sample_format)
    assert sum(part["frame_count"] for part in parts) == recording.frame_count
    count = Judge(phonobase_on_both.url).value("SELECT sum(frame_count) FROM phono_chunk")
    assert int(count) == recording.frame_count


def test_another_format(phonobase: Program) -> None:
    """Raw sound does not go on in another format: one line says so, behind the one to go on with."""
    with Archive(phonobase.url) as archive:
        archive.add(PCM, 8000, source="desk")
        archive.add(PCM, 16_000, source="desk")
    done = phonobase("follow", "--source", "desk", "--raw", "--after", "start", "--idle", "0")
    assert done.out == PCM
    assert done.err.startswith("go on with --after ")
    assert "16000 Hz" in done.err.splitlines()[-1]
    assert done.code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--raw",),
        ("--after", "nonsense"),
        ("--after", ""),
        ("--part", "0"),
        ("--idle", "-1"),
        ("--part", "2d"),
        ("--after", "bm90IG9uZQ"),
    ],
)
def test_bad_input(recorded: Program, arguments: tuple[str, ...]) -> None:
    """What means nothing is refused in a line."""
    recorded("follow", *arguments).refused()
