from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from tests.browser.office import yesterday
from tests.browser.shown import shown
from tests.web.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

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
    desktop["#edit-tags"].fill("kind=talk")
    desktop["#edit-save"].click()
    expect(desktop["#status"]).to_have_text("Saved.")
    expect(desktop["#alert"]).to_be_hidden()


def test_a_recording_has_a_source_of_its_own(desktop: Shown, desks: Office) -> None:
    """A link that names none that is there beside it opens it all the same, on its day."""
    for source in ("desk-9", "desk-1"):
        desktop.go(f"source={source}&recording={desks.meeting.recording_id.hex}")
        desktop.wait_for(desks.meeting.recording_id)
        expect(desktop["#timeline-heading"]).to_have_text("desk-3")
        expect(desktop["#alert"]).to_be_hidden()
    desktop.go(f"recording={desks.meeting.recording_id.hex}")
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#timeline-heading-day"]).to_have_text(f"{yesterday():%A, %-d %B %Y}")


def test_a_moment_that_is_none_is_passed_over(desktop: Shown, desks: Office) -> None:
    """The recording opens at its beginning."""
    for at in ("garbage", "9999-99-99T00:00:00Z"):
        desktop.go(f"source=desk-3&recording={desks.meeting.recording_id.hex}&at={at}")
        desktop.wait_for(desks.meeting.recording_id)
        expect(desktop["#alert"]).to_be_hidden()
        assert desktop.seconds() == 0
        assert "1970" not in desktop.page.url


def test_what_is_closed_before_the_sources_are_known_opens_again(desktop: Shown, desks: Office) -> None:
    """A recording that its link opened first goes where its reader wants it."""
    held: list[Route] = []
    desktop.page.route("**/api/sources", lambda route: held.append(route))  # noqa: PLW0108 - no method will do
    desktop.page.goto(f"{desks.address}/#recording={desks.meeting.recording_id.hex}")
    desktop.wait_for(desks.meeting.recording_id)
    desktop["#close-recording"].click()
    expect(desktop["#recording"]).to_be_hidden()
    for route in held:
        route.continue_()
    desktop['#sources a[data-source="desk-3"]'].click()
    desktop[f'#results a[data-recording-id="{desks.meeting.recording_id.hex}"]'].click()
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#recording"]).to_be_visible()
    assert "1970" not in desktop.page.url


def test_an_archive_that_holds_nothing_says_so(browser: Browser, migrated_sqlite_url: str) -> None:
    """Nothing goes on loading, and a link to what is not there is told."""
    with (
        Archive(migrated_sqlite_url) as archive,
        served(create_app(archive)) as address,
        shown(browser, address) as window,
    ):
        window.watch.expected.append("404")
        window.page.goto(f"{address}/#recording={'0' * 32}")
        expect(window["#no-sources"]).to_be_visible()
        expect(window["#sources"]).to_have_text("")
        expect(window["#alert-text"]).to_have_text("There is no such recording, or you may not know of it.")
