from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader
from sqlalchemy import exc

from phonobase import RecordingRepository, session_on
from phonobase.errors import StoreError
from tests.store.judge import Program, pcm_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator

PCM = random_pcm(12_000, 2, "int16")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNTS = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM phono_audio)"


@contextlib.contextmanager
def _connected(program: Program, **settings: Any) -> Iterator[Any]:  # noqa: ANN401 - either driver's
    if program.is_sqlite:
        connection: Any = sqlite3.connect(str(program.url.database), **settings)
    else:
        connection = psycopg.connect(program.dsn, **settings)
    with contextlib.closing(connection):
        yield connection


@pytest.fixture
def host(program: Program) -> Iterator[Any]:
    """A connection of a host with rows, values and types of its own taste, as Django's are."""
    program.run_script("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    with _connected(program) as connection:
        if program.is_sqlite:
            connection.row_factory = sqlite3.Row
        else:
            connection.row_factory = dict_row
            connection.adapters.register_loader("jsonb", TextLoader)
        yield connection


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_the_hosts_transaction_decides(host: Any, program: Program, outcome: str) -> None:  # noqa: ANN401
    """What is stored on a plain connection is kept or forgotten with the host's rows, whatever we close."""
    host.execute("INSERT INTO orders VALUES (1)")
    with session_on(host) as session:
        repository = RecordingRepository(session)
        stored = repository.add(PCM, 8000, 2, source="desk", started_at=NOON, tags={"queue": "billing"})
        session.commit()
        session.rollback()
        assert repository.get("last") == stored
        assert (stored.started_at, stored.tags) == (NOON, {"queue": "billing"})
        assert pcm_of(repository.read(stored.id), "int16") == PCM
        assert repository.verify(stored.id).ok
    host.execute("INSERT INTO orders VALUES (2)")
    assert program.lines(COUNTS) == ["0|0"]
    getattr(host, outcome)()
    assert program.lines(COUNTS) == (["2|1"] if outcome == "commit" else ["0|0"])


def test_a_savepoint_goes_alone(host: Any, program: Program) -> None:  # noqa: ANN401
    """Savepoints of the session and of the host hold sound and rows alike; what fails takes no more along."""
    host.execute("INSERT INTO orders VALUES (1)")
    with session_on(host) as session:
        savepoint = session.begin_nested()
        RecordingRepository(session).add(PCM, 8000, 2)
        savepoint.rollback()
        host.execute("SAVEPOINT one")
        RecordingRepository(session).add(PCM, 8000, 2)
        host.execute("ROLLBACK TO one")
        with pytest.raises(exc.IntegrityError), session.begin_nested():
            session.connection().exec_driver_sql("INSERT INTO orders VALUES (1)")
        RecordingRepository(session).add(PCM, 8000, 2)
    host.commit()
    assert program.lines(COUNTS) == ["1|1"]


def test_the_connection_stays_as_it_was(host: Any) -> None:  # noqa: ANN401
    """The host's rows and values look as before, and its connection is open."""
    ask = "SELECT tags AS said FROM phono_recording"
    with session_on(host) as session:
        RecordingRepository(session).add(PCM, 8000, 2, tags={"queue": "billing"})
    row = host.execute(ask).fetchone()
    assert row["said"] == '{"queue": "billing"}'
    host.rollback()
    assert host.execute(ask).fetchall() == []


def test_moments_that_the_host_converts(migrated_sqlite_url: str) -> None:
    """A host that has sqlite3 make datetimes of moments, as Django does, gets ours right all the same."""
    sqlite3.register_converter("datetime", lambda text: datetime.fromisoformat(text.decode()))
    with _connected(Program(migrated_sqlite_url), detect_types=sqlite3.PARSE_DECLTYPES) as connection:
        with session_on(connection) as session:
            stored = RecordingRepository(session).add(PCM, 8000, 2, started_at=NOON)
            assert RecordingRepository(session).get("last") == stored
        (moment,) = connection.execute("SELECT started_at FROM phono_recording").fetchone()
        assert moment == NOON.replace(tzinfo=None)
    del sqlite3.converters["DATETIME"]


def test_outside_a_transaction_it_is_refused(archive_url: str, program: Program) -> None:
    """Where each statement would be committed on its own, or the driver is another, that is said."""
    settings = {"isolation_level": None} if program.is_sqlite else {"autocommit": True}
    with _connected(program, **settings) as connection:
        with pytest.raises(StoreError, match="in no transaction"), session_on(connection):
            pass
        connection.execute("BEGIN")
        with session_on(connection) as session:
            RecordingRepository(session).add(PCM, 8000, 2)
        connection.execute("COMMIT")
    assert program.value("SELECT count(*) FROM phono_audio") == "1"
    with pytest.raises(StoreError, match=r"a builtins\.str is no connection"), session_on(archive_url):  # type: ignore[arg-type] # what is refused
        pass
