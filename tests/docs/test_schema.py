from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import inspect, make_url

from phonobase import Archive
from phonobase.store.models import Base
from tests.docs.pages import Block, blocks, text
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/schema.md"
VIEWS_ON = {
    "phono_clips": ("phono_recording",),
    "phono_gaps": ("phono_gap",),
    "phono_coverage": (),
    "phono_annotations": ("phono_annotation", "phono_recording"),
}
OWN_TO_VIEWS = {
    "phono_clips": {"seconds", "file_bytes", "audio"},
    "phono_gaps": {"seconds"},
    "phono_annotations": {"started_at", "ended_at", "seconds"},
}
QUERIES = blocks(PAGE, "sql")


def _documented(name: str) -> dict[str, str]:
    """Returns the columns of a table or view with their meanings, as the page has them."""
    section = text(PAGE).partition(f"\n### `{name}`\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return {column: meaning.replace("\\|", "|") for column, meaning in rows}


def _fill(url: str) -> None:
    """Stores a clip of noise, a silent one, one that was deleted, and one that is still open."""
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, 3 * 8_000, dtype=np.int16).tobytes()
    started_at = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
    with Archive(url) as archive:
        archive.add(noise, 8_000, source="desk", started_at=started_at, tags={"room": "3"})
        gone = archive.add(noise, 8_000, source="desk", started_at=started_at + timedelta(minutes=1))
        archive.delete(gone.id, "asked for by the caller")
        archive.add(bytes(16_000), 8_000, source="door")
        archive.add(noise, 8_000, source="desk", tags={"room": "3"})


def _run(url: str, query: str, folder: Path) -> str:
    """Runs a query with the database's own program and returns what it prints."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        command = [require("sqlite3"), "-bail", str(parsed.database)]
    else:
        dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        command = [require("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn]
    done = subprocess.run(command, input=query, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), f"{query}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("name", sorted(Base.metadata.tables))
def test_every_column_of_a_table_is_described(name: str) -> None:
    """The page says of each column what its comment says, in the same order, and of no other."""
    comments = {column.name: column.comment for column in Base.metadata.tables[name].columns}

    assert list(_documented(name).items()) == list(comments.items())


@pytest.mark.parametrize("view", VIEWS_ON)
def test_every_column_of_a_view_is_described(archive_url: str, view: str) -> None:
    """The page names the columns that the view has; those of a table mean the same there and here."""
    with Archive(archive_url) as archive:
        columns = [column["name"] for column in inspect(archive.engine).get_columns(view)]
    comments = {
        column.name: column.comment
        for table in reversed(VIEWS_ON[view])
        for column in Base.metadata.tables[table].columns
    }

    documented = _documented(view)

    assert list(documented) == columns
    for column in columns:
        if comments and column not in OWN_TO_VIEWS[view]:
            assert documented[column] == comments[column]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"line {query.line}")
def test_every_query_runs(archive_url: str, query: Block, tmp_path: Path) -> None:
    """Pasted into the program of the database that it is for, it works."""
    database = make_url(archive_url).get_backend_name()
    assert query.marks in ("both", "sqlite", "postgresql")
    _fill(archive_url)
    if query.marks not in ("both", database):
        return

    printed = _run(archive_url, query.code, tmp_path)

    if "clip.flac" in query.code:
        subprocess.run([require("flac"), "-st", tmp_path / "clip.flac"], check=True)
    elif "chain" in query.code or "state = 'recording'" in query.code:
        assert printed == ""
    else:
        assert printed


@pytest.mark.parametrize("column", ["data", "sha256", "chain", "chain_head", "started_at"])
def test_the_query_that_checks_the_chain_finds_what_was_changed(
    migrated_postgres_url: str, column: str, tmp_path: Path
) -> None:
    """One changed byte, hash, link or fact, and it has something to say."""
    _fill(migrated_postgres_url)
    (query,) = (query for query in QUERIES if "phonobase-chain-1" in query.code)
    change = {
        "data": "UPDATE phono_audio SET data = set_byte(data, 9, 255 - get_byte(data, 9)) WHERE seq = 0",
        "sha256": "UPDATE phono_chunk SET sha256 = sha256('') WHERE seq = 0",
        "chain": "UPDATE phono_chunk SET chain = sha256('') WHERE seq = 0",
        "chain_head": "UPDATE phono_recording SET chain_head = sha256('')",
        "started_at": "UPDATE phono_recording SET started_at = started_at - interval '1 microsecond'",
    }[column]
    _run(migrated_postgres_url, change, tmp_path)

    assert _run(migrated_postgres_url, query.code, tmp_path)
