from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from phonobase import Archive
from phonobase.web import create_app
from tests.browser.office import at
from tests.browser.shown import shown
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from playwright.sync_api import Browser, Route

RATE, TONE_HZ = 16_000, 2_000
_COLUMN = """
() => {
  const canvas = document.querySelector("#spectrogram");
  const column = canvas.getContext("2d").getImageData(canvas.width * 0.6, 0, 1, canvas.height).data;
  return [...column];
}
"""


@pytest.fixture
def tone(migrated_sqlite_url: str) -> Iterator[tuple[str, UUID]]:
    """Where an archive with a tone is served, and its recording."""
    time = np.arange(10 * RATE) / RATE
    pcm = (8_000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16).tobytes()
    with Archive(migrated_sqlite_url) as archive:
        recording = archive.add(pcm, RATE, source="desk-1", started_at=at("14:03"))
        with served(create_app(archive)) as address:
            yield address, recording.id


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_tone_is_seen_where_it_is(browser: Browser, tone: tuple[str, UUID], colours: str) -> None:
    """Its line stands out at its frequency, and nothing else does, in light and dark."""
    address, recording_id = tone
    with shown(browser, address, color_scheme=colours) as window:
        window.open(recording_id)
        expect(window["#spectrogram"]).to_have_attribute("data-ready", "true")
        expect(window["#spectrogram-note"]).to_be_hidden()
        pixels = np.array(window.ask(_COLUMN), np.int64).reshape(-1, 4)[:, :3]
    stands_out = np.abs(pixels - np.median(pixels, axis=0)).sum(axis=1)
    hertz = (1 - (np.arange(len(pixels)) + 0.5) / len(pixels)) * RATE / 2
    assert stands_out.max() > 250
    assert abs(hertz[stands_out.argmax()] - TONE_HZ) < RATE / 2 * 0.02
    assert stands_out[np.abs(hertz - TONE_HZ) > 500].max() < 100


def test_whoever_waits_for_tones_is_told_so(browser: Browser, tone: tuple[str, UUID]) -> None:
    """Where there is nothing to look at yet, the page says that it looks."""
    address, recording_id = tone
    held: list[Route] = []
    with shown(browser, address) as window:
        window.page.route("**/spectrogram?*", lambda route: held.append(route))  # noqa: PLW0108 - no method will do
        window.open(recording_id)
        expect(window["#spectrogram-note"]).to_have_text("Looking at the tones…")
        for route in held:
            route.continue_()
        expect(window["#spectrogram"]).to_have_attribute("data-ready", "true")
        expect(window["#spectrogram-note"]).to_be_hidden()
