"""Archives that all tests of a module share, for tests that only add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from phonobase.store.engine import create_engine
from tests.store.judge import Program, Raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine


@pytest.fixture(scope="module")
def shared_archive(shared_url: str) -> Iterator[Archive]:
    """The shared archive, open."""
    with Archive(shared_url) as archive:
        yield archive


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
