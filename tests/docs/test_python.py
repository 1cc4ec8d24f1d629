from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect

from tests.docs.pages import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pulse import SoundServer

ALEMBIC_INI = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEMPLATE = """\
import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = None


def upgrade():
    ${upgrades}
"""


def _run_page(page: str, folder: Path) -> None:
    """Writes what a page shows as files, and runs the rest of its Python as one program."""
    program = ""
    for block in blocks(page, "python"):
        if block.marks:
            path = folder / block.marks
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.code)
        else:
            program += f"# {page}, line {block.line}\n{block.code}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_runs(tmp_path: Path, own_sound: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the README does what it says, with a real input."""
    for name, value in own_sound.env.items():
        monkeypatch.setenv(name, value)

    _run_page("README.md", tmp_path)


def test_embedding_runs(tmp_path: Path) -> None:
    """The Python of the page on embedding does what it says."""
    _run_page("docs/embed.md", tmp_path)


def test_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the page on data does what it says, with the real pandas, datasets and DuckDB."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

    _run_page("docs/data.md", tmp_path)


def test_pipelines_run(tmp_path: Path) -> None:
    """The Python of the page on pipelines does what it says."""
    _run_page("docs/pipelines.md", tmp_path)


def test_a_hosts_alembic_leaves_the_tables_alone(tmp_path: Path) -> None:
    """With the env.py of the page, autogenerate sees the host's own tables and none of phonobase's."""
    _run_page("docs/embed.md", tmp_path)
    (tmp_path / "alembic.ini").write_text(ALEMBIC_INI)
    (tmp_path / "migrations" / "script.py.mako").write_text(TEMPLATE)
    (tmp_path / "migrations" / "versions").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path / 'helpdesk.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE support_case")

    for arguments in (("revision", "--autogenerate"), ("upgrade", "head")):
        subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            check=True,
            capture_output=True,
        )

    (revision,) = (tmp_path / "migrations" / "versions").glob("*.py")
    written = revision.read_text()
    assert "create_table('support_case'" in written
    assert "drop_" not in written
    assert "create_table('phono_" not in written
    assert {"support_case", "phono_audio"} <= set(inspect(engine).get_table_names())
    engine.dispose()


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_all_python_compiles(page: str) -> None:
    """No page shows Python that is none."""
    for block in blocks(page, "python"):
        compile(block.code, f"{page}:{block.line}", "exec")
