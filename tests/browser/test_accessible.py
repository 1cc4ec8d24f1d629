from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from phonobase.web.tokens import Tokens
from tests.browser.office import at
from tests.browser.shown import DESKTOP, PHONE, shown
from tests.docs.pages import ROOT
from tests.support.require import missing
from tests.web.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown

_AXE = ROOT / "node_modules/axe-core/axe.min.js"
_GRAVE = ("serious", "critical")


def _assert_accessible(window: Shown, view: str) -> None:
    if not _AXE.exists():
        missing("axe-core", "scripts/setup page")
    window.page.evaluate(_AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = window.page.evaluate("axe.run().then((result) => result.violations)")
    grave = [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in found
        if violation["impact"] in _GRAVE
    ]
    assert grave == [], view
    passed = window.page.evaluate("axe.run().then((result) => result.passes.length)")
    assert passed > 10, "axe looked at nothing"


@pytest.mark.parametrize(
    ("screen", "colours"),
    [pytest.param(DESKTOP, "light", id="desktop, light"), pytest.param(PHONE, "dark", id="phone, dark")],
)
def test_every_view_is_accessible(
    browser: Browser, desks: Office, screen: dict[str, Any], colours: str
) -> None:
    """Axe finds nothing serious on the start page, a timeline, what was found, a recording and the help."""
    with shown(browser, desks.address, color_scheme=colours, **screen) as window:
        window.watch.expected.append("Applying inline style")  # which axe tries to, and may not
        window.go()
        _assert_accessible(window, "start")

        since, until = (f"{at(clock):%Y-%m-%dT%H:%M:%S}.000Z" for clock in ("13:30", "14:30"))
        window.go(f"source=desk-3&from={since}&to={until}")
        expect(window["#timeline"]).to_have_attribute("data-ready", "true")
        window["#timeline-details summary"].click()
        _assert_accessible(window, "timeline")

        window["#find-text"].fill("budget")
        window["#find-text"].press("Enter")
        expect(window["#results a"].first).to_be_visible()
        _assert_accessible(window, "results")

        window.open(desks.meeting.recording_id)
        window["#mark-start"].fill("14:02:58.500")
        window["#mark-stop"].fill("14:03:04.250")
        window["#mark-stop"].press("Enter")
        _assert_accessible(window, "recording")

        window["#help"].click()
        expect(window["#help-dialog"]).to_be_visible()
        _assert_accessible(window, "help")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_signing_in_is_accessible(browser: Browser, migrated_sqlite_url: str, colours: str) -> None:
    """Axe finds nothing serious in the form, nor where it complains."""
    with (
        Archive(migrated_sqlite_url) as archive,
        served(create_app(archive, authenticate=Tokens(archive))) as address,
        shown(browser, address, color_scheme=colours) as window,
    ):
        window.watch.expected.append("401 (Unauthorized)")
        window.watch.tolerated.append("Applying inline style")
        window.page.goto(f"{address}/")
        window["#token"].fill("nobody's")
        _assert_accessible(window, "sign-in")
        window["#token"].press("Enter")
        expect(window["#alert"]).to_be_visible()
        _assert_accessible(window, "refused")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_system_decides_about_light_and_dark(browser: Browser, desks: Office, colours: str) -> None:
    """The page is as light or dark as the system wants it, and otherwise as its reader chooses."""
    with shown(browser, desks.address, color_scheme=colours) as window:
        window.go()
        assert _is_dark(window) == (colours == "dark")
        other = "light" if colours == "dark" else "dark"
        window["#theme"].select_option(other)
        assert _is_dark(window) == (other == "dark")
        window.page.reload()
        expect(window["#theme"]).to_have_value(other)
        assert _is_dark(window) == (other == "dark")


def _is_dark(window: Shown) -> bool:
    picture = Image.open(io.BytesIO(window.page.screenshot())).convert("L")
    return bool(np.median(np.asarray(picture)) < 128)
