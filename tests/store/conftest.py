"""Archives that all tests of a module share, for tests that only add to them."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from tests.store.judge import Program, Raw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An archive for all tests of a module, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        path = tmp_path_factory.mktemp("shared") / "phonobase.db"
        shutil.copyfile(template, path)
        yield f"sqlite:///{path}"
        return
    server, name = request.getfixturevalue("postgres"), f"phonobase_test_{uuid.uuid4().hex[:16]}"
    server.create_database(name, request.getfixturevalue("_postgres_template"))
    yield server.url(name)
    server.drop_database(name)


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
