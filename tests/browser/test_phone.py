from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.office import yesterday
from tests.browser.test_marking import assert_marked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown

_SMALLEST = 24
"""The least width and height, in CSS pixels, of what is touched (WCAG 2.2, 2.5.8)."""

_HEAD = 180
"""Less than a quarter of the screen."""


def _assert_fits(phone: Shown) -> None:
    wide = phone.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide == [360, 360]


def test_a_phone_goes_all_the_way_by_touch(phone: Shown, desks: Office, tmp_path: Path) -> None:
    """At 360 by 740 the way from a source to a download is walked by touch, and nothing scrolls sideways."""
    phone.go()
    _assert_fits(phone)
    phone['#sources a[data-source="desk-3"]'].tap()
    _assert_fits(phone)
    phone["#go-date"].fill(yesterday().isoformat())
    phone["#go-time"].fill("14:03:00")
    phone["#go-form"].get_by_role("button", name="Go", exact=True).tap()
    phone.wait_for(desks.meeting.recording_id)
    _assert_fits(phone)
    phone["#play"].tap()
    phone.until_played(120.5)
    phone["#play"].tap()
    expect(phone["#play"]).to_have_attribute("aria-label", "Play")
    phone["#mark-start"].fill("14:02:58.500")
    phone["#mark-stop"].fill("14:03:04.250")
    phone["#mark-stop"].press("Enter")
    with phone.page.expect_download() as loading:
        phone["#mark-download"].tap()
    loading.value.save_as(tmp_path / "marked.zip")
    assert_marked(tmp_path, desks)
    _assert_fits(phone)


def test_what_is_touched_is_large_enough(phone: Shown, desks: Office) -> None:
    """Every control of an open recording is at least 24 by 24 pixels."""
    phone.open(desks.meeting.recording_id)
    small = phone.page.evaluate(
        """smallest => [...document.querySelectorAll("button, select, input, summary")]
          .filter((each) => each.checkVisibility())
          .filter((each) => {
            const { width, height } = each.getBoundingClientRect();
            return Math.min(width, height) < smallest;
          })
          .map((each) => each.id || each.textContent)""",
        _SMALLEST,
    )
    assert small == []


def test_a_phone_is_told_what_fingers_do(phone: Shown, desks: Office) -> None:
    """No hint speaks of a mouse, the buttons that mark say what they do, and the head leaves room."""
    phone.open(desks.meeting.recording_id)
    for hint in ("#timeline-hint", "#wave-hint"):
        told = phone[hint].inner_text()
        assert told.startswith("Tap")
        assert not any(word in told for word in ("Click", "Shift", "scroll"))
    assert phone["#mark-here-start"].inner_text() == "From here"
    assert phone["#mark-here-stop"].inner_text() == "To here"
    assert phone.page.evaluate("document.querySelector('header').offsetHeight") < _HEAD
