"""The page, as somebody has it open."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from playwright.sync_api import Page, expect

from tests.browser.office import ZONE, yesterday
from tests.browser.watched import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Shown:
    """The page in a window of its own.

    Attributes:
        page: As Playwright drives it.
        watch: What the browser did.
    """

    page: Page
    watch: Watch

    def __getitem__(self, selector: str) -> Locator:
        """Returns a part of the page."""
        return self.page.locator(selector)

    def go(self, place: str = "") -> None:
        """Loads the page at a place in it, as ``source=desk-3``, and waits for its sources."""
        self.page.goto(f"{self.watch.address}/{'#' if place else ''}{place}")
        expect(self["#sources a"].first).to_be_visible()

    def go_to(self, source: str, clock: str) -> None:
        """Asks for a time of yesterday at a source."""
        self[f'#sources a[data-source="{source}"]'].click()
        self["#go-date"].fill(yesterday().isoformat())
        self["#go-time"].fill(clock)
        self["#go-form"].get_by_role("button", name="Go", exact=True).click()

    def open(self, recording_id: UUID) -> None:
        """Loads the page with a recording, and waits for its waveform."""
        self.go(f"recording={recording_id.hex}")
        self.wait_for(recording_id)

    def wait_for(self, recording_id: UUID) -> None:
        """Waits until a recording is shown with its waveform."""
        shown = f'#recording[data-recording-id="{recording_id.hex}"][data-ready="true"]'
        expect(self[shown]).to_be_visible()

    def click_into(self, selector: str, share: float) -> None:
        """Clicks into a part of the page, at a share of its width, as soon as it stays where it is."""
        part = self[selector]
        box = part.bounding_box()
        assert box is not None
        part.click(position={"x": box["width"] * share, "y": box["height"] / 2})

    def opened(self) -> UUID:
        """Returns the recording that is shown."""
        return UUID(self["#recording"].get_attribute("data-recording-id"))

    def seconds(self) -> float:
        """Returns how far into the recording the player is."""
        return float(self.page.evaluate("document.querySelector('#audio').currentTime"))

    def until(self, program: str, *arguments: Any) -> None:  # noqa: ANN401 - whatever the program takes
        """Waits until a function in the page gives true; Playwright's own way needs eval, which is barred."""
        give_up = time.monotonic() + PATIENCE_MS / 1000
        while not self.ask(program, *arguments):
            assert time.monotonic() < give_up, f"this never comes true: {program}"
            self.page.wait_for_timeout(30)

    def until_played(self, seconds: float, selector: str = "#audio") -> None:
        """Waits until a player is past a place."""
        self.until(
            "([player, seconds]) => document.querySelector(player).currentTime > seconds", selector, seconds
        )

    def ask(self, program: str, *arguments: Any) -> Any:  # noqa: ANN401 - whatever the program returns
        """Runs a function in the page; it is given the arguments as an array."""
        return self.page.evaluate(program, list(arguments))


@contextlib.contextmanager
def shown(browser: Browser, address: str, **options: Any) -> Iterator[Shown]:  # noqa: ANN401 - as Playwright has them
    """Opens a window and watches it: it must neither complain nor call another host."""
    settings: dict[str, Any] = {"locale": "en-GB", "timezone_id": ZONE, **DESKTOP, **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(address)
    watch.over(context)
    try:
        yield Shown(context.new_page(), watch)
    finally:
        context.close()
    watch.assert_quiet()
