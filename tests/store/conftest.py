"""Archives that all tests of a module share, for tests that only add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.store.engine import create_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine


@pytest.fixture(scope="module")
def shared_archive(shared_url: str) -> Iterator[Archive]:
    """The shared archive, open."""
    with Archive(shared_url) as archive:
        yield archive


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database without any table, on either."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """An engine on a database without any table."""
    engine = create_engine(empty_url)
    yield engine
    engine.dispose()
