from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy import exc

from phonobase import Archive
from phonobase.errors import StoreError
from phonobase.store import schema
from phonobase.store.engine import WRITES, create_engine
from phonobase.store.models import Base
from phonobase.store.rebuilding import foreign_keys_unchecked
from tests.store.definitions import definitions
from tests.store.judge import Program, Raw, random_pcm

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.config import Config
    from sqlalchemy.engine import Engine

FROZEN = Path(__file__).parent / "frozen"
BEGAN = datetime(2026, 1, 31, 23, 59, 58, 500_001, tzinfo=UTC)
_TABLES = ("phono_source", "phono_recording", "phono_chunk", "phono_audio", "phono_gap")
REVISIONS = [f"phonobase_{number:04}" for number in range(1, 8)]


def test_every_revision_goes_down_and_up_again(empty_url: str, empty: Engine) -> None:
    """Step by step: what a revision makes it takes back wholly, and makes the same again."""
    assert [script.revision for script in schema._scripts().walk_revisions()] == REVISIONS[::-1]
    steps: list[list[str]] = [[]]
    empty_here = {"phonobase_0005", "phonobase_0006"} if empty.dialect.name == "sqlite" else set()
    for revision in REVISIONS:
        _move(empty, command.upgrade, revision)
        made = _made(empty_url)
        assert (made != steps[-1]) == (revision not in empty_here)
        _move(empty, command.downgrade, "-1")
        assert _made(empty_url) == steps[-1]
        _move(empty, command.upgrade, revision)
        assert _made(empty_url) == made
        steps.append(made)
    for expected in steps[-2::-1]:
        _move(empty, command.downgrade, "-1")
        assert _made(empty_url) == expected


@pytest.mark.parametrize("revision", ["phonobase_0001", "phonobase_0002"])
def test_an_archive_of_an_older_phonobase_is_brought_up_to_date(
    empty_url: str, empty: Engine, revision: str, request: pytest.FixtureRequest
) -> None:
    """Its tables are those of a new archive, nothing in it is lost, every hash is right, and it goes on."""
    database = empty.dialect.name
    program = Program(empty_url)
    program.run_script((FROZEN / f"{revision}.{database}.sql").read_text())
    assert schema.current(empty) == revision
    with Raw(empty_url) as raw:
        columns = {table: _columns(empty, table) for table in _TABLES}
        rows = {table: _rows(raw, table, columns[table]) for table in columns}
    assert [len(rows[table]) for table in _TABLES[:2]] == [2, 3]
    assert len(rows["phono_chunk"]) == len(rows["phono_audio"]) > 5
    assert len(rows["phono_gap"]) >= 3

    schema.upgrade(empty)

    with Raw(empty_url) as raw:
        assert {table: _rows(raw, table, columns[table]) for table in columns} == rows
        assert raw.value("SELECT count(*) FROM phono_commit") == 3
    assert definitions(empty_url) == definitions(new_url(request, empty.dialect.name))
    _look_into(empty, revision)


def test_what_was_built_on_a_view_outlives_an_upgrade(postgres_url: str) -> None:
    """A host's view on one of ours, and the rights that were given on ours, are there afterwards."""
    program = Program(postgres_url)
    program.run_script((FROZEN / "phonobase_0002.postgresql.sql").read_text())
    program.run_script(
        "CREATE VIEW calls AS SELECT external_id, seconds FROM phono_clips WHERE external_id IS NOT NULL;"
        "CREATE VIEW days AS SELECT day, lost_by_cause FROM phono_coverage;"
        "GRANT SELECT ON phono_coverage TO PUBLIC"
    )
    engine = create_engine(postgres_url)

    schema.upgrade(engine)

    engine.dispose()
    assert program.lines("SELECT * FROM calls") == ["order-4711|3.5"]
    assert len(program.lines("SELECT * FROM days")) > 40
    assert program.value("SELECT has_table_privilege('public', 'phono_coverage', 'SELECT')") == "t"


