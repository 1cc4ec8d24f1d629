"""The archive on the recorder's own disk."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING

import pytest
from alembic import command

from phonobase import Archive
from phonobase.errors import DatabaseUnavailable
from phonobase.recorder.spool import Spools, needs_spool, open_spool, spool_path
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.store.both_ends import add

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/rec:/var/lib/more", "XDG_STATE_HOME": "/x"}, "/var/lib/rec/phonobase"),
        ({"XDG_STATE_HOME": "/x"}, "/x/phonobase"),
        ({"HOME": "/home/u"}, "/home/u/.local/state/phonobase"),
    ],
)
def test_where_it_is(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool is in the service's folder of state, else in the user's."""
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path = spool_path("postgresql://u@host/db")
    assert str(path.parent) == folder
    assert path.suffix == ".db"


def test_its_name_follows_from_the_archive() -> None:
    """A password that changes leaves the spool the same; another archive has another one."""
    one = spool_path("postgresql://u:secret@host/db")
    assert one == spool_path("postgresql+psycopg://u:other@host/db")
    assert one != spool_path("postgresql://u@host/other")


def test_which_archives_need_one() -> None:
    """A file on this machine is its own spool; a server is not; what is no URL is said to be none."""
    assert not needs_spool("sqlite:///clips.db")
    assert needs_spool("postgresql://u@host/db")
    with pytest.raises(DatabaseUnavailable, match="is not a database URL"):
        needs_spool("clips.db")


def test_it_is_made_where_it_is_missing(tmp_path: Path) -> None:
    """A spool and its folders are made on first use, and found again."""
    path = tmp_path / "a" / "b" / "spool.db"
    with open_spool(path) as spool:
        recording = add(spool)
    with open_spool(path) as spool:
        assert spool.get(recording.id) == recording
    assert [child.name for child in path.parent.iterdir()] == ["spool.db"]


def test_an_older_one_is_brought_up_to_date(tmp_path: Path) -> None:
    """A spool with an older program's tables gets this one's by itself, and keeps what it holds."""
    path = tmp_path / "spool.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "phonobase_0001")
    engine.dispose()
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO phono_source VALUES ('desk', NULL, '2026-03-01 10:00:00.000000')")
    file.close()
    with open_spool(path) as spool:
        assert schema.current(spool.engine) == schema.head()
        assert spool.sources() == ["desk"]
    assert [child.name for child in tmp_path.iterdir()] == ["spool.db"]


@pytest.mark.parametrize("kind", ["newer", "damaged", "foreign"])
def test_one_that_cannot_be_used(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A spool of a newer program, a damaged file and somebody else's are left as they are, and said."""
    path = tmp_path / "spool.db"
    if kind == "damaged":
        path.write_bytes(b"no database" * 1000)
    elif kind == "foreign":
        with sqlite3.connect(path) as host:
            host.execute("CREATE TABLE orders (id INTEGER)")
        host.close()
    else:
        open_spool(path).close()
        _name_revision(path, "phonobase_9999")
    before = _tables(path) if kind == "foreign" else path.read_bytes()
    with caplog.at_level(logging.WARNING, "phonobase.spool"), open_spool(path) as spool:
        recording = add(spool)
    assert (_tables(path) if kind == "foreign" else path.read_bytes()) == before
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    with open_spool(path) as spool:  # and it is found again
        assert spool.get(recording.id) == recording
    with contextlib.closing(Spools(path)) as spools:
        assert [[one.id for one in spool.find()] for spool in spools.look()] == [[recording.id]]
        assert len(spools.unreadable) == 1
        assert str(path) in spools.unreadable[0]


def test_both_are_forwarded_after_an_upgrade(tmp_path: Path) -> None:
    """When the newer program is back, it reads what both have kept."""
    path = tmp_path / "spool.db"
    with open_spool(path) as spool:
        first = add(spool)
    _name_revision(path, "phonobase_9999")
    with open_spool(path) as spool:
        second = add(spool)
    _name_revision(path, schema.head())
    with contextlib.closing(Spools(path)) as spools:
        assert {one.id for spool in spools.look() for one in spool.find()} == {first.id, second.id}


def test_they_are_found_as_they_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is opened once: one that comes later, that could not be opened at first, or in another's place."""
    path, beside = tmp_path / "a[1].db", tmp_path / f"a[1]-{schema.head()}.db"
    path.write_bytes(b"no database" * 1000)
    with contextlib.closing(Spools(path)) as spools:
        for _ in range(2):
            assert spools.look() == []
        assert len(caplog.records) == 1
        open_spool(beside).close()
        (found,) = spools.look()
        assert found.path == beside
        assert not spools.let_go(found)
        path.unlink()
        assert (spools.look(), spools.unreadable) == ([], [])
        open_spool(path).close()
        (found,) = spools.look()
        assert found.path == path
        path.rename(tmp_path / "away.db")
        open_spool(path).close()
        (other,) = spools.look()
        assert other.path == path
        assert spools.let_go(found)
        assert spools.look() == []


def test_a_damaged_one_beside_it(tmp_path: Path) -> None:
    """Where the one beside it is damaged too, there is a next one."""
    for name in ("spool.db", f"spool-{schema.head()}.db"):
        (tmp_path / name).write_bytes(b"no database" * 1000)
    with open_spool(tmp_path / "spool.db") as spool:
        assert spool.engine.url.database == str(tmp_path / f"spool-{schema.head()}-2.db")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where there is no place for a spool, the line names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match=str(tmp_path / "file")):
        open_spool(tmp_path / "file" / "spool.db")


def _tables(path: Path) -> list[tuple[str]]:
    with sqlite3.connect(path) as file:
        found = file.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    file.close()
    return found


def _name_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as file:
        file.execute("UPDATE phono_alembic_version SET version_num = ?", [revision])
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


def test_a_spool_is_an_archive(tmp_path: Path) -> None:
    """What reads archives reads a spool."""
    path = tmp_path / "spool.db"
    with open_spool(path) as spool:
        recording = add(spool)
    with Archive(f"sqlite:///{path}", create=False) as archive:
        assert archive.verify(recording.id).ok
