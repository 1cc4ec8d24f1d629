from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops

from phonobase import Archive
from phonobase.errors import SchemaError
from phonobase.store import schema
from phonobase.store.engine import create_engine
from phonobase.store.models import Base
from tests.store.definitions import definitions
from tests.store.judge import Program, Raw, random_pcm

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

ROOT = Path(__file__).parents[2]
PROCESSES = 8
TABLES = {
    "phono_alembic_version",
    "phono_annotation",
    "phono_audio",
    "phono_chunk",
    "phono_commit",
    "phono_event",
    "phono_gap",
    "phono_recording",
    "phono_session",
    "phono_source",
    "phono_token",
}
VIEWS = {"phono_annotations", "phono_clips", "phono_coverage", "phono_gaps"}


_START = """
import sys
from phonobase import Archive
from phonobase.store import schema
from phonobase.store.engine import create_engine
sys.stdin.readline()
url = sys.argv[1]
if not url.startswith("sqlite"):
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
with Archive(url) as archive:
    print(archive.add(b"\\1\\0" * 800, 8000).id.hex)
"""


def test_eight_processes_may_start_at_once(empty_url: str) -> None:
    """Whoever comes first makes the tables, nobody fails, and every process stores its recording."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _START, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in started:  # all have imported what they need and wait for this line
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=120) for process in started]
    assert [err for _, err in ended] == [""] * PROCESSES
    assert [process.returncode for process in started] == [0] * PROCESSES
    with Archive(empty_url) as archive:
        assert {found.id.hex for found in archive.find()} == {out.strip() for out, _ in ended}
    assert Program(empty_url).lines("SELECT version_num FROM phono_alembic_version") == [schema.head()]


def test_a_new_sqlite_file_is_made(sqlite_url: str) -> None:
    """A file that is not there gets its tables at the first use."""
    with Archive(sqlite_url) as archive:
        assert archive.find() == []
    assert set(Program(sqlite_url).lines("SELECT name FROM sqlite_master WHERE type = 'table'")) == TABLES
    assert set(Program(sqlite_url).lines("SELECT name FROM sqlite_master WHERE type = 'view'")) == VIEWS


def test_postgresql_without_tables_is_refused(postgres_url: str) -> None:
    """A server without the tables is left as it is, and the message says what to run."""
    with pytest.raises(SchemaError, match=r"no phonobase tables; .*phonobase --db \S+ db upgrade$") as caught:
        Archive(postgres_url)
    assert (caught.value.found, caught.value.expected) == (None, schema.head())
    assert Program(postgres_url).value("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'phono%'") == "0"


def test_an_sqlite_file_of_somebody_else_is_refused(sqlite_url: str) -> None:
    """A file with a host's tables gets none of ours unasked."""
    program = Program(sqlite_url)
    program.run_script("CREATE TABLE orders (id INTEGER);")
    with pytest.raises(SchemaError, match=r"db upgrade$"):
        Archive(sqlite_url)
    assert program.lines("SELECT name FROM sqlite_master") == ["orders"]


