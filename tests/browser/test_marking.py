from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from playwright.sync_api import expect

from tests.browser.office import RATE, SECOND, at
from tests.cli.program import Program
from tests.store.judge import checks_md5, flac_pcm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Office
    from tests.browser.shown import Shown


def test_a_marked_stretch_is_taken_along_with_its_proof(
    desktop: Shown, desks: Office, tmp_path: Path
) -> None:
    """From 14:02:58.5 to 14:03:04.25: a ZIP of exactly these frames and a manifest that verifies them."""
    meeting = desks.meeting
    desktop.open(meeting.recording_id)
    for field, clock in (("#mark-start", "14:02:58.500"), ("#mark-stop", "14:03:04.250")):
        desktop[field].fill(clock)
        desktop[field].press("Enter")
    desktop["#mark-format"].select_option("flac")
    with desktop.page.expect_download() as loading:
        desktop["#mark-download"].click()
    loading.value.save_as(tmp_path / "marked.zip")

    assert_marked(tmp_path, desks)


def assert_marked(folder: Path, desks: Office) -> None:
    """Fails unless marked.zip has the frames from 14:02:58.5 to 14:03:04.25, and phonobase verifies them."""
    with zipfile.ZipFile(folder / "marked.zip") as zipped:
        names = zipped.namelist()
        zipped.extractall(folder)
    (sound,) = (folder / name for name in names if name.endswith(".flac"))
    (manifest,) = (folder / name for name in names if name.endswith(".json"))
    first = desks.meeting.frame_at(at("14:02:58.500"))
    last = desks.meeting.frame_at(at("14:03:04.250"))
    assert flac_pcm(sound) == desks.meeting.signal[first:last].astype("<i2").tobytes()
    assert checks_md5(sound)
    assert json.loads(manifest.read_text())
    Program(desks.url, folder).call("verify", sound, "--manifest", manifest).ok()
    sound.write_bytes(sound.read_bytes()[:-1] + b"x")
    assert Program(desks.url, folder).call("verify", sound, "--manifest", manifest).code == 1


def test_a_mark_is_drawn_with_the_pointer(desktop: Shown, desks: Office) -> None:
    """Dragging over the waveform marks, and what is marked can be played by itself."""
    desktop.open(desks.meeting.recording_id)
    box = desktop["#wave"].bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    desktop.page.mouse.move(box["x"] + box["width"] * 0.25, middle)
    desktop.page.mouse.down()
    desktop.page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    desktop.page.mouse.up()
    expect(desktop["#mark-start"]).not_to_have_value("")
    expect(desktop["#mark-stop"]).not_to_have_value("")
    desktop["#mark-clear"].click()
    expect(desktop["#mark-start"]).to_have_value("")


def test_a_whole_recording_is_taken_along(desktop: Shown, desks: Office, tmp_path: Path) -> None:
    """The link for the whole gives the file as it is stored, losses as silence in their place."""
    desktop.open(desks.meeting.recording_id)
    with desktop.page.expect_download() as loading:
        desktop["#download-whole"].click()
    loading.value.save_as(tmp_path / "whole.flac")
    pcm = np.frombuffer(flac_pcm(tmp_path / "whole.flac"), "<i2")
    assert np.array_equal(pcm, desks.meeting.signal[:, 0])
    assert len(pcm) == (at("14:05") - at("14:01")) / SECOND * RATE
