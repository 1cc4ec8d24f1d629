from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from tests.browser import listening
from tests.browser.office import RATE, at
from tests.browser.shown import shown
from tests.support.prs import locate, noise
from tests.web.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown


def test_playing_goes_on_and_stops(desktop: Shown, desks: Office) -> None:
    """The button plays and pauses, says which, and the time on the page is that of the sound."""
    desktop.open(desks.meeting.recording_id)
    play = desktop["#play"]
    expect(play).to_have_attribute("aria-label", "Play")
    play.click()
    expect(play).to_have_attribute("aria-label", "Pause")
    desktop.until_played(1)
    play.click()
    expect(play).to_have_attribute("aria-label", "Play")
    stopped = desktop.seconds()
    desktop.page.wait_for_timeout(300)
    assert desktop.seconds() == stopped
    assert abs(float(desktop["#position"].get_attribute("data-seconds") or "nan") - stopped) < 0.3


def test_seeking_fetches_a_range(desktop: Shown, desks: Office) -> None:
    """A click into the waveform plays from there: exactly its frames, from a range of the bytes."""
    meeting = desks.meeting
    desktop.open(meeting.recording_id)
    listening.tap(desktop, "#audio", RATE)
    desktop.click_into("#overview", 0.75)
    desktop.until_played(170)
    place = desktop.seconds()
    desktop["#play"].click()
    desktop.until_played(place + 1.5)

    played = listening.sounding(listening.heard(desktop)[0])
    first = locate(played, meeting.signal)
    assert abs(first - place * RATE) <= 1
    assert np.array_equal(played, meeting.signal[first : first + len(played)])
    starts = [int(each.removeprefix("bytes ").split("-")[0]) for each in desktop.watch.ranges("/audio")]
    assert max(starts) > 0


def test_whoever_does_not_wait_for_the_waveform_hears(desktop: Shown, desks: Office) -> None:
    """Sound is fetched once the waveform is drawn, or before that for who plays it."""
    held: list[Route] = []
    desktop.page.route("**/peaks?*", lambda route: held.append(route))  # noqa: PLW0108 - it wants a function
    desktop.go(f"recording={desks.meeting.recording_id.hex}")
    expect(desktop["#recording"]).to_be_visible()
    assert desktop.watch.ranges("/audio") == []
    desktop["#play"].click()
    desktop.until_played(0.5)
    for route in held:
        route.continue_()
    desktop.wait_for(desks.meeting.recording_id)
    desktop.until_played(desktop.seconds() + 0.5)


def test_the_browser_decodes_the_archives_samples(desktop: Shown, desks: Office) -> None:
    """What the player's address gives is, decoded by the browser, the recording frame by frame."""
    meeting = desks.meeting
    desktop.open(meeting.recording_id)
    first = meeting.frame_at(at("14:03"))
    length, frames = listening.decoded(desktop, RATE, first, 5 * RATE)
    assert length == len(meeting.signal)
    assert np.array_equal(frames, meeting.signal[first : first + 5 * RATE])


@pytest.mark.parametrize("frames", [80, 400, 8_000])
def test_very_short_sound_is_played(browser: Browser, migrated_sqlite_url: str, frames: int) -> None:
    """Also where the page was looked at for a while before."""
    with Archive(migrated_sqlite_url) as archive:
        recording = archive.add(noise(frames).tobytes(), 8_000, source="desk-1")
        with served(create_app(archive)) as address, shown(browser, address) as window:
            window.open(recording.id)
            window.page.wait_for_timeout(700)
            window["#play"].click()
            window.until("() => document.querySelector('#audio').ended")
            expect(window["#alert"]).to_be_hidden()
