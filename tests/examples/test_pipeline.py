"""The example pipeline: known sound in, exact annotations out, however often it is ended."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from examples import pipeline_activity as pipeline
from phonobase import Archive, State
from tests.store.judge import wait_until
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    import numpy.typing as npt

    from phonobase.store.follow import Part

RATE = 8000
WINDOW = RATE // 10
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEARD = [(3, 7), (20, 21), (22, 30), (48, 60)]
"""Windows from the one to before the other, of sixty: in these there is a tone."""
SAID = [(first * WINDOW, (end - first) * WINDOW) for first, end in HEARD]


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """An empty archive, once on SQLite and once on PostgreSQL."""
    with Archive(archive_url) as opened:
        yield opened


def known_sound() -> npt.NDArray[np.int16]:
    """Returns six seconds of faint noise, with tones."""
    sound = np.random.default_rng(1).integers(-20, 21, 60 * WINDOW).astype("<i2")
    for first, end in HEARD:
        count = (end - first) * WINDOW
        sound[first * WINDOW : end * WINDOW] = 8000 * np.sin(np.arange(count) * 0.3)
    return sound


def said(archive: Archive, recording_id: UUID) -> list[tuple[int, int]]:
    """Returns the stretches that were annotated."""
    return [(one.first_frame, one.frame_count) for one in archive.annotations(recording_id)]


def test_known_sound(archive: Archive, tmp_path: Path) -> None:
    """Of what is there exactly the windows with a tone are annotated, once; a second run says nothing new."""
    recording = archive.add(known_sound().tobytes(), RATE, source="desk", started_at=NOON)
    silent = archive.add(bytes(RATE * 2), RATE, source="desk")
    for _ in range(2):
        pipeline.run(archive, tmp_path / "position", idle_seconds=0)
        assert said(archive, recording.id) == SAID
        assert said(archive, silent.id) == []
    # A sine of amplitude 8000 has an effective value of 8000 / sqrt(2): -15.3 dBFS.
    assert {one.score for one in archive.annotations(recording.id)} <= {-15.2, -15.3, -15.4}
    assert {(one.kind, one.author) for one in archive.annotations()} == {("activity", "pipeline_activity 1")}


def test_few_samples_a_second(archive: Archive, tmp_path: Path) -> None:
    """Of sound with fewer samples in a second than windows, each sample is a window."""
    recording = archive.add((8000).to_bytes(2, "little") * 12, 4)
    pipeline.run(archive, tmp_path / "position", idle_seconds=0)
    assert said(archive, recording.id) == [(0, 12)]


def test_how_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without a database and a notebook, it says that it needs them."""
    monkeypatch.setattr(sys, "argv", ["pipeline_activity.py"])
    with pytest.raises(SystemExit, match=r"usage: .* DATABASE_URL POSITION_FILE"):
        pipeline.main()


@pytest.mark.parametrize("seed", range(4))
def test_ended_at_any_place(
    archive: Archive, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut into parts of any length, ended behind any step, also between saying and noting: the same."""
    rnd = random.Random(seed)
    whole = archive.follow
    monkeypatch.setattr(
        archive, "follow", lambda *args, **how: whole(*args, **how, part_seconds=rnd.uniform(0.05, 1))
    )

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    recording = archive.add(known_sound().tobytes(), RATE)
    times = 0
    while True:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, rnd.choice(["note", "judge", "find"]), ended)
            try:
                pipeline.run(archive, tmp_path / "position", idle_seconds=0)
            except KeyboardInterrupt:
                times += 1
            else:
                break
        one_part(archive, tmp_path / "position")
    assert times > 3
    assert said(archive, recording.id) == SAID


def one_part(archive: Archive, notebook: Path) -> None:
    """Runs the pipeline for one part."""
    after = notebook.read_text() if notebook.exists() else "start"
    parts = archive.follow(after=after, idle_seconds=0)
    for part in parts:
        pipeline.judge(archive, part)
        pipeline.note(notebook, part.position)
        break
    parts.close()


def test_live_and_killed(archive: Archive, archive_url: str, tmp_path: Path) -> None:
    """Run beside a recording that grows, and killed now and then, it has said all of it in the end."""
    notebook, sound = tmp_path / "position", known_sound()
    command = [sys.executable, pipeline.__file__, archive_url, str(notebook)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writer = archive.writer(RATE, chunk_seconds=0.5, source="desk", started_at=NOON)
    for first in range(0, len(sound), 20 * WINDOW):
        before = notebook.read_text() if notebook.exists() else ""
        with subprocess.Popen(command, env=env) as process:
            writer.write(sound[first : first + 20 * WINDOW])
            wait_until(lambda before=before: notebook.exists() and notebook.read_text() != before)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
    recording = writer.close()
    assert recording.state is State.COMPLETE
    pipeline.run(archive, notebook, idle_seconds=0)
    assert said(archive, recording.id) == SAID


def test_deleted_meanwhile(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is deleted while it is judged stops nothing."""
    gone, kept = (archive.add(known_sound().tobytes(), RATE) for _ in range(2))
    judge = pipeline.judge

    def late(archive: Archive, part: Part) -> None:
        if part.recording.id == gone.id:
            archive.delete(gone.id, "not wanted")
        judge(archive, part)

    monkeypatch.setattr(pipeline, "judge", late)
    pipeline.run(archive, tmp_path / "position", idle_seconds=0)
    assert said(archive, kept.id) == SAID
    assert len(archive.annotations()) == len(SAID)


def test_subtitles(archive: Archive, tmp_path: Path) -> None:
    """What was said is exported as WebVTT, and ffmpeg reads the same times from it."""
    archive.add(known_sound().tobytes(), RATE)
    pipeline.run(archive, tmp_path / "position", idle_seconds=0)
    path = tmp_path / "desk.vtt"
    path.write_text(pipeline.subtitles(archive, "last"))
    command: list[Any] = [require("ffmpeg"), "-v", "error", "-i", path, "-f", "srt", "-"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    times = [line for line in lines if "-->" in line]
    assert times == [
        f"00:00:{first / 10:06.3f} --> 00:00:{end / 10:06.3f}".replace(".", ",") for first, end in HEARD
    ]
    assert lines.count("activity") == len(HEARD)
