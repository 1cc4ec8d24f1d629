"""Hosts: programs that have a database, a session and tables of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from tests.store.judge import Program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """An empty archive of the test's own, open."""
    with Archive(archive_url) as opened:
        yield opened


@pytest.fixture
def program(archive_url: str) -> Program:
    """The test's own archive through the database's own program."""
    return Program(archive_url)
