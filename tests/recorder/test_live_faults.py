"""A recorder whose every operation on the database, or on a file, fails once: all time is accounted for."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from phonobase import Archive
from phonobase.errors import RecorderError, StoreError
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.settings import SourceSettings
from phonobase.recorder.state import Pause
from tests.recorder.scripted import NAME, RATE, START_US, Do, Hear, Lose, Scene, Stall
from tests.store.faults import Faults
from tests.support.accounts import account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recorder.scripted import Step

EVERY = 1 if os.environ.get("TORTURE") else 5
"""Which operations fail: mostly every fifth, for time's sake."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with nothing in it."""
    path = tmp_path_factory.mktemp("empty") / "phonobase.db"
    Archive(f"sqlite:///{path}").close()
    return path


def _script(scene: Scene) -> list[Step]:
    pause = Pause(NAME, "card number", START_US)
    return [
        Hear(2.5),
        Stall(1.5),
        Hear(2),
        Do(lambda: scene.state.pause(pause)),
        Hear(1.5),
        Do(lambda: scene.state.resume(NAME, scene.clock.wall_us())),
        Hear(2),
        Lose(3),
        Hear(3),
        Stall(70),
        Hear(2),
    ]


def _record(scene: Scene, faults: Faults, script: list[Step]) -> None:
    with Archive(f"sqlite:///{scene.file}") as archive, faults.watching(archive.engine):
        LiveRecorder(
            archive,
            scene.state,
            [SourceSettings({"source": NAME}, chunk_seconds=0.5, rollover_s=4)],
            lambda: scene.open(script),
            clock=scene.clock,
            floor_bytes=0,
        ).run()


def _assert_accounted(scene: Scene) -> None:
    with Archive(f"sqlite:///{scene.file}") as archive:
        found = account(archive, NAME)
        assert found.holes(tolerance=2) == []
        assert all(archive.verify(recording.id).ok for recording in archive.find(limit=None))
        since = archive.find(limit=None)[-1].started_at
        until = archive.find()[0].ended_at
        assert archive.coverage(NAME, since, until).lost_us.get("unrecorded", 0) == 0


def test_every_operation_on_the_database_fails_once(tmp_path: Path, empty: Path) -> None:
    """Whichever operation fails, the next recorder leaves no second unaccounted for, and no frame altered."""
    faults = Faults()
    number, lost = 0, list[int]()
    while True:
        scene = Scene(tmp_path / str(number))
        scene.folder.mkdir()
        shutil.copyfile(empty, scene.file)
        faults.fail(number)
        began = True
        try:
            _record(scene, faults, _script(scene))
        except StoreError:  # at the very beginning it says so, and ends
            began = False
        faults.rest()
        failed = faults.failed
        scene.state.resume(NAME, scene.clock.wall_us())
        scene.clock.pass_us(5_000_000)
        _record(scene, faults, [Hear(2)])

        _assert_accounted(scene)
        with Archive(f"sqlite:///{scene.file}") as archive:
            heard = account(archive, NAME).heard_frames
        if began:
            lost.append(round(13.5 * RATE) - heard)
        if not failed:
            break
        number += EVERY
    assert number > 50
    assert lost[-1] == 0
    # What was not committed. Here time is faster than the disk, so it is all that may wait: six cuts of half
    # a second, and what is not cut yet.
    assert max(lost) <= 4 * RATE, lost


@contextlib.contextmanager
def _failing_file(folder: Path, number: int) -> Iterator[list[int]]:
    """Lets the opening of one file in a folder fail, as a disk does; gives what was counted."""
    count = [0]

    def failing(really: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - open's
            if str(file).startswith(str(folder)):
                count[0] += 1
                if count[0] == number + 1:
                    raise OSError(errno.EIO, "a fault that was asked for", str(file))
            return really(file, *arguments, **options)

        return opened

    with patch.object(io, "open", failing(io.open)), patch.object(os, "open", failing(os.open)):
        yield count


def test_every_file_beside_it_fails_once(tmp_path: Path, empty: Path) -> None:
    """A status that cannot be written, or a pause that cannot be read, costs no more than that moment."""
    number, total = -1, 0  # at first none fails, to count them
    while number < total:
        scene = Scene(tmp_path / str(number))
        scene.folder.mkdir()
        shutil.copyfile(empty, scene.file)
        script: list[Step] = [Hear(2), Stall(1), Hear(2), Lose(2), Hear(2)]
        with _failing_file(scene.state.path, number) as count, contextlib.suppress(RecorderError):
            _record(scene, Faults(), script)
        total = max(total, count[0])
        scene.clock.pass_us(5_000_000)
        _record(scene, Faults(), [Hear(2)])

        _assert_accounted(scene)
        number += EVERY if number >= 0 else 1
    assert total > 5