def test_older_tables_are_refused(archive_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of an older phonobase, with data in them, are not used; the message says what to run."""
    with Archive(archive_url) as archive:
        recording = archive.add(random_pcm(800, 1, "int16"), 8000)
    older = schema.head()
    monkeypatch.setattr(schema, "head", lambda: "phonobase_9999")
    with pytest.raises(SchemaError, match=f"older phonobase.*{older}.*db upgrade$") as caught:
        Archive(archive_url)
    assert (caught.value.found, caught.value.expected) == (older, "phonobase_9999")
    monkeypatch.undo()
    with Archive(archive_url) as archive:
        assert archive.verify(recording.id).ok


def test_newer_tables_are_refused(archive_url: str) -> None:
    """Tables of a newer phonobase are neither used nor upgraded."""
    with Raw(archive_url) as raw:
        assert raw.run("UPDATE phono_alembic_version SET version_num = 'phonobase_9999'") == 1
    with pytest.raises(SchemaError, match=r"newer phonobase.*phonobase_9999.*pip install --upgrade"):
        Archive(archive_url)
    engine = create_engine(archive_url)
    with pytest.raises(SchemaError, match="newer phonobase"):
        schema.upgrade(engine)
    engine.dispose()
    assert Program(archive_url).lines("SELECT version_num FROM phono_alembic_version") == ["phonobase_9999"]


def test_upgrading_twice_changes_nothing(archive_url: str) -> None:
    """Whoever upgrades what is up to date loses nothing."""
    engine = create_engine(archive_url)
    with Archive(engine) as archive:
        recording = archive.add(random_pcm(800, 1, "int16"), 8000)
        schema.upgrade(engine)
        assert archive.verify(recording.id).ok
    assert schema.current(engine) == schema.head()
    engine.dispose()


@pytest.mark.parametrize("outcome", ["rollback", "commit"])
def test_an_upgrade_is_part_of_the_hosts_transaction(empty_url: str, empty: Engine, outcome: str) -> None:
    """An upgrade on a host's connection comes and goes with the host's own work."""
    with empty.connect() as connection:
        transaction = connection.begin()
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER)")
        schema.upgrade(connection)
        assert transaction.is_active
        connection.exec_driver_sql("INSERT INTO orders VALUES (1)")
        getattr(transaction, outcome)()
    assert _tables(empty) == (TABLES | {"orders"} if outcome == "commit" else set())
    if outcome == "commit":
        assert Program(empty_url).lines("SELECT id FROM orders") == ["1"]


def test_a_host_on_sqlalchemys_own_sqlite_engine(sqlite_url: str) -> None:
    """An upgrade can be rolled back on an engine that the host made without phonobase's settings, too."""
    engine = sa.create_engine(sqlite_url)
    with engine.connect() as connection:
        schema.upgrade(connection)
        connection.rollback()
    assert _tables(engine) == set()
    with engine.begin() as connection:
        schema.upgrade(connection)
    assert _tables(engine) == TABLES
    engine.dispose()


def test_an_archive_with_sound_survives_every_revision(archive_url: str) -> None:
    """Taken back to the first revision and brought up again, no row of what is in it is lost or changed."""
    with Archive(archive_url) as archive:
        recording = archive.add(random_pcm(80_000, 1, "int16"), 8000, source="reef")
        archive.add_gap("reef", recording.ended_at, recording.ended_at + timedelta(days=3), "paused")
    rows = _rows(archive_url)
    engine = create_engine(archive_url)
    first = "phonobase_0001"
    with engine.begin() as connection:
        for script in schema._scripts().iterate_revisions("head", first):
            with Operations.context(MigrationContext.configure(connection)):
                script.module.downgrade()
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{first}'")
    with pytest.raises(SchemaError, match=f"older phonobase.*{first}.*db upgrade$"):
        Archive(engine)

    schema.upgrade(engine)

    engine.dispose()
    assert _rows(archive_url) == rows
    with Archive(archive_url) as archive:
        assert archive.verify(recording.id).ok
        assert archive.get(recording.id) == recording
        assert archive.accounted_until("reef") == recording.ended_at + timedelta(days=3)


def test_the_models_are_what_the_revisions_make(empty_url: str, empty: Engine) -> None:
    """Autogenerate, looking at types and comments too, finds nothing to do, nor do the names of checks."""
    schema.upgrade(empty)
    checked = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=ROOT,
        env=os.environ | {"PHONOBASE_DB": empty_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.stdout, checked.returncode) == ("No new upgrade operations detected.\n", 0), (
        checked.stderr
    )
    with empty.connect() as connection:
        inspector = sa.inspect(connection)
        for table in Base.metadata.tables.values():
            made = {check["name"] for check in inspector.get_check_constraints(table.name)}
            asked = {str(c.name) for c in table.constraints if isinstance(c, sa.CheckConstraint)}
            assert made == asked, table.name


def test_checks_hold_the_same_conditions(empty: Engine) -> None:
    """The checks that the models ask for and those that the revisions make say the same."""
    schema.upgrade(empty)
    other = sa.create_engine("sqlite://")
    Base.metadata.create_all(other)
    if empty.dialect.name == "sqlite":
        with empty.connect() as made, other.connect() as asked:
            for table in Base.metadata.tables:
                assert _checks(made, table) == _checks(asked, table)
    else:
        statement = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
        with empty.begin() as connection:
            made_rows = set(connection.exec_driver_sql(statement).all())
            connection.exec_driver_sql("CREATE SCHEMA asked")
            connection.exec_driver_sql("SET LOCAL search_path = asked")
            Base.metadata.create_all(connection)
            asked_rows = set(
                connection.exec_driver_sql(f"{statement} AND connamespace = 'asked'::regnamespace").all()
            )
            connection.rollback()
        assert asked_rows <= made_rows
        assert len(asked_rows) > 20
    other.dispose()


def test_the_hosts_tables_and_versions_are_left_alone(empty_url: str, empty: Engine) -> None:
    """A host's tables, and the version table of its own Alembic, are as they were."""
    program = Program(empty_url)
    program.run_script(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY);"
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('host_42');"
    )
    schema.upgrade(empty)
    assert _tables(empty) == TABLES | {"orders", "alembic_version"}
    assert program.lines("SELECT version_num FROM alembic_version") == ["host_42"]
    assert program.lines("SELECT version_num FROM phono_alembic_version") == [schema.head()]


