"""Archives that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from phonobase import Archive
from phonobase.web import create_app
from tests.store.judge import Program, Raw
from tests.web.serving import served

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


@pytest.fixture
def raw(archive_url: str) -> Iterator[Raw]:
    """The test's own archive through the plain driver."""
    with Raw(archive_url) as opened:
        yield opened


@pytest.fixture
def client(archive: Archive) -> Iterator[TestClient]:
    """Whoever asks the test's own archive, without a network between them."""
    with TestClient(create_app(archive)) as asking:
        yield asking


@pytest.fixture
def address(archive: Archive) -> Iterator[str]:
    """Where the test's own archive is served."""
    with served(create_app(archive)) as url:
        yield url
