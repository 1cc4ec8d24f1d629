from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import Office
    from tests.browser.shown import Shown


def test_a_moment_that_is_still_to_come_is_called_so(desktop: Shown) -> None:
    """Nothing is asked of the archive, and nothing is wrong."""
    desktop.go("source=desk-3")
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    desktop["#go-date"].fill(tomorrow.date().isoformat())
    desktop["#go-time"].fill("12:00")
    desktop["#go-form"].get_by_role("button", name="Go", exact=True).click()
    expect(desktop["#status"]).to_have_text("That moment is still to come.")
    expect(desktop["#alert"]).to_be_hidden()


@pytest.mark.parametrize(("name", "said"), [("nonsense", "422"), ("0" * 32, "404")])
def test_a_link_to_no_recording_says_so_in_words(desktop: Shown, name: str, said: str) -> None:
    """Whether it is no id at all or that of nothing; the source is shown, and the address is mended."""
    desktop.watch.expected.append(said)
    desktop.go(f"source=desk-1&recording={name}")
    expect(desktop["#alert-text"]).to_have_text("There is no such recording, or you may not know of it.")
    expect(desktop["#recording"]).to_be_hidden()
    expect(desktop["#timeline-heading"]).to_have_text("desk-1")
    assert name not in desktop.page.url


def test_a_link_to_no_source_leads_to_one_that_is_there(desktop: Shown) -> None:
    """One sentence says so, and the page works on."""
    desktop.go("source=desk-9&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z")
    expect(desktop["#alert-text"]).to_contain_text("There is no source desk-9")
    expect(desktop["#timeline-heading"]).to_have_text("desk-1")
    expect(desktop["#timeline"]).to_have_attribute("data-ready", "true")
    assert "desk-9" not in desktop.page.url


def test_nothing_is_asked_about_times_that_nobody_looks_at(desktop: Shown) -> None:
    """Loading the page asks for what its timeline shows."""
    desktop.go("source=desk-3")
    expect(desktop["#timeline"]).to_have_attribute("data-ready", "true")
    asked = [answer.url for answer in desktop.watch.answers if "/api/timeline" in answer.url]
    assert len(asked) == 1
    assert "from=1970" not in asked[0]


def test_an_alert_goes_once_its_reason_is_mended(desktop: Shown, desks: Office) -> None:
    """Tags that are not understood are complained of until they are saved."""
    desktop.open(desks.meeting.recording_id)
    desktop["#edit-tags"].fill("nothing but words")
    desktop["#edit-save"].click()
    expect(desktop["#alert-text"]).to_have_text(re.compile("as name=value"))
    desktop["#edit-tags"].fill("kind=meeting")
    desktop["#edit-save"].click()
    expect(desktop["#status"]).to_have_text("Saved.")
    expect(desktop["#alert"]).to_be_hidden()
