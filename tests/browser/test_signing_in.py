from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.store.tokens import Scope, create_token
from phonobase.web import Visitor, create_app
from phonobase.web.tokens import Tokens
from tests.browser.office import RATE, at
from tests.browser.shown import Shown, shown
from tests.store.judge import Program
from tests.support.prs import noise
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from playwright.sync_api import Browser

_CUT_OFF = "ERR_INCOMPLETE_CHUNKED_ENCODING"
"""What Chromium says of what was being told live when a session ended."""
_PATIENCE_MS = 20_000
_REFUSED = "401 (Unauthorized)"
"""What the console says of every answer that asks for a token."""


@pytest.fixture
def guarded(browser: Browser, migrated_sqlite_url: str) -> Iterator[tuple[Shown, str, str]]:
    """The page over an archive of two desks, a token for one of them, and the archive's address."""
    with Archive(migrated_sqlite_url) as archive:
        for source in ("desk-1", "desk-2"):
            archive.add(noise(RATE).tobytes(), RATE, source=source, started_at=at("14:03"), title="Call")
        _, word = create_token(archive, "Anna", Scope.READ, sources=["desk-1"])
        with (
            served(create_app(archive, authenticate=Tokens(archive))) as address,
            shown(browser, address) as window,
        ):
            window.watch.expected.append(_REFUSED)
            window.page.goto(f"{address}/")
            expect(window["#sign-in"]).to_be_visible()
            yield window, word, migrated_sqlite_url


def _sign_in(window: Shown, word: str) -> None:
    window["#token"].fill(word)
    window["#sign-in"].get_by_role("button", name="Sign in").click()


def test_a_token_opens_what_it_is_for(guarded: tuple[Shown, str, str]) -> None:
    """A wrong word is refused; the token shows its desk alone, offers no change, and signing out ends it."""
    window, word, _ = guarded
    _sign_in(window, "nobody's")
    expect(window["#sign-in"]).to_be_visible()
    assert window["#sources a"].count() == 0

    _sign_in(window, word)
    expect(window["#sources a"]).to_have_count(1)
    expect(window["#who"]).to_contain_text("Anna")
    window["#results a"].first.click()
    expect(window["#recording-title"]).to_have_text("Call")
    expect(window["#edit-save"]).not_to_be_visible()
    expect(window["#edit-read-only"]).to_be_visible()
    assert window.page.evaluate("document.cookie") == ""
    assert word not in window.page.evaluate("JSON.stringify([localStorage, sessionStorage, location.href])")

    window["#sign-out"].click()
    expect(window["#sign-in"]).to_be_visible()
    expect(window.page).not_to_have_url(re.compile("desk-1"))
    window.page.reload()
    expect(window["#sign-in"]).to_be_visible()


def test_a_session_that_has_ended_asks_for_the_token_again(guarded: tuple[Shown, str, str]) -> None:
    """Whoever is here when their session ends is asked for the token within seconds, and then goes on."""
    window, word, url = guarded
    window.watch.tolerated.append(_CUT_OFF)
    _sign_in(window, word)
    expect(window["#sources a"]).to_have_count(1)
    window["#find-text"].fill("call")
    window["#find-text"].press("Enter")
    expect(window["#results a"]).to_have_count(1)
    # The log of what the page just asked may still be being written.
    Program(url).run_script(
        "PRAGMA busy_timeout = 10000; UPDATE phono_session SET expires_at = '2026-01-01 00:00:00.000000'"
    )
    expect(window["#sign-in"]).to_be_visible(timeout=_PATIENCE_MS)
    _sign_in(window, word)
    expect(window["#sign-in"]).to_be_hidden()
    expect(window["#results a"]).to_have_count(1)


def test_somebody_else_who_signs_in_sees_what_is_theirs(guarded: tuple[Shown, str, str]) -> None:
    """Where a session ended and another one begins, nothing of the first is left, and the page works."""
    window, word, url = guarded
    with Archive(url) as archive:
        _, other = create_token(archive, "Boris", Scope.READ, sources=["desk-2"])
    _sign_in(window, word)
    expect(window["#timeline-heading"]).to_have_text("desk-1")
    window["#results a"].first.click()
    expect(window["#recording-title"]).to_have_text("Call")
    window["#edit-notes"].dispatch_event("input")
    window.page.evaluate("sessionStorage.setItem('phonobase-draft-1', '[]')")
    window["#play"].click()
    window.page.context.clear_cookies()
    window["#find-form"].dispatch_event("submit")
    expect(window["#sign-in"]).to_be_visible()
    assert window.page.evaluate("document.querySelector('#audio').paused")
    expect(window["#who"]).to_have_text("")

    _sign_in(window, other)
    expect(window["#who"]).to_have_text("Boris")
    expect(window["#timeline-heading"]).to_have_text("desk-2")
    expect(window["#timeline"]).to_have_attribute("data-ready", "true")
    expect(window["#recording"]).to_be_hidden()
    expect(window.page).not_to_have_url(re.compile("desk-1"))
    assert window.page.evaluate("sessionStorage.length") == 0


@pytest.fixture(params=[None, "/login?next=archive"])
def hosted(
    request: pytest.FixtureRequest, browser: Browser, migrated_sqlite_url: str
) -> Iterator[tuple[Shown, str | None]]:
    """The page in a host that knows its people by a cookie, and where they sign in, if the host says so."""

    async def colleague(asking: Request, /) -> Visitor | None:
        name = asking.cookies.get("colleague")
        return Visitor(name) if name else None

    with Archive(migrated_sqlite_url) as archive:
        archive.add(noise(RATE).tobytes(), RATE, source="desk-1", started_at=at("14:03"), title="Call")
        app = create_app(archive, authenticate=colleague, sign_in=request.param)
        with served(app) as address, shown(browser, address) as window:
            yield window, request.param


def test_a_host_is_who_people_sign_in_to(hosted: tuple[Shown, str | None]) -> None:
    """The page asks for no token that nobody has: it says so, leads there, and then says who one is."""
    window, place = hosted
    window.watch.expected.append(_REFUSED)
    window.page.goto(f"{window.watch.address}/")
    expect(window["#not-signed-in"]).to_contain_text("You are not signed in.")
    expect(window["#sign-in"]).to_be_hidden()
    link = window["#sign-in-link"]
    expect(link).to_have_text("Try again" if place is None else "Sign in")
    expect(link).to_have_attribute("href", place or "./")

    window.page.context.add_cookies(
        [{"name": "colleague", "value": "Carla", "url": f"{window.watch.address}/"}]
    )
    window.go()
    expect(window["#who"]).to_have_text("Carla")
    expect(window["#sign-out"]).to_be_hidden()
    expect(window["#not-signed-in"]).to_be_hidden()
