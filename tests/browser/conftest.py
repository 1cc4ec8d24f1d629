"""Browsers as people have them, and an archive that is shown in them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from phonobase import Archive
from phonobase.web import create_app
from tests.browser import office
from tests.browser.listening import with_tap
from tests.browser.shown import PHONE, Shown, shown
from tests.browser.watched import ARGUMENTS
from tests.support.require import require
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@dataclass(frozen=True)
class Office:
    """An office's archive, and where it is served.

    Attributes:
        url: The address of the database.
        address: The address of the page, without a slash behind.
        meeting: What desk 3 heard yesterday at 14:03.
    """

    url: str
    address: str
    meeting: office.Meeting


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=require("chromium"), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def desks(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office's archive in SQLite, served, for all tests of a module."""
    path = tmp_path_factory.mktemp("office") / "phonobase.db"
    shutil.copyfile(_sqlite_template, path)
    yield from _served(f"sqlite:///{path}")


@pytest.fixture
def desks_on_both(archive_url: str) -> Iterator[Office]:
    """Likewise, once on SQLite and once on PostgreSQL, for one test."""
    yield from _served(archive_url)


def _served(url: str) -> Iterator[Office]:
    with Archive(url) as archive:
        meeting = office.fill(archive)
        with served(with_tap(create_app(archive))) as address:
            yield Office(url, address, meeting)


@pytest.fixture
def desktop(browser: Browser, desks: Office) -> Iterator[Shown]:
    """The office's archive on a desk's screen."""
    with shown(browser, desks.address) as window:
        yield window


@pytest.fixture
def phone(browser: Browser, desks: Office) -> Iterator[Shown]:
    """The office's archive on a phone."""
    with shown(browser, desks.address, **PHONE) as window:
        yield window
