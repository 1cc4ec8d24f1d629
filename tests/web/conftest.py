"""Archives that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from phonobase.web import create_app
from tests.web.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase import Archive


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
