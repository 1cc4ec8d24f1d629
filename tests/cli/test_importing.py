"""When an imported file began."""

from __future__ import annotations

import os
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import soundfile

from phonobase import Archive
from tests.store.judge import frames_of, random_pcm
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program

CHANGED = datetime(2026, 5, 1, 10, tzinfo=UTC)
BEGAN = datetime(2026, 3, 1, 23, 59, 58, 7, UTC)
SECOND = timedelta(seconds=1)


def _aged(path: Path) -> str:
    """Changes when a file was changed last."""
    os.utime(path, (CHANGED.timestamp(), CHANGED.timestamp()))
    return path.name


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["flac", "bwf"])
def test_an_exported_file_says_when_it_began(phonobase: Program, folder: Path, kind: str, rate: int) -> None:
    """A cut that goes out of one archive and into another has its place in time, to the sample."""
    with Archive(phonobase.url) as archive:
        archive.add(random_pcm(4 * rate, 1, "int16"), rate, source="desk", started_at=BEGAN)
        asked = BEGAN + SECOND * 2.3  # after midnight
        take = archive.cut("desk", asked, asked + SECOND).takes[0]
    stretch = ("--source", "desk", "--from", asked.isoformat(), "--to", (asked + SECOND).isoformat())
    phonobase("export", *stretch, "-o", f"cut.{kind}").ok()
    name = _aged(folder / f"cut.{kind}")

    phonobase("import", name, "--source", "again").ok()
    phonobase("import", name, "--source", "known", "--started-at", "2026-04-01T12:00Z").ok()

    with Archive(phonobase.url) as archive:
        (again,), (known,) = archive.find(source="again"), archive.find(source="known")
    off = abs(again.started_at - take.started_at)
    assert off <= (timedelta(0) if kind == "flac" else timedelta(seconds=1 / rate, microseconds=1))
    assert again.capture["started_at_from"] == "file"
    assert known.started_at == datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert known.capture["started_at_from"] == "user"


def test_the_broadcast_wave_of_another(phonobase: Program, folder: Path) -> None:
    """Its time is in nobody knows which zone: it is said and kept, and the file time is taken as ever."""
    soundfile.write(folder / "plain.wav", frames_of(random_pcm(8_000, 1, "int16"), 1, "int16"), 8_000)
    said = ("originator=Zoom", "origination_date=2026-03-01", "origination_time=14:00:07")
    subprocess.run(
        [require("ffmpeg"), "-v", "error", "-i", "plain.wav"]
        + [part for one in said for part in ("-metadata", one)]
        + ["-write_bext", "1", "other.wav"],
        cwd=folder,
        check=True,
    )

    done = phonobase("import", _aged(folder / "other.wav")).ok()

    assert (
        "other.wav says that it began at 2026-03-01T14:00:07, in a time zone that it does not name"
        in done.err
    )
    assert "--started-at" in done.err
    recording = phonobase.one()
    assert recording.started_at == CHANGED - SECOND
    assert recording.capture["began_locally"] == "2026-03-01T14:00:07"
    assert "began" not in phonobase("import", "other.wav", "--started-at", "2026-03-01T14:00:07Z").ok().err


@pytest.mark.parametrize("day", [b"2026-13-01", b"\0" * 10, b"9999-12-31", "²026-01-01".encode()[:10]])
def test_a_date_that_is_none(phonobase: Program, folder: Path, day: bytes) -> None:
    """A file that says it is phonobase's, with a date that cannot be, is as if it had said nothing."""
    bext = struct.pack("<256s32s32s10s8sQ256x", b"", b"phonobase", b"", day, b"00:00:00", 1 << 62)
    head = b"RIFF" + bytes(4) + b"WAVEbext" + struct.pack("<I", len(bext)) + bext
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
    (folder / "odd.wav").write_bytes(head + form + b"data" + struct.pack("<I", 16_000) + bytes(16_000))

    phonobase("import", _aged(folder / "odd.wav")).ok()

    assert phonobase.one().started_at == CHANGED - SECOND


def test_a_flac_of_another(phonobase: Program, folder: Path) -> None:
    """The date of a FLAC that phonobase did not write may be of anything, and is not asked."""
    soundfile.write(folder / "plain.wav", frames_of(random_pcm(8_000, 1, "int16"), 1, "int16"), 8_000)
    command = [require("flac"), "--silent", "-T", "DATE=2026-03-01T12:00:00+00:00", "plain.wav"]
    subprocess.run(command, cwd=folder, check=True)

    phonobase("import", _aged(folder / "plain.flac")).ok()

    assert phonobase.one().started_at == CHANGED - SECOND
