from __future__ import annotations

import base64
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase import Archive
from phonobase.web import create_app
from tests.browser.firefox import started
from tests.browser.listening import PACKED, as_int16
from tests.support.prs import noise
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.browser.firefox import Firefox
    from tests.support.pulse import SoundServer

RATE = 8_000
CHANNELS = 2
START = datetime(2026, 3, 1, 14, tzinfo=UTC)
SIGNAL = noise(300 * RATE, CHANNELS, seed=31)
LOUDEST = {"flac": 32_768, "pcm": 32_767}
"""Which 16-bit sample Firefox makes 1.0 of: it has a decoder of its own for WAV."""

_PLAYED = """
async (url) => {
  const audio = new Audio(url);
  const reached = (seconds) =>
    new Promise((done) => { audio.ontimeupdate = () => audio.currentTime > seconds && done(); });
  await audio.play();
  await reached(0.3);
  audio.currentTime = 280;
  await reached(280.3);
  audio.pause();
  return audio.duration;
}
"""

_DECODED = f"""
async (url) => {{
  {PACKED}
  const answer = await fetch(url);
  const context = new OfflineAudioContext({CHANNELS}, 1, {RATE});
  const decoded = await context.decodeAudioData(await answer.arrayBuffer());
  return packed(interleaved(decoded, 0, decoded.length));
}}
"""


@pytest.fixture(scope="module")
def stored(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, UUID]]]:
    """Where an archive is served, and its recordings: the same sound as FLAC and as WAV."""
    path = tmp_path_factory.mktemp("firefox") / "phonobase.db"
    shutil.copyfile(_sqlite_template, path)
    with Archive(f"sqlite:///{path}") as archive:
        ids = {}
        for encoding in LOUDEST:
            pcm, source = SIGNAL.tobytes(), f"desk-{encoding}"
            added = archive.add(
                pcm, RATE, CHANNELS, source=source, started_at=START, encoding=encoding, title="Call"
            )
            ids[encoding] = added.id
        with served(create_app(archive)) as address:
            yield address, ids


@pytest.fixture(scope="module")
def firefox(stored: tuple[str, dict[str, UUID]], sound: SoundServer) -> Iterator[Firefox]:
    """Firefox, with the page open, and something to play to: without, it does not seek."""
    assert sound.pid
    with started() as browser:
        browser.open(f"{stored[0]}/")
        yield browser


@pytest.mark.parametrize("encoding", LOUDEST)
def test_firefox_plays_and_seeks(
    firefox: Firefox, stored: tuple[str, dict[str, UUID]], encoding: str
) -> None:
    """Its player goes on, jumps to a place that it fetches as a range, and knows the whole length."""
    address, ids = stored
    url = f"{address}/api/recordings/{ids[encoding]}/audio"
    before = len(firefox.ranges(url))
    duration = firefox.ask(_PLAYED, url)
    assert round(duration * RATE) == len(SIGNAL)
    starts = [int(each.removeprefix("bytes ").split("-")[0]) for each in firefox.ranges(url)[before:]]
    assert max(starts) > 0


@pytest.mark.parametrize("encoding", LOUDEST)
def test_firefox_decodes_every_sample(
    firefox: Firefox, stored: tuple[str, dict[str, UUID]], encoding: str
) -> None:
    """What its decoder makes of the whole file is what was stored, frame by frame."""
    address, ids = stored
    url = f"{address}/api/recordings/{ids[encoding]}/audio"
    text = firefox.ask(_DECODED, url)
    samples = np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, CHANNELS)
    assert np.array_equal(as_int16(samples, LOUDEST[encoding]), SIGNAL)


def test_firefox_shows_the_page_and_plays_in_it(
    firefox: Firefox, stored: tuple[str, dict[str, UUID]]
) -> None:
    """The page opens a recording with its waveform and plays it, without a complaint or another host."""
    address, ids = stored
    firefox.events.clear()
    firefox.open(f"{address}/#recording={ids['flac'].hex}")
    shown = firefox.ask(
        """
        async () => {
          const until = async (there) => {
            while (!there()) await new Promise((done) => { setTimeout(done, 50); });
          };
          const part = (selector) => document.querySelector(selector);
          await until(() => part("#recording")?.dataset.ready === "true");
          part("#play").click();
          await until(() => part("#audio").currentTime > 0.5);
          part("#play").click();
          await until(() => part("#audio").paused);
          await until(() => part("#play").getAttribute("aria-label") === "Play");
          return [part("#recording-title").textContent, part("#audio").error];
        }
        """
    )
    assert shown == ["Call", None]
    assert firefox.complaints() == []
    assert {url for url in firefox.asked() if not url.startswith((f"{address}/", "data:", "blob:"))} == set()
