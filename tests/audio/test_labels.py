"""Labels as files: WebVTT and Audacity's, read back by other programs and by the letter."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonobase.audio.labels import Label, audacity, webvtt
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

RATES = st.sampled_from([1, 8000, 11_025, 44_100, 48_000, 192_000, 1_048_575])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_webvtt_by_the_letter() -> None:
    """A cue each: its number and kind, whole milliseconds around it, and text that a parser gives back."""
    labels = [
        Label(0, 44_100, "transcript", "Guten Tag\r\n\r\n<b>& --> weiter"),
        Label(44_101, 1, "click"),
        Label(44_100 * 3600, 0, "note\n-->", "end"),
    ]
    assert webvtt(labels, 44_100) == (
        "WEBVTT\n\n"
        "1 transcript\n00:00:00.000 --> 00:00:01.000\nGuten Tag\n&lt;b&gt;&amp; --&gt; weiter\n\n"
        "2 click\n00:00:01.000 --> 00:00:01.001\nclick\n\n"
        "3 note ->\n01:00:00.000 --> 01:00:00.001\nend\n"
    )
    assert webvtt([], 44_100) == "WEBVTT\n"


@pytest.mark.parametrize("text", ["a & b", "<i>x</i>", "one\n\n\ntwo", "-->", "ä ö 漢 🎙", "\u2028x"])
def test_webvtt_in_ffmpeg(tmp_path: Path, text: str) -> None:
    """Ffmpeg finds as many cues as there are labels, at their times, whatever their text is."""
    path = tmp_path / "labels.vtt"
    path.write_text(webvtt([Label(8000 * n, 4000, "note", text) for n in range(3)], 8000), newline="")
    command: list[Any] = [
        *(require("ffprobe"), "-v", "error", "-show_entries", "packet=pts_time,duration_time"),
        *("-of", "csv=p=0", path),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [tuple(map(float, line.split(",")[:2])) for line in lines] == [(n, 0.5) for n in range(3)]


@given(first=st.integers(0, 10**12), count=st.integers(0, 10**9), rate=RATES, text=TEXTS)
def test_webvtt_holds_every_stretch(first: int, count: int, rate: int, text: str) -> None:
    """A cue begins less than a millisecond before its stretch and ends less than one behind it."""
    lines = webvtt([Label(first, count, "note", text)], rate).split("\n")
    assert lines[:3] == ["WEBVTT", "", "1 note"]
    assert "" not in lines[3:-1]
    begin, end = (_exact(moment) for moment in lines[3].split(" --> "))
    millisecond = Fraction(1, 1000)
    assert begin <= Fraction(first, rate) < begin + millisecond
    assert end >= Fraction(first + count, rate)
    assert end < Fraction(first + count, rate) + millisecond or end == begin + millisecond


@given(first=st.integers(0, 10**12), count=st.integers(0, 10**9), rate=RATES, text=TEXTS)
def test_audacity_gives_back_every_frame(first: int, count: int, rate: int, text: str) -> None:
    """A line of three fields whose seconds are nearer to their frame than to any other."""
    line = audacity([Label(first, count, "note", text)], rate)
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    begin, end, shown = line.removesuffix("\n").split("\t")
    assert round(Fraction(begin) * rate) == first
    assert round(Fraction(end) * rate) == first + count
    assert shown == (" ".join(text.split()) or "note")


def _exact(moment: str) -> Fraction:
    hours, minutes, seconds = moment.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
