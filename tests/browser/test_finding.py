from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser import listening
from tests.browser.office import RATE, at
from tests.browser.shown import shown
from tests.support.prs import locate

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown


_COUNTS = {0: "othing", 1: "One recording", 6: "6 recordings"}


def test_yesterdays_1403_on_desk_3_is_found_and_heard(browser: Browser, desks_on_both: Office) -> None:
    """Source, day and time lead to the recording and the place in it; what is played is what was heard."""
    meeting = desks_on_both.meeting
    first = meeting.frame_at(at("14:03"))
    with shown(browser, desks_on_both.address) as window:
        window.go()
        window.go_to("desk-3", "14:03:00")
        window.wait_for(meeting.recording_id)
        expect(window["#recording-title"]).to_have_text("Budget meeting")

        listening.tap(window, "#audio", RATE)
        window["#play"].click()
        window.until_played(121.5)
        played = listening.sounding(listening.heard(window)[0])

        assert locate(played, meeting.signal) == first
        assert np.array_equal(played, meeting.signal[first : first + len(played)])


@pytest.mark.parametrize(
    ("fields", "titles"),
    [
        pytest.param({"#find-text": "budget"}, {"Budget meeting"}, id="title"),
        pytest.param({"#find-text": "next year"}, {"Budget meeting"}, id="notes"),
        pytest.param({"#find-min": "120"}, {"Budget meeting"}, id="length"),
        pytest.param(
            {"#find-tags": "kind=call"},
            {
                "Call at desk-1",
                "Call at desk-2",
                "Call at desk-4",
                "Last year",
                "Early call",
                "After the pause",
            },
            id="tag",
        ),
        pytest.param({"#find-text": "nobody said this"}, set(), id="nothing"),
    ],
)
def test_filters_leave_what_was_asked_for(desktop: Shown, fields: dict[str, str], titles: set[str]) -> None:
    """Over all sources, each field leaves exactly the recordings that it describes, and says how many."""
    desktop.go()
    desktop["#find-all"].check()
    desktop["#find-form summary"].click()
    for field, value in fields.items():
        desktop[field].fill(value)
    desktop["#find-form"].get_by_role("button", name="Find", exact=True).click()

    found = desktop["#results a[data-recording-id]"]
    expect(found).to_have_count(len(titles))
    texts = found.all_inner_texts()
    assert {title for title in titles if any(title in text for text in texts)} == titles
    expect(desktop["#results-count"]).to_contain_text(_COUNTS[len(titles)])


def test_a_found_recording_opens(desktop: Shown, desks: Office) -> None:
    """A click on what was found shows it, and the browser's way back leads to where one was."""
    desktop.go()
    desktop["#find-all"].check()
    desktop["#find-text"].fill("budget")
    desktop["#find-text"].press("Enter")
    desktop["#results a"].filter(has_text="Budget meeting").click()
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#recording-title"]).to_have_text("Budget meeting")

    desktop.page.go_back()
    expect(desktop["#recording-title"]).not_to_be_visible()
    desktop.page.go_forward()
    desktop.wait_for(desks.meeting.recording_id)
