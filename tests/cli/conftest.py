"""The program on an archive of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import Program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that the program runs in: empty."""
    path = tmp_path / "here"
    path.mkdir()
    return path


@pytest.fixture
def phonobase(sqlite_url: str, folder: Path) -> Program:
    """The program on an SQLite file that is not there yet."""
    return Program(sqlite_url, folder)


@pytest.fixture
def phonobase_on_both(archive_url: str, folder: Path) -> Program:
    """The program on an empty archive: the test runs once on SQLite and once on PostgreSQL."""
    return Program(archive_url, folder)


@pytest.fixture
def recorded(phonobase: Program) -> Program:
    """The program on an SQLite archive that holds a second of the test tone, in FLAC."""
    phonobase("record", "--input", "tone", "--no-realtime", "--duration", "1", "--title", "A tone").ok()
    return phonobase


@pytest.fixture
def no_device(tmp_path: Path) -> dict[str, str]:
    """The variables with which PortAudio finds no input device, whatever the machine has."""
    config = tmp_path / "alsa.conf"
    config.write_text("pcm.default { type hw card 31 }\nctl.default { type hw card 31 }\n")
    return {"ALSA_CONFIG_PATH": str(config)}