def _look_into(engine: Engine, revision: str) -> None:
    """Reads what a frozen archive is known to hold, closes what was left open, and records on."""
    tone = (8000 * np.sin(np.arange(24_000) * 0.02)).astype("<i2")
    lost = 0 if revision == "phonobase_0001" else 4000
    with Archive(engine) as archive:
        left, reef, desk = archive.find()
        assert archive.verify(desk.id).ok
        frames = archive.read(desk.id)[:, 0]
        assert np.array_equal(np.concatenate([frames[:10_000], frames[10_000 + lost :]]), tone)
        assert not frames[10_000 : 10_000 + lost].any()
        assert (desk.started_at, desk.title, desk.notes) == (BEGAN, "Übergabe", 'it\'s\na "note"')
        assert desk.tags == {"queue": "billing", "nested": {"a": [1, None]}}
        assert archive.find(external_id="order-4711", tags={"queue": "billing"}) == [desk]
        assert archive.verify(reef.id).ok
        assert (reef.peak_dbfs, reef.drift_ppm) == (-np.inf, None if revision == "phonobase_0001" else -12.5)
        assert (left.state, archive.close_as_stored(left.id).state) == ("recording", "interrupted")
        assert archive.verify(left.id).ok
        assert [gap.cause for gap in archive.gaps("reef")] == ["paused"]
        winter = archive.coverage("reef", BEGAN - timedelta(days=1), BEGAN)
        assert winter.lost_us == {"paused": 86_400_000_000}
        archive.annotate(desk.id, 0, 100, "note", author="test")
        added = archive.add(tone.tobytes(), 8000, source="desk-3")
        assert archive.verify(added.id).ok
        archive.delete(desk.id, "test")


_FUTURE = """
import sqlalchemy as sa
from alembic import op
from phonobase.store.models import Base

revision, down_revision, branch_labels, depends_on = "phonobase_9999", "phonobase_0007", None, None


def upgrade():
    # Alembic leaves out the checks of a table that it makes anew, unless they are named.
    table = Base.metadata.tables["phono_recording"]
    checks = [
        sa.CheckConstraint(check.sqltext, name=op.f(check.name))
        for check in table.constraints
        if isinstance(check, sa.CheckConstraint)
    ]
    with op.batch_alter_table("phono_recording", table_args=checks) as batch:
        batch.alter_column("title", existing_type=sa.Text(), server_default="untitled")
"""


@pytest.fixture
def future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """A revision that comes when this is called, and on SQLite can only make phono_recording anew."""
    folder = tmp_path / "to-come"
    folder.mkdir()
    (folder / "phonobase_9999.py").write_text(_FUTURE)
    config_today = schema._config

    def config() -> Config:
        made = config_today()
        today = Path(str(made.get_main_option("script_location"))) / "versions"
        made.set_main_option("version_locations", f"{today}{os.pathsep}{folder}".replace("%", "%%"))
        return made

    def come() -> str:
        monkeypatch.setattr(schema, "_config", config)
        monkeypatch.setattr(schema, "HEAD", "phonobase_9999")
        return "phonobase_9999"

    return come


def test_a_table_that_is_made_anew_keeps_everything(archive_url: str, future: Callable[[], str]) -> None:
    """Rows, whatever leads to them, triggers, views and checks: a later revision loses none of them."""
    _fill(archive_url)
    before, rows = definitions(archive_url), _all_rows(archive_url)
    engine = create_engine(archive_url)
    revision = future()

    schema.upgrade(engine)

    assert schema.current(engine) == revision
    assert _all_rows(archive_url) == rows
    after = set(definitions(archive_url))
    changed = [line for line in before if line not in after]
    assert [line.split("|")[:2] for line in changed] in (
        [["phono_recording", "title"]],
        [["table", "phono_recording"]],
    )
    program = Program(archive_url)
    with Archive(engine) as archive:
        place = int(program.value("SELECT max(place) FROM phono_commit"))
        added = archive.add(bytes(1600), 8000, source="desk")
        assert int(program.value("SELECT max(place) FROM phono_commit")) > place
        assert all(archive.verify(found.id).ok for found in archive.find())
        assert program.value("SELECT count(*) FROM phono_clips WHERE length(audio) > 100") == "3"
        with pytest.raises(exc.IntegrityError), engine.begin() as connection:
            connection.execute(sa.text("UPDATE phono_recording SET channels = 99"))
        with pytest.raises(exc.IntegrityError), engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM phono_recording"))
        archive.delete(added.id, "test")
    engine.dispose()


