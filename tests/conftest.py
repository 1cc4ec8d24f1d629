"""Real databases and a real sound server, for every test that asks for them."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import soundfile

from tests.support.postgres import PostgresServer
from tests.support.pulse import SoundServer
from tests.support.require import bundled_postgres

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program, Raw

TEST_DATABASE_URL = "TEST_DATABASE_URL"
LONG = (
    "tests/torture",
    "tests/recorder",
    "tests/capture/test_device.py",
    "tests/cli",
    "tests/support/test_pulse.py",
    "tests/browser",
    "tests/web/test_follow_audio.py",
    "tests/web/test_upload_faults.py",
    "tests/store/test_push_faults.py",
)


def pytest_configure() -> None:
    """Lets no setting of the developer's own archive reach a test, and no test their spools."""
    for name in [name for name in os.environ if name.startswith("PHONOBASE_")]:
        del os.environ[name]
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="phonobase-state-")
    # The tests start hundreds of programs: compiling phonobase again in each of them, and starting threads
    # for linear algebra, would be a sixth of each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def pytest_unconfigure() -> None:
    """Removes the spools that tests have left where they usually are."""
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what takes long, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_report_header() -> str:
    """Names the versions that a failure may depend on."""
    return (
        f"{_postgres_version()}, SQLite {sqlite3.sqlite_version},"
        f" libsndfile {soundfile.__libsndfile_version__}"
    )


def _postgres_version() -> str:
    if url := os.environ.get(TEST_DATABASE_URL):
        server = PostgresServer(url)
        try:
            with psycopg.connect(server.dsn(server.maintenance)) as connection:
                return f"PostgreSQL {connection.info.parameter_status('server_version')}"
        except psycopg.OperationalError as error:
            raise pytest.UsageError(f"{TEST_DATABASE_URL} cannot be reached: {error}") from error
    programs = bundled_postgres()
    if programs is None:
        return "PostgreSQL missing"
    version = subprocess.check_output([programs / "postgres", "--version"], text=True)
    return version.strip().replace("postgres (PostgreSQL)", "PostgreSQL")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that all tests share: nobody stops it."""
    with PostgresServer(os.environ.get(TEST_DATABASE_URL)) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the test may stop, kill and start again."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    yield from _database(postgres)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'phonobase.db'}"


@pytest.fixture
def migrated_postgres_url(postgres: PostgresServer, _postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database that holds an empty archive."""
    yield from _database(postgres, _postgres_template)


@pytest.fixture
def migrated_sqlite_url(sqlite_url: str, _sqlite_template: Path, tmp_path: Path) -> str:
    """An SQLite file that holds an empty archive."""
    shutil.copyfile(_sqlite_template, tmp_path / "phonobase.db")
    return sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest) -> str:
    """An empty archive: the test runs once on SQLite and once on PostgreSQL."""
    name = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def archive(archive_url: str) -> Iterator["Archive"]:
    """An empty archive of the test's own, open."""
    from phonobase import Archive  # noqa: PLC0415 - as _upgrade does

    with Archive(archive_url) as opened:
        yield opened


@pytest.fixture
def program(archive_url: str) -> "Program":
    """The test's own archive through the database's own program."""
    from tests.store.judge import Program  # noqa: PLC0415 - as _upgrade does

    return Program(archive_url)


@pytest.fixture
def raw(archive_url: str) -> Iterator["Raw"]:
    """The test's own archive through the plain driver."""
    from tests.store.judge import Raw  # noqa: PLC0415 - as _upgrade does

    with Raw(archive_url) as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An archive for all tests of a module, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        path = tmp_path_factory.mktemp("shared") / "phonobase.db"
        shutil.copyfile(template, path)
        yield f"sqlite:///{path}"
        return
    template_name: str = request.getfixturevalue("_postgres_template")
    yield from _database(request.getfixturevalue("postgres"), template_name)


@pytest.fixture(scope="session")
def sound() -> Iterator[SoundServer]:
    """A sound server that all tests share, also inside this process: nobody stops it."""
    with SoundServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        if sounddevice := sys.modules.get("sounddevice"):
            # PortAudio reads the environment only when it starts.
            sounddevice._terminate()
            sounddevice._initialize()
        yield server


@pytest.fixture
def own_sound() -> Iterator[SoundServer]:
    """A sound server that the test may stop, kill and start again."""
    with SoundServer() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_template(postgres: PostgresServer) -> Iterator[str]:
    name = _unused_name()
    postgres.create_database(name)
    _upgrade(postgres.url(name))
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "phonobase.db"
    _upgrade(f"sqlite:///{path}")
    return path


def _upgrade(url: str) -> None:
    # Here, so that a package that does not import fails only the tests that need it.
    from phonobase.store import schema  # noqa: PLC0415
    from phonobase.store.engine import create_engine  # noqa: PLC0415

    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()


def _database(server: PostgresServer, template: str | None = None) -> Iterator[str]:
    name = _unused_name()
    server.create_database(name, template)
    yield server.url(name)
    server.drop_database(name)


def _unused_name() -> str:
    # Unique, because a server named by TEST_DATABASE_URL may serve several test runs at once.
    return f"phonobase_test_{uuid.uuid4().hex[:16]}"
