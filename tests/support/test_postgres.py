import os
import subprocess
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support.postgres import PostgresServer
from tests.support.require import require


def test_every_test_gets_an_empty_database(postgres_url: str) -> None:
    """The address works with SQLAlchemy, and nobody has left a table behind."""
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        assert tables.scalar_one() == 0
    engine.dispose()


def test_a_database_can_be_copied(postgres: PostgresServer) -> None:
    """A copy holds what its template holds."""
    postgres.create_database("original")
    with psycopg.connect(postgres.dsn("original")) as connection:
        connection.execute("CREATE TABLE sound AS SELECT 7 AS heard")
    postgres.create_database("copy", template="original")
    with psycopg.connect(postgres.dsn("copy")) as connection:
        assert connection.execute("SELECT heard FROM sound").fetchall() == [(7,)]
    postgres.drop_database("copy")
    postgres.drop_database("original")


def test_psql_reads_the_same_server(postgres: PostgresServer) -> None:
    """The program that people use gets in by the same address."""
    answer = subprocess.check_output(
        [require("psql"), "-XAt", "-c", "SELECT 6 * 7", postgres.dsn(postgres.maintenance)],
        text=True,
    )
    assert answer == "42\n"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_committed_rows_survive_the_end_of_the_server(own_postgres: PostgresServer, end: str) -> None:
    """A server that was stopped or killed comes back at the same address with its data."""
    dsn, pid = own_postgres.dsn("postgres"), own_postgres.pid
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE sound AS SELECT 7 AS heard")
    getattr(own_postgres, end)()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
    own_postgres.start()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT heard FROM sound").fetchall() == [(7,)]


def test_no_setting_of_the_developer_reaches_a_test() -> None:
    """The environment holds nothing of the developer's own archive."""
    assert not [name for name in os.environ if name.startswith("PHONOBASE_")]
