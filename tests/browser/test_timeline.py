from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.office import at

if TYPE_CHECKING:
    from tests.browser.shown import Shown

_OTHER = "([since]) => document.querySelector('#timeline').dataset.from !== since"
_SHOWS = """
([shortest, longest]) => {
  const { from, to, ready } = document.querySelector("#timeline").dataset;
  const seconds = (new Date(to) - new Date(from)) / 1000;
  return ready === "true" && shortest <= seconds && seconds <= longest;
}
"""
_CAUSES = {"Paused", "Microphone or device gone", "Lost: computer too slow"}


def _span(window: Shown) -> tuple[datetime, datetime]:
    """Returns what the timeline shows, once it has been drawn."""
    expect(window["#timeline"]).to_have_attribute("data-ready", "true")
    shown = (window["#timeline"].get_attribute(f"data-{end}") for end in ("from", "to"))
    since, until = (datetime.fromisoformat(each or "").astimezone(UTC) for each in shown)
    return since, until


def _between(since: datetime, until: datetime, source: str = "desk-3") -> str:
    ends = (f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in (since, until))
    return "source={}&from={}&to={}".format(source, *ends)


def test_the_timeline_zooms_from_a_year_to_a_second(desktop: Shown) -> None:
    """Step by step about the place of the cursor, which stays in sight all the way."""
    wanted = at("14:03")
    desktop.go("source=desk-3")
    desktop.go_to("desk-3", "14:03:00")
    expect(desktop["#recording-title"]).to_have_text("Budget meeting")
    desktop['[data-span="year"]'].click()
    desktop.until(_SHOWS, 350 * 86_400, 370 * 86_400)
    since, until = _span(desktop)
    assert since < wanted < until
    for _ in range(60):
        shown = until - since
        if shown <= timedelta(seconds=1):
            break
        since_text = desktop["#timeline"].get_attribute("data-from")
        desktop["#timeline-zoom-in"].click()
        desktop.until(_OTHER, since_text)
        since, until = _span(desktop)
        assert until - since < shown
        assert since <= wanted <= until
    assert until - since <= timedelta(seconds=1)


@pytest.mark.parametrize("span", ["year", "month", "week", "day", "hour", "minute"])
def test_a_button_shows_so_much(desktop: Shown, span: str) -> None:
    """Each of the named spans is one click away."""
    lengths = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 31 * 86_400}
    length = lengths.get(span, 366 * 86_400)
    desktop.go(_between(at("14:00"), at("14:10")))
    _span(desktop)
    desktop[f'[data-span="{span}"]'].click()
    desktop.until(_SHOWS, length * 0.9, length * 1.01)


def test_gaps_are_seen_and_said_with_their_cause(desktop: Shown) -> None:
    """Between 14:00 and 14:30 each gap is drawn, stands in the legend and in the table, and is spoken."""
    desktop.go(_between(at("14:00"), at("14:30")))
    _span(desktop)
    for cause in _CAUSES:
        expect(desktop["#legend"]).to_contain_text(cause)
    desktop["#timeline-details summary"].click()
    for cause in _CAUSES:
        expect(desktop["#timeline-table"]).to_contain_text(cause)
    slider = desktop["#timeline"]
    slider.press("Home")
    unsaid = {"paused", "device gone", "heard"}
    for _ in range(200):
        text = (slider.get_attribute("aria-valuetext") or "").lower()
        unsaid -= {cause for cause in unsaid if cause in text}
        if not unsaid:
            break
        desktop.page.keyboard.press("ArrowRight")
    assert not unsaid
