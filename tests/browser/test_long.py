from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.web import create_app
from tests.browser.office import LONG_RATE, LONG_SECONDS, add_day, level
from tests.browser.shown import shown
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from playwright.sync_api import Browser

    from tests.browser.shown import Shown

_WAVE = """
() => {
  const host = document.querySelector("#overview");
  const roots = [host, ...host.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean);
  const drawn = [host, ...roots].flatMap((root) => [...root.querySelectorAll("canvas")]);
  return drawn.filter((canvas) => canvas.width && canvas.height).map((canvas) => {
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const heights = [];
    for (let x = 0; x < width; x++) {
      let filled = 0;
      for (let y = 0; y < height; y++) filled += pixels[(y * width + x) * 4 + 3] > 127 ? 1 : 0;
      heights.push(filled / height);
    }
    return heights;
  });
}
"""


@pytest.fixture(scope="module")
def a_day(
    browser: Browser, _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, UUID]]:
    """Where an archive with a recording of 24 hours is served, and its id."""
    assert browser.is_connected()
    path = tmp_path_factory.mktemp("day") / "phonobase.db"
    shutil.copyfile(_sqlite_template, path)
    with Archive(f"sqlite:///{path}") as archive:
        recording_id = add_day(archive)
        with served(create_app(archive)) as address:
            yield address, recording_id


@pytest.fixture
def window(browser: Browser, a_day: tuple[str, UUID]) -> Iterator[Shown]:
    """The page over that archive."""
    with shown(browser, a_day[0]) as shown_day:
        yield shown_day


def test_a_day_opens_without_being_fetched(window: Shown, a_day: tuple[str, UUID]) -> None:
    """The waveform of 24 hours is drawn from stored peaks; of the sound itself next to nothing is fetched."""
    _, recording_id = a_day
    fetched: list[int] = []
    window.page.context.on(
        "requestfinished", lambda request: fetched.append(request.sizes()["responseBodySize"])
    )
    window.open(recording_id)
    window.page.wait_for_timeout(500)
    assert sum(fetched) < 2_000_000
    heights = max(window.ask(_WAVE), key=len)
    parts = LONG_SECONDS // 600
    wide = len(heights) / parts
    middles = [heights[int((part + 0.5) * wide)] for part in range(parts)]
    loudest = max(level(part) for part in range(parts))
    scale = max(middles) / loudest
    assert all(abs(seen - level(part) * scale) < 0.06 for part, seen in enumerate(middles))


def test_a_day_is_played_from_its_last_hour(window: Shown, a_day: tuple[str, UUID]) -> None:
    """Seeking far into 24 hours plays at once, and fetches only what is there."""
    _, recording_id = a_day
    window.open(recording_id)
    window.click_into("#overview", 23 / 24)
    window["#play"].click()
    window.until_played(LONG_SECONDS * 23 / 24 - 120)
    window.until_played(window.seconds() + 0.5)
    duration = window.page.evaluate("document.querySelector('#audio').duration")
    assert round(duration * LONG_RATE) == LONG_SECONDS * LONG_RATE
    starts = [int(each.removeprefix("bytes ").split("-")[0]) for each in window.watch.ranges("/audio")]
    assert max(starts) > 1_000_000