def test_foreign_keys_are_checked_again(migrated_sqlite_url: str, future: Callable[[], str]) -> None:
    """A connection that has upgraded checks foreign keys as before, and renames as SQLite does today."""
    engine = sa.create_engine(migrated_sqlite_url, poolclass=sa.StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    revision = future()
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar() == 0
        assert schema.current(connection) == revision
    engine.dispose()


def test_a_hosts_transaction_that_checks_foreign_keys_loses_nothing(
    migrated_sqlite_url: str, future: Callable[[], str]
) -> None:
    """Where SQLite would empty a table against what leads to it, the upgrade is refused as a whole."""
    _fill(migrated_sqlite_url)
    before, rows = definitions(migrated_sqlite_url), _all_rows(migrated_sqlite_url)
    engine = create_engine(migrated_sqlite_url)
    revision = future()

    with (
        pytest.raises(StoreError, match=r"is made anew.*nothing was changed: upgrade it .* db upgrade$"),
        engine.connect().execution_options(**{WRITES: True}) as connection,
        connection.begin(),
    ):
        schema.upgrade(connection)

    assert definitions(migrated_sqlite_url) == before
    assert _all_rows(migrated_sqlite_url) == rows
    engine.dispose()
    host = sa.create_engine(migrated_sqlite_url)
    with host.begin() as connection:  # checks none, as SQLite does unless asked
        schema.upgrade(connection)
        assert schema.current(connection) == revision
    host.dispose()
    assert _all_rows(migrated_sqlite_url) == rows


def test_rows_that_lead_to_none_stop_a_revision_that_makes_them(
    migrated_sqlite_url: str, future: Callable[[], str], tmp_path: Path
) -> None:
    """What led to nothing before stays and stops nothing; what a revision leaves behind takes it back."""
    _fill(migrated_sqlite_url)
    with Raw(migrated_sqlite_url) as raw:
        raw.run("INSERT INTO phono_audio VALUES (?, 0, x'00')", "f" * 32)
    rows = _all_rows(migrated_sqlite_url)
    script = tmp_path / "to-come" / f"{future()}.py"
    engine = create_engine(migrated_sqlite_url)
    text = script.read_text()

    script.write_text(text + "    op.execute('DELETE FROM phono_recording')\n")
    with pytest.raises(StoreError, match="a row would lead to one that is gone; nothing was changed"):
        schema.upgrade(engine)
    assert _all_rows(migrated_sqlite_url) == rows
    script.write_text(text)
    schema.upgrade(engine)

    assert _all_rows(migrated_sqlite_url) == rows
    engine.dispose()


def new_url(request: pytest.FixtureRequest, database: str) -> str:
    """Returns the address of a new archive."""
    if database == "sqlite":
        return f"sqlite:///{request.getfixturevalue('_sqlite_template')}"
    url: str = request.getfixturevalue("migrated_postgres_url")
    return url


def _fill(url: str) -> None:
    """Stores two recordings, with gaps outside and inside, and something that is said of one."""
    with Archive(url) as archive:
        first = archive.add(
            random_pcm(80_000, 1, "int16"), 8000, source="reef", title="kept", started_at=BEGAN
        )
        archive.add(random_pcm(800, 1, "int16"), 8000, source="desk")
        archive.add_gap("reef", BEGAN - timedelta(days=3), BEGAN, "paused")
        archive.annotate(first.id, 0, 100, "note", author="test")
        with archive.writing() as repository:
            repository.add_gap(
                "reef", BEGAN, BEGAN, "overflow", recording=first, first_frame=0, frame_count=0
            )


def _move(engine: Engine, direction: Callable[[Config, str], None], revision: str) -> None:
    """Upgrades or downgrades as far as a revision."""
    config = schema._config()
    with (
        engine.connect().execution_options(**{WRITES: True}) as connection,
        foreign_keys_unchecked(connection),
        connection.begin(),
    ):
        config.attributes["connection"] = connection
        direction(config, revision)


def _columns(engine: Engine, table: str) -> str:
    """Returns the columns that a table has now."""
    return ", ".join(column["name"] for column in sa.inspect(engine).get_columns(table))


def _made(url: str) -> list[str]:
    """Returns what the revisions have made: all but the table that says which they were."""
    return [line for line in definitions(url) if schema.VERSION_TABLE not in line]


def _all_rows(url: str) -> dict[str, list[str]]:
    """Returns the rows of every table, as the plain driver has them."""
    with Raw(url) as raw:
        tables = sorted(Base.metadata.tables)
        return {table: _rows(raw, table, "*") for table in tables}


def _rows(raw: Raw, table: str, columns: str) -> list[str]:
    return sorted(map(repr, raw.rows(f"SELECT {columns} FROM {table}")))
