from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.office import yesterday
from tests.browser.test_marking import assert_marked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown

_FAR = 150
"""More presses of Tab than there are places on the page."""

_FOCUSED = """
([selector]) => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return { there: false, seen: true, name: "the page" };
  const style = getComputedStyle(focused);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const box = focused.getBoundingClientRect();
  const inSight = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  return {
    there: focused.matches(selector),
    seen: (outlined || style.boxShadow !== "none") && inSight,
    name: `${focused.outerHTML.slice(0, 80)} with ${style.outline} at ${box.top}`,
  };
}
"""


def _tab_to(window: Shown, selector: str) -> None:
    """Presses Tab until a part of the page has the focus; wherever the focus is, it must be seen."""
    for _ in range(_FAR):
        focused = window.ask(_FOCUSED, selector)
        assert focused["seen"], f"the focus cannot be seen on {focused['name']}"
        if focused["there"]:
            return
        window.page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


def test_the_keyboard_alone_goes_all_the_way(desktop: Shown, desks: Office, tmp_path: Path) -> None:
    """From loading the page to a downloaded stretch without a pointer, the focus always in sight."""
    keys = desktop.page.keyboard
    desktop.go()
    _tab_to(desktop, '#sources a[data-source="desk-3"]')
    keys.press("Enter")
    expect(desktop['#sources a[data-source="desk-3"]']).to_have_attribute("aria-current", "true")
    _tab_to(desktop, "#go-date")
    keys.type(f"{yesterday():%m%d%Y}")
    expect(desktop["#go-date"]).to_have_value(yesterday().isoformat())
    _tab_to(desktop, "#go-time")
    keys.type("020300PM")
    expect(desktop["#go-time"]).to_have_value("14:03:00")
    keys.press("Enter")
    desktop.wait_for(desks.meeting.recording_id)

    _tab_to(desktop, "#play")
    keys.press("Space")
    desktop.until_played(120.3)
    keys.press("Space")
    expect(desktop["#play"]).to_have_attribute("aria-label", "Play")
    for field, clock in (("#mark-start", "14:02:58.500"), ("#mark-stop", "14:03:04.250")):
        _tab_to(desktop, field)
        keys.press("Control+A")
        keys.type(clock)
    _tab_to(desktop, "#mark-download")
    with desktop.page.expect_download() as loading:
        keys.press("Enter")
    loading.value.save_as(tmp_path / "marked.zip")
    assert_marked(tmp_path, desks)


def test_single_keys_do_what_the_help_says(desktop: Shown, desks: Office) -> None:
    """Marks begin and end at the cursor, other keys lead to the forms, and the help lists them."""
    keys = desktop.page.keyboard
    desktop.open(desks.meeting.recording_id)
    desktop["#wave"].focus()
    keys.press("[")
    for _ in range(5):
        keys.press("ArrowRight")
    keys.press("]")
    expect(desktop["#mark-start"]).not_to_have_value("")
    expect(desktop["#mark-stop"]).not_to_have_value(desktop["#mark-start"].input_value())
    keys.press("Escape")
    expect(desktop["#mark-start"]).to_have_value("")
    keys.press("g")
    expect(desktop["#go-date"]).to_be_focused()
    desktop["#wave"].focus()
    keys.press("/")
    expect(desktop["#find-text"]).to_be_focused()
    desktop["#wave"].focus()
    keys.press("l")
    expect(desktop["#status"]).to_have_text("Nothing is being recorded at desk-3 now.")
    keys.press("?")
    expect(desktop["#help-dialog"]).to_be_visible()
    keys.press("Escape")
    expect(desktop["#help-dialog"]).to_be_hidden()
