"""The pictures in docs/page.md, taken as they are seen; `make pictures` keeps them."""

from __future__ import annotations

import io
import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from tests.browser.office import at
from tests.browser.shown import PHONE, shown
from tests.docs.pages import ROOT, text
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from playwright.sync_api import Browser

    from phonobase.pcm import Frames
    from tests.browser.shown import Shown

FOLDER = ROOT / "docs/pictures"
RATE = 16_000
_COLOURS = 96


@pytest.fixture(scope="module")
def talk(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, UUID]]:
    """Where an archive of days with talk in them is served, and the recording that the pictures show."""
    path = tmp_path_factory.mktemp("pictures") / "phonobase.db"
    shutil.copyfile(_sqlite_template, path)
    with Archive(f"sqlite:///{path}") as archive:
        calls = _talk(60 * 4, seed=2)
        for number, (clock, minutes) in enumerate([("09:12", 3), ("10:40", 2), ("16:20", 4)]):
            pcm = calls[: 60 * minutes * RATE].tobytes()
            for desk in ("desk-1", "desk-2", "desk-3"):
                archive.add(pcm, RATE, source=desk, started_at=at(clock), title="Call", tags={"line": number})
        with archive.writer(
            RATE, source="desk-3", started_at=at("14:01"), title="Budget meeting", tags={"room": "hall"}
        ) as writer:
            writer.write(_talk(170, seed=7))
            writer.lose(3 * RATE, "overflow", "the reader was late")
            writer.write(_talk(127, seed=8))
        archive.add_gap("desk-3", at("14:06"), at("14:20"), "paused", detail="card number")
        archive.add_gap("desk-3", at("11:00"), at("13:10"), "device-lost", detail="unplugged")
        with served(create_app(archive)) as address:
            yield address, writer.id


def _talk(seconds: int, seed: int) -> Frames:
    """Returns something that looks like talk: syllables of harmonics, and pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(seconds * RATE) / RATE
    pitch = np.interp(time, np.arange(0, seconds + 1), random.uniform(90, 220, seconds + 1))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 16))
    spoken = np.interp(
        time, np.arange(0, seconds, 0.15), random.gamma(0.7, 0.35, len(np.arange(0, seconds, 0.15)))
    )
    turns = np.interp(time, np.arange(0, seconds, 4), random.random(len(np.arange(0, seconds, 4))) > 0.3)
    mixed = 0.25 * voice * spoken.clip(0, 1.2) * turns + random.normal(0, 0.002, len(time))
    return (mixed.clip(-1, 1) * 32_000).astype(np.int16).reshape(-1, 1)


def _keep(window: Shown, name: str) -> None:
    """Takes a picture; keeps it where PICTURES is set, and fails where there is nothing in it."""
    picture = Image.open(io.BytesIO(window.page.screenshot())).convert("RGB")
    assert len(picture.getcolors(maxcolors=10**6) or []) > _COLOURS
    if os.environ.get("PICTURES"):
        FOLDER.mkdir(exist_ok=True)
        small = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
        small.save(FOLDER / f"{name}.png", optimize=True)


def _show(window: Shown, recording_id: UUID) -> None:
    moment = at("14:03") + timedelta(seconds=20)
    window.go(f"source=desk-3&recording={recording_id.hex}&at={moment:%Y-%m-%dT%H:%M:%S}.000Z")
    window.wait_for(recording_id)
    expect(window["#timeline"]).to_have_attribute("data-ready", "true")
    expect(window["#spectrogram"]).to_have_attribute("data-ready", "true")
    window["#mark-start"].fill("14:03:10")
    window["#mark-stop"].fill("14:03:35")
    window["#mark-stop"].press("Enter")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_picture_of_the_page(browser: Browser, talk: tuple[str, UUID], colours: str) -> None:
    """The page with a recording, its timeline and a marked stretch, in light and dark."""
    size = {"width": 1280, "height": 1000}
    with shown(browser, talk[0], color_scheme=colours, viewport=size) as window:
        _show(window, talk[1])
        window.page.evaluate("scrollTo(0, 0)")
        _keep(window, f"page-{colours}")


def test_a_picture_of_a_phone(browser: Browser, talk: tuple[str, UUID]) -> None:
    """The same on a phone."""
    with shown(browser, talk[0], **PHONE) as window:
        _show(window, talk[1])
        window["#recording-title"].scroll_into_view_if_needed()
        _keep(window, "page-phone")


def test_the_pictures_are_in_the_documentation() -> None:
    """docs/page.md shows every picture there is, and each of them is there and small."""
    pictures = sorted(FOLDER.glob("*.png"))
    assert [path.name for path in pictures] == ["page-dark.png", "page-light.png", "page-phone.png"]
    for path in pictures:
        assert f"(pictures/{path.name})" in text("docs/page.md")
        assert path.stat().st_size < 200_000
