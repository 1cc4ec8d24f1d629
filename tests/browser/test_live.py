from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from tests.browser import listening
from tests.browser.shown import shown
from tests.cli.program import PROGRAM
from tests.support.prs import faults, locate, noise
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from phonobase.pcm import Frames
    from tests.support.pulse import SoundServer

_RATE, _CHANNELS = 44_100, 2
_LAG_S = 3.0
_LISTENED_S = 7
_PATIENCE_S = 60


@contextlib.contextmanager
def _recording(url: str, sound: SoundServer) -> Iterator[None]:
    """Records what the sound server hears, as desk-9, until the block ends."""
    command = [PROGRAM, "--db", url, "record", "--input", "device", "--source", "desk-9"]
    form = ["--samplerate", str(_RATE), "--channels", str(_CHANNELS)]
    process = subprocess.Popen(
        [*command, *form], env=os.environ | sound.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        give_up = time.monotonic() + _PATIENCE_S
        with Archive(url) as archive:
            while not archive.find(source="desk-9"):
                assert process.poll() is None, "the recorder has ended"
                assert time.monotonic() < give_up, "nothing is recorded"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


@pytest.fixture
def live(migrated_sqlite_url: str, sound: SoundServer) -> Iterator[tuple[str, str]]:
    """The address of an archive that a recorder at the sound server writes to, and where it is served."""
    with (
        _recording(migrated_sqlite_url, sound),
        Archive(migrated_sqlite_url) as archive,
        served(listening.with_tap(create_app(archive))) as address,
    ):
        yield migrated_sqlite_url, address


def test_what_is_being_recorded_is_heard_in_the_page(
    browser: Browser, live: tuple[str, str], sound: SoundServer
) -> None:
    """Live, frame by frame what is played to the recorder, no more than three seconds behind it."""
    url, address = live
    played = noise(20 * _RATE, _CHANNELS, seed=21)
    with shown(browser, address) as window:
        listening.tap_all(window)
        window.go("source=desk-9")
        expect(window['#sources a[data-source="desk-9"]']).to_have_attribute("data-recording", "true")
        player = sound.play_async(played)
        expect(window['#sources a[data-source="desk-9"]']).to_contain_text("dB")  # so sound is there
        window["#listen-live"].click()
        expect(window["#listen-live"]).to_have_attribute("aria-pressed", "true")
        expect(window["#listen-live"]).to_have_attribute("data-heard", "true")
        window.page.wait_for_timeout(_LISTENED_S * 1000)
        frames, times = listening.heard(window, _CHANNELS)
        window["#listen-live"].click()
        expect(window["#listen-live"]).to_have_attribute("aria-pressed", "false")
        player.terminate()
        player.wait()

    first = int(np.flatnonzero(frames[:, 0])[0])
    frames, times = frames[first:], times[first:]
    assert len(frames) > 3 * _RATE
    # Silence is put in, or sound left out to catch up, where this machine is busy; none comes twice.
    assert [fault for fault in faults(frames, played) if fault.lost < 0] == []
    with Archive(url) as archive:
        (recording,) = archive.find(source="desk-9")
        stored = archive.read(recording.id)
    stored, began = _sounding(stored, recording.started_at.timestamp())
    step = _RATE // 4
    lags = [
        times[at] - (began + (locate(part, stored) / _RATE))
        for at in range(0, len(frames) - step, step)
        if (part := frames[at : at + step]).all()
    ]
    assert len(lags) > 10
    assert lags[0] <= _LAG_S, "the first sound that is heard is too old"
    assert sorted(lags)[len(lags) * 3 // 4] <= _LAG_S


def _sounding(stored: Frames, began: float) -> tuple[Frames, float]:
    """Returns the frames from where they sound, and when the first of these was heard."""
    first = int(np.flatnonzero(stored[:, 0])[0])
    return stored[first:], began + first / _RATE


def test_the_level_of_what_is_being_recorded_is_shown(
    browser: Browser, live: tuple[str, str], sound: SoundServer
) -> None:
    """The live level rises with what is played, and falls with it."""
    _, address = live
    with shown(browser, address) as window:
        window.go("source=desk-9")
        level = window['#sources a[data-source="desk-9"]']
        expect(level).to_contain_text("silence")
        sound.play(noise(5 * _RATE, _CHANNELS, seed=22) // 10)
        expect(level).to_contain_text("dB")
