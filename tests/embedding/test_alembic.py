"""A host with an Alembic of its own, in the database that phonobase's tables are in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from phonobase import Archive
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.store.judge import Program

INI = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\nprepend_sys_path = .\n"
ENV = """
    import os
    from alembic import context
    from models import Base
    from sqlalchemy import create_engine

    {import_include_name}

    engine = create_engine(os.environ["HOST_DB"])
    with engine.begin() as connection:
        {first}
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_name=include_name,
            render_as_batch=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""
OURS = "from phonobase.store.schema import include_name"
THEIRS = "include_name = lambda name, kind, _parents: not (kind == 'table' and name.startswith('phono_'))"
UPGRADE = "from phonobase.store import schema; schema.upgrade({})"
MODELS = """
    from uuid import UUID
    from sqlalchemy import ForeignKey, MetaData
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    from phonobase.store.models import RecordingRow

    class Base(DeclarativeBase):
        pass

    class Case(Base):
        __tablename__ = "support_case"
        id: Mapped[int] = mapped_column(primary_key=True)
        call: Mapped[UUID] = mapped_column(ForeignKey(RecordingRow.id, name="fk_case_call"))
"""
MODELS_WITHOUT = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Case(Base):
        __tablename__ = "support_case"
        id: Mapped[int] = mapped_column(primary_key=True)
"""
BLOCKER = """
    import sys

    class NotInstalled:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "phonobase":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, NotInstalled())
"""


class Host:
    """A program with models and revisions of its own, in a folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        program = Program(url)
        driver = "sqlite" if program.is_sqlite else "postgresql+psycopg"
        self._env = os.environ | {
            "HOST_DB": program.url.set(drivername=driver).render_as_string(hide_password=False),
            "PYTHONWARNINGS": "error",
        }
        (folder / "migrations" / "versions").mkdir(parents=True)
        (folder / "alembic.ini").write_text(INI)
        template = (Path(__file__).parents[2] / "migrations" / "script.py.mako").read_text()
        (folder / "migrations" / "script.py.mako").write_text(template)

    def write(self, models: str, include_name: str, first: str = "pass") -> None:
        """Writes its models and its env.py."""
        (self.folder / "models.py").write_text(dedent(models))
        env = dedent(ENV).format(import_include_name=include_name, first=first)
        (self.folder / "migrations" / "env.py").write_text(env)

    def uninstall_phonobase(self) -> None:
        """Makes its Python one in which there is no phonobase."""
        (self.folder / "sitecustomize.py").write_text(dedent(BLOCKER))
        self._env |= {"PYTHONPATH": str(self.folder)}

    def alembic(self, *arguments: str) -> str:
        """Runs the host's `alembic` and returns what it says."""
        command = [sys.executable, "-m", "alembic", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def newest_revision(self) -> str:
        """Returns the text of the revision that was written last."""
        scripts = (self.folder / "migrations" / "versions").glob("*.py")
        return max(scripts, key=lambda path: path.stat().st_mtime_ns).read_text()


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """An empty database."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Program:
    """The test's database through the database's own program."""
    name = "url" if "url" in request.fixturenames else "archive_url"
    return Program(request.getfixturevalue(name))


def test_each_leaves_the_other_alone(tmp_path: Path, archive_url: str, program: Program) -> None:
    """A host's autogenerate sees nothing of ours; its revisions and ours keep to their own tables."""
    host = Host(tmp_path, archive_url)
    host.write(MODELS, OURS)
    host.alembic("revision", "--autogenerate")
    written = host.newest_revision()
    assert "create_table('support_case'" in written
    assert "drop_table('phono" not in written
    assert "drop_index" not in written
    assert "create_table('phono" not in written
    ours = program.value("SELECT version_num FROM phono_alembic_version")
    host.alembic("upgrade", "head")
    assert "No new upgrade operations" in host.alembic("check")

    theirs = program.value("SELECT version_num FROM alembic_version")
    program.run_script("DELETE FROM support_case")
    engine = create_engine(archive_url)
    schema.upgrade(engine)
    engine.dispose()
    assert program.value("SELECT version_num FROM alembic_version") == theirs
    assert program.value("SELECT version_num FROM phono_alembic_version") == ours

    host.alembic("downgrade", "base")
    with Archive(archive_url) as archive:
        stored = archive.add(bytes(16_000), 8000)
        assert archive.verify(stored.id).ok


@pytest.mark.parametrize(
    ("url", "place"), [("sqlite_url", "revision"), ("postgres_url", "env")], indirect=["url"]
)
def test_a_host_may_upgrade_us_on_its_way(tmp_path: Path, url: str, program: Program, place: str) -> None:
    """One `alembic upgrade head` of the host makes our tables and then its own, in one transaction."""
    host = Host(tmp_path, url)
    host.write(MODELS, OURS, UPGRADE.format("connection") if place == "env" else "pass")
    host.alembic("revision", "--autogenerate")
    if place == "revision":
        (path,) = (tmp_path / "migrations" / "versions").glob("*.py")
        head, upgrade, body = path.read_text().partition("def upgrade() -> None:")
        path.write_text(f"{head}{upgrade}\n    {UPGRADE.format('op.get_bind()')}\n{body}")
    host.alembic("upgrade", "head")
    assert "No new upgrade operations" in host.alembic("check")
    assert program.value("SELECT count(*) FROM alembic_version") == "1"
    with Archive(url) as archive:
        stored = archive.add(bytes(16_000), 8000)
    call = stored.id.hex if program.is_sqlite else str(stored.id)
    program.run_script(f"INSERT INTO support_case (id, call) VALUES (1, '{call}')")


def test_a_host_may_go_on_without_us(tmp_path: Path, archive_url: str, program: Program) -> None:
    """Once phonobase is uninstalled, a host's Alembic runs: its old revisions too, and our tables stay."""
    host = Host(tmp_path, archive_url)
    host.write(MODELS, THEIRS)
    host.alembic("revision", "--autogenerate")
    host.alembic("upgrade", "head")

    host.uninstall_phonobase()
    host.write(MODELS_WITHOUT, THEIRS)
    host.alembic("revision", "--autogenerate")
    written = host.newest_revision()
    assert "drop_column('call')" in written
    assert "phono_" not in written.partition("def downgrade")[0]
    host.alembic("upgrade", "head")
    assert "No new upgrade operations" in host.alembic("check")
    host.alembic("downgrade", "base")
    assert program.value("SELECT count(*) FROM phono_alembic_version") == "1"
