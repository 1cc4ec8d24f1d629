from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
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


def _mark(window: Shown, start: str, stop: str) -> None:
    """Writes the two ends of a stretch."""
    for field, clock in (("#mark-start", start), ("#mark-stop", stop)):
        window[field].fill(clock)
        window[field].press("Enter")


def test_what_is_missing_is_said_before_it_is_loaded(desktop: Shown, desks: Office) -> None:
    """How long and why; refusing gaps, or a stretch in which nothing was heard, leaves nothing to load."""
    desktop.open(desks.meeting.recording_id)
    _mark(desktop, "14:01:20", "14:01:40")
    expect(desktop["#mark-said"]).to_contain_text("2 s of it missing: 2 s lost: computer too slow.")
    expect(desktop["#mark-download"]).to_have_attribute("href", re.compile("gaps=silence"))

    desktop["#mark-gaps"].select_option("error")
    expect(desktop["#mark-said"]).to_contain_text("that is to be refused")
    expect(desktop["#mark-download"]).to_have_attribute("aria-disabled", "true")
    _mark(desktop, "14:01:35", "14:01:40")
    expect(desktop["#mark-download"]).not_to_have_attribute("aria-disabled", "true")

    _mark(desktop, "14:05:10", "14:05:20")
    expect(desktop["#mark-said"]).to_contain_text("10 s paused. Nothing was heard")
    expect(desktop["#mark-download"]).to_have_attribute("aria-disabled", "true")


def test_a_download_that_fails_says_why(desktop: Shown, desks: Office) -> None:
    """What the archive answers is shown as it says it, until a download succeeds."""
    desktop.open(desks.meeting.recording_id)
    _mark(desktop, "14:02:00", "14:02:01")
    problem = {"title": "Insufficient Storage", "status": 507, "detail": "the disk is full"}
    desktop.page.route("**/api/cut?*", lambda route: route.fulfill(status=507, json=problem))
    desktop.watch.expected.append("507")
    desktop["#mark-download"].click()
    expect(desktop["#alert-text"]).to_have_text("the disk is full")

    desktop.page.unroute("**/api/cut?*")
    with desktop.page.expect_download():
        desktop["#mark-download"].click()
    expect(desktop["#alert"]).to_be_hidden()


def test_times_are_taken_as_people_write_them(desktop: Shown, desks: Office) -> None:
    """With dots, without anything between, and with am or pm."""
    desktop.open(desks.meeting.recording_id)
    _mark(desktop, "2.02pm", "1403")
    expect(desktop["#mark-start"]).to_have_value("14:02:00.000")
    expect(desktop["#mark-stop"]).to_have_value("14:03:00.000")
    _mark(desktop, "2pm", "14.03")
    expect(desktop["#mark-start"]).to_have_value("14:00:00.000")
    expect(desktop["#mark-stop"]).to_have_value("14:03:00.000")


@pytest.mark.parametrize("wrong", ["25:00", "14:61", "soon", "14", "13pm", "14:01:10"])
def test_a_time_that_means_nothing_loads_nothing(desktop: Shown, desks: Office, wrong: str) -> None:
    """Also one before the beginning: it is said at the field, both times stay, and nothing is loaded."""
    desktop.open(desks.meeting.recording_id)
    _mark(desktop, "14:02", "14:03")
    expect(desktop["#mark-download"]).to_have_attribute("href", re.compile("cut"))
    _mark(desktop, "14:02", wrong)
    expect(desktop["#mark-stop"]).to_have_attribute("aria-invalid", "true")
    expect(desktop["#mark-stop"]).to_have_value(wrong)
    expect(desktop["#mark-stop"]).to_have_accessible_description(re.compile("time as 14:03:05|before"))
    expect(desktop["#mark-start"]).to_have_value(re.compile("^14:02"))
    expect(desktop["#mark-download"]).to_have_attribute("aria-disabled", "true")

    _mark(desktop, "14:01", "14:01:20")
    expect(desktop["#mark-stop"]).not_to_have_attribute("aria-invalid", "true")
    expect(desktop["#mark-download"]).not_to_have_attribute("aria-disabled", "true")


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