def test_a_hosts_autogenerate_leaves_our_tables(empty: Engine) -> None:
    """With `include_name` a host's autogenerate drops none of our tables; without it, it would."""
    schema.upgrade(empty)
    host = sa.MetaData()
    sa.Table("orders", host, sa.Column("id", sa.Integer, primary_key=True))
    with empty.begin() as connection:
        host.create_all(connection)
        assert _dropped(connection, host, None) == TABLES
        assert _dropped(connection, host, schema.include_name) == set()


def test_include_name_hides_only_our_tables() -> None:
    """A host's own names, whatever they are of, stay in."""
    kinds = {
        (name, kind): schema.include_name(name, kind, {})
        for name, kind in [
            ("phono_recording", "table"),
            ("phono_alembic_version", "table"),
            ("orders", "table"),
            ("phonograph", "table"),
            ("phono_id", "column"),
            (None, "schema"),
        ]
    }
    assert list(kinds.values()) == [False, False, True, True, True, True]


def test_the_sql_makes_the_same_tables(empty_url: str, empty: Engine) -> None:
    """The script for people who run it themselves makes what `upgrade` makes."""
    dialect = empty.dialect.name
    Program(empty_url).run_script(schema.sql(dialect))
    by_hand = definitions(empty_url)
    with Archive(empty_url) as archive:
        recording = archive.add(random_pcm(800, 1, "int16"), 8000)
        assert archive.verify(recording.id).ok
    with empty.begin() as connection:
        for table in ("phono_gap", "phono_audio", "phono_chunk", "phono_recording", "phono_source"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    _take_back_all(empty)
    schema.upgrade(empty)
    assert definitions(empty_url) == by_hand


def test_audio_is_stored_uncompressed(migrated_postgres_url: str) -> None:
    """PostgreSQL keeps audio out of line and does not try to compress it."""
    storage = (
        "SELECT attstorage FROM pg_attribute WHERE attrelid = 'phono_audio'::regclass AND attname = 'data'"
    )
    assert Program(migrated_postgres_url).value(storage) == "e"


def test_a_new_sqlite_file_has_large_pages_and_a_log(sqlite_url: str) -> None:
    """An SQLite archive has the page size and the journal that audio is fastest with."""
    Archive(sqlite_url).close()
    program = Program(sqlite_url)
    assert program.value("PRAGMA page_size") == "16384"
    assert program.value("PRAGMA journal_mode") == "wal"


def test_a_new_sqlite_file_gives_back_its_free_pages(sqlite_url: str) -> None:
    """What was deleted can be given back to the disk bit by bit, with ``PRAGMA incremental_vacuum``."""
    with Archive(sqlite_url) as archive:
        recording = archive.add(random_pcm(400_000, 1, "int16"), 8000)
        archive.delete(recording.id, "test")
    program = Program(sqlite_url)
    assert program.value("PRAGMA auto_vacuum") == "2"
    before = int(program.value("PRAGMA page_count"))
    program.run_script("PRAGMA incremental_vacuum;")
    assert int(program.value("PRAGMA page_count")) < before / 2
    assert program.value("PRAGMA integrity_check") == "ok"


def test_looking_at_a_file_waits_for_nobody(sqlite_url: str) -> None:
    """Opening an archive takes no lock that a recorder may hold for long, and changes nothing."""
    Archive(sqlite_url).close()
    with Raw(sqlite_url) as raw:
        before = raw.value("PRAGMA data_version")
        raw.run("BEGIN IMMEDIATE")
        with Archive(sqlite_url) as archive:
            assert archive.find() == []
        raw.run("ROLLBACK")
        assert raw.value("PRAGMA data_version") == before


def test_a_file_made_before_stays_as_it_was(sqlite_url: str) -> None:
    """A file without room for bookkeeping of its free pages is opened and used all the same."""
    Program(sqlite_url).run_script("PRAGMA auto_vacuum = NONE; CREATE TABLE t (a); DROP TABLE t;")
    with Archive(sqlite_url) as archive:
        assert archive.verify(archive.add(random_pcm(800, 1, "int16"), 8000).id).ok
    assert Program(sqlite_url).value("PRAGMA auto_vacuum") == "0"


def test_connections_to_sqlite_are_durable(sqlite_url: str) -> None:
    """Every connection of an archive syncs each commit, checks foreign keys and waits for others."""
    with Archive(sqlite_url) as archive, archive.engine.connect() as connection:
        pragmas = ("synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == [2, 1, 60_000]


def _take_back_all(engine: Engine) -> None:
    """Downgrades to nothing, one revision after the other."""
    with engine.begin() as connection:
        for script in schema._scripts().walk_revisions():
            with Operations.context(MigrationContext.configure(connection)):
                script.module.downgrade()
        connection.exec_driver_sql(f"DROP TABLE {schema.VERSION_TABLE}")


def _rows(url: str) -> dict[str, list[str]]:
    """Returns all rows of all tables that hold what was recorded, as the plain driver has them."""
    with Raw(url) as raw:
        names = TABLES - {schema.VERSION_TABLE, "phono_commit"}
        return {name: sorted(map(repr, raw.rows(f"SELECT * FROM {name}"))) for name in names}


def _tables(engine: Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def _checks(connection: sa.Connection, table: str) -> set[tuple[str | None, str]]:
    found = sa.inspect(connection).get_check_constraints(table)
    return {(check["name"], " ".join(check["sqltext"].split())) for check in found}


def _dropped(connection: sa.Connection, host: sa.MetaData, include_name: Any) -> set[str]:  # noqa: ANN401
    opts = {"include_name": include_name} if include_name else {}
    context = MigrationContext.configure(connection, opts=opts)
    upgrade = produce_migrations(context, host).upgrade_ops
    assert upgrade is not None
    return {op.table_name for op in upgrade.ops if isinstance(op, ops.DropTableOp)}


def test_the_program_needs_the_newest_revision() -> None:
    """The revision that is written in the program is the last that stands in migrations."""
    assert schema.head() == schema._scripts().get_current_head()
