"""How long it takes until Chromium shows what somebody opens, with nothing of it in its cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from benchmarks.serving import served
from tests.browser.watched import ARGUMENTS
from tests.support.require import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from phonobase import Recording

_PATIENCE_MS = 60_000
_PAUSE_MS = 1_500
_WARM = 1

_SINCE_NAVIGATION = """
(names) => new Promise((done) => {
  const look = () => {
    const entries = names.map((name) => performance.getEntriesByName(name)[0]);
    if (entries.every(Boolean)) done(entries.map((entry) => entry.startTime));
    else setTimeout(look, 20);
  };
  look();
})
"""


@dataclass(frozen=True)
class View:
    """What is opened.

    Attributes:
        name: What people call it.
        place: Where it is in the page.
        shown: What is there once it is shown: performance marks, and paints.
    """

    name: str
    place: str
    shown: tuple[str, ...]


def measure_chromium(url: str, day: Recording, loads: int, at_most_ms: float) -> int:
    """Load the page again and again, print what it took, and return how many views take too long.

    Args:
        url: The archive that is shown.
        day: The recording of 24 hours that is opened.
        loads: How often each view is loaded, by a new profile each time.
        at_most_ms: Within how many milliseconds each part of a view is to be shown, at the 99th percentile.
    """
    views = (
        View("first view", "", ("first-contentful-paint", "list", "timeline")),
        View("24 hours opened", f"#source={day.source}&recording={day.id.hex}", ("waveform",)),
    )
    missed = 0
    with served(url) as (_, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=ARGUMENTS)
        for view in views:
            missed += _measure(browser, f"{address}/{view.place}", view, loads, at_most_ms)
        browser.close()
    return missed


def _measure(browser: Browser, url: str, view: View, loads: int, at_most_ms: float) -> bool:
    took = [_shown_after(browser, url, view.shown) for _ in range(_WARM + loads)][_WARM:]
    title = f"{view.name}, in Chromium"
    print(f"  {title:<32}   p50      p99   in ms; load average {os.getloadavg()[0]:.1f}")
    missed = False
    for name, each in zip(view.shown, zip(*took, strict=True), strict=True):
        ordered = sorted(each)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        held = p99 <= at_most_ms
        missed |= not held
        bar = f"at most {at_most_ms:.0f}"
        print(f"    {name:<28}{p50:8.1f} {p99:8.1f}   {bar if held else bar + ': MISSED'}", flush=True)
    return missed


def _shown_after(browser: Browser, url: str, shown: tuple[str, ...]) -> list[float]:
    """Return how many milliseconds after the navigation began each part was shown."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(_PATIENCE_MS)
    try:
        page = context.new_page()
        page.goto(url, wait_until="commit")
        times: list[float] = page.evaluate(_SINCE_NAVIGATION, list(shown))
        page.wait_for_timeout(_PAUSE_MS)  # what is not measured comes to its end, and does not slow the next
    finally:
        context.close()
    return times
