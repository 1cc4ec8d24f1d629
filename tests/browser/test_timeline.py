from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.browser.office import ZONE, at, yesterday

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
_INK = """
moments => {
  const { from, to } = document.querySelector("#timeline").dataset;
  const canvas = document.querySelector("#timeline-canvas");
  const { width, height } = canvas;
  const wanted = getComputedStyle(document.documentElement).getPropertyValue("--wave").trim();
  const ink = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const isInk = (at) =>
    pixels[at + 3] > 100 && ink.every((one, part) => Math.abs(one - pixels[at + part]) < 12);
  return moments.map((moment) => {
    const x = Math.floor((new Date(moment) - new Date(from)) / (new Date(to) - new Date(from)) * width);
    return Array.from({ length: height }, (_, y) => (y * width + x) * 4).filter(isInk).length / height;
  });
}
"""
"""How much of the timeline's height the level takes at some moments."""
_CAUSES = {"Paused", "Microphone or device gone", "Lost: computer too slow"}


def _span(window: Shown) -> tuple[datetime, datetime]:
    """Returns what the timeline shows, once it has been drawn."""
    expect(window["#timeline"]).to_have_attribute("data-ready", "true")
    shown = (window["#timeline"].get_attribute(f"data-{end}") for end in ("from", "to"))
    since, until = (datetime.fromisoformat(each or "").astimezone(UTC) for each in shown)
    return since, until


def _press(window: Shown, button: str) -> None:
    """Presses a button, and waits until another stretch has been drawn."""
    since = window["#timeline"].get_attribute("data-from")
    window[button].click()
    window.until(_OTHER, since)


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
        _press(desktop, "#timeline-zoom-in")
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
        desktop.ask("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert not unsaid


@pytest.mark.parametrize("span", ["day", "week", "month", "year"])
def test_a_calendar_is_leafed_through(desktop: Shown, span: str) -> None:
    """Earlier and later lead to the unit beside, from midnight to midnight; a week begins on Monday."""
    desktop.go(_between(at("14:00"), at("14:10")))
    _span(desktop)
    desktop[f'[data-span="{span}"]'].click()
    seconds = {"day": 86_400, "week": 604_800, "month": 2_678_400, "year": 31_622_400}[span]
    desktop.until(_SHOWS, seconds * 0.9, seconds * 1.01)
    since, until = _span(desktop)
    first = since.astimezone(ZoneInfo(ZONE))
    assert first.time() == time()
    assert span != "week" or first.weekday() == 0
    assert span not in ("month", "year") or first.day == 1
    _press(desktop, "#timeline-earlier")
    earlier, end = _span(desktop)
    assert (earlier, end) == (_unit_before(first, span), since)
    _press(desktop, "#timeline-later")
    assert _span(desktop) == (since, until)


def _unit_before(first: datetime, span: str) -> datetime:
    """Returns where the unit begins that ends with a midnight in the office."""
    if span == "month":
        return (first - timedelta(days=1)).replace(day=1).astimezone(UTC)
    if span == "year":
        return first.replace(year=first.year - 1).astimezone(UTC)
    return (first - timedelta(days={"day": 1, "week": 7}[span])).astimezone(UTC)


def test_the_cursor_stays_in_sight(desktop: Shown) -> None:
    """After a step to another day an arrow key moves about in that day, and does not lead back to now."""
    start, stop = at("00:00"), at("00:00", yesterday() + timedelta(days=1))
    desktop.go(_between(start, stop))
    assert _span(desktop) == (start, stop)
    _press(desktop, "#timeline-earlier")
    before = _span(desktop)
    assert before[1] == start
    desktop["#timeline"].press("ArrowRight")
    cursor = float(desktop["#timeline"].get_attribute("aria-valuenow") or 0)
    assert before[0].timestamp() < cursor < before[1].timestamp()
    desktop.page.wait_for_timeout(200)
    assert _span(desktop) == before


def test_a_short_call_is_seen_on_a_year(desktop: Shown) -> None:
    """A minute of loud sound is drawn tall among months without, and the table has it."""
    called = at("14:03", yesterday() - timedelta(days=300))
    desktop.go(_between(called - timedelta(days=120), called + timedelta(days=240)))
    _span(desktop)
    tall, nothing = desktop.ask(_INK, called.isoformat(), (called + timedelta(days=60)).isoformat())
    assert tall > 0.5
    assert nothing == 0
    desktop["#timeline-details summary"].click()
    cells = desktop["#timeline-table tbody tr"]
    expect(cells.first).to_be_visible()
    rows = [cells.nth(row).locator("td").all_inner_texts() for row in range(cells.count())]
    heard = [row for row in rows if "dB" in row[2]]
    assert [row[1] for row in heard] == ["1 min"]
    assert {row[1] for row in rows if row not in heard} == {"nothing"}
