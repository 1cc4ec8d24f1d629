from __future__ import annotations

import ctypes
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event, make_url
from sqlalchemy.engine import Engine

from phonobase import State
from tests.cli.program import Program, finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer

TONE = ("record", "--input", "tone", "--no-realtime")
_DROP_FROM_BOUNDING_SET, _MAY_IGNORE_MODES = 24, 1


def _heed_modes() -> None:
    """Takes from root the right to write where the mode of a file forbids it."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, _MAY_IGNORE_MODES, 0, 0, 0)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Lets no SQLite file grow beyond two megabytes, as on a disk that is full then."""

    @event.listens_for(Engine, "connect")
    def limit(connection: Any, _record: object) -> None:  # noqa: ANN401 - of whatever driver
        connection.execute("PRAGMA max_page_count = 128")

    yield
    event.remove(Engine, "connect", limit)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "'nonsense' is not a database URL"),
        ("clips.db", "write sqlite:///clips.db for a file"),
        ("mysql://host/clips", "phonobase does not speak to 'mysql'"),
        ("sqlite://", "would be lost with the process"),
        ("sqlite:///:memory:", "would be lost with the process"),
        ("postgresql://clerk:secret@127.0.0.1:1/clips", "check that the server runs"),
        ("postgresql://clerk:secret@127.0.0.1:1/clips?nonsense=1", "nonsense"),
    ],
)
def test_an_address_that_leads_nowhere(folder: Path, url: str, reason: str) -> None:
    """Every command refuses it in one line that does not tell the password."""
    phonobase = Program(url, folder)

    for call in (("list",), (*TONE, "--duration", "1"), ("db", "check"), ("db", "upgrade"), ("recover",)):
        assert "secret" not in phonobase(*call).refused(reason)

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("call", [("list",), ("show", "last"), ("verify",), ("recover",), ("export", "last")])
def test_an_archive_that_is_not_there(phonobase: Program, call: tuple[str, ...]) -> None:
    """A command that reads does not make an archive; it says that there is none."""
    phonobase(*call).refused("there is no archive at sqlite:///", "--db")

    assert phonobase.recordings() == []
    assert not Path(phonobase.url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("place", ["no/such/folder/clips.db", "/"])
def test_a_place_where_no_file_can_be(folder: Path, place: str) -> None:
    """A folder that is not there is not made."""
    Program(f"sqlite:///{place}", folder)(*TONE, "--duration", "1").refused("check that the folder exists")

    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_database(phonobase: Program) -> None:
    """Another file is neither read as an archive nor overwritten."""
    path = Path(phonobase.url.removeprefix("sqlite:///"))
    path.write_bytes(b"precious" * 10_000)

    for call in (("list",), (*TONE, "--duration", "1"), ("db", "upgrade")):
        phonobase(*call).refused("is not a database")

    assert path.read_bytes() == b"precious" * 10_000


def test_a_database_of_somebody_else(phonobase: Program) -> None:
    """Into an SQLite file with other tables phonobase does not put its own unless told to."""
    with closing(sqlite3.connect(phonobase.url.removeprefix("sqlite:///"))) as other:
        other.execute("CREATE TABLE customer (id INTEGER)")

    phonobase(*TONE, "--duration", "1").refused("has no phonobase tables", "db upgrade")

    phonobase("db", "upgrade").ok()
    phonobase(*TONE, "--duration", "1").ok()


def test_a_newer_schema(phonobase_on_both: Program) -> None:
    """A database that a newer program upgraded is left alone."""
    phonobase = phonobase_on_both
    phonobase(*TONE, "--duration", "0.1").ok()
    url = make_url(phonobase.url)
    statement = "UPDATE phono_alembic_version SET version_num = 'phonobase_9999'"
    if url.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(url.database), isolation_level=None)) as connection:
            connection.execute(statement)
    else:
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(dsn) as server:
            server.execute(statement)

    for call in (("list",), (*TONE, "--duration", "1"), ("db", "check"), ("db", "upgrade")):
        phonobase(*call).refused("tables of a newer phonobase (phonobase_9999)")


def test_a_folder_that_may_not_be_written_to(phonobase: Program) -> None:
    """Without the right to make a file there, the program says what is missing."""
    phonobase.folder.chmod(0o555)
    phonobase.env["PHONOBASE_DB"] = f"sqlite:///{phonobase.folder / 'clips.db'}"

    process = phonobase.start(*TONE, "--duration", "1", preexec_fn=_heed_modes)
    finished(process).refused("check that the folder exists and may be written to")

    phonobase.folder.chmod(0o755)
    assert list(phonobase.folder.iterdir()) == []


def test_a_file_that_may_not_be_written_to(recorded: Program) -> None:
    """An archive that may only be read is not recorded into."""
    Path(recorded.url.removeprefix("sqlite:///")).chmod(0o444)

    process = recorded.start(*TONE, "--duration", "1", preexec_fn=_heed_modes)

    finished(process).failed("make the file and its folder writable")
    assert len(recorded.recordings()) == 1


def test_an_export_to_where_nothing_may_be_written(recorded: Program) -> None:
    """The file that cannot be made is named; no part of it is left."""
    recorded.folder.chmod(0o555)

    process = recorded.start("export", "last", "-o", "clip.flac", preexec_fn=_heed_modes)
    finished(process).refused("clip.flac cannot be written")

    recorded.folder.chmod(0o755)
    assert list(recorded.folder.iterdir()) == []


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_ends_a_recording(phonobase: Program) -> None:
    """What was committed before the disk was full is there, playable and verified once recovered."""
    phonobase(*TONE, "--duration", "600", "--encoding", "pcm").failed("the disk is full", "safe")

    left = phonobase.one()
    assert left.chunk_count >= 1
    phonobase.env["PHONOBASE_DB"] = phonobase.url
    assert phonobase("recover").code in (0, 1)
    phonobase("export", "last", "-o", "left.wav").ok()
    phonobase("verify").ok()


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_refuses_an_import(phonobase: Program, folder: Path) -> None:
    """A file that does not fit leaves nothing behind."""
    (folder / "long.wav").write_bytes(_silence(seconds=600))

    phonobase("import", "long.wav", "--encoding", "pcm").refused("the disk is full")

    assert phonobase.recordings() == []


def test_no_tables_on_postgresql(postgres_url: str, folder: Path) -> None:
    """A server's database gets its tables only from whoever asks for them."""
    phonobase = Program(postgres_url, folder)

    for call in (("list",), (*TONE, "--duration", "1"), ("db", "check"), ("verify",)):
        phonobase(*call).refused("has no phonobase tables", "db upgrade")

    assert phonobase("db", "current").ok().text == "none"


def test_an_unknown_database(postgres: PostgresServer, folder: Path) -> None:
    """The server's own words are passed on."""
    phonobase = Program(postgres.url("nowhere"), folder)

    phonobase("list").refused('database "nowhere" does not exist')


def test_a_wrong_password(own_postgres: PostgresServer, folder: Path) -> None:
    """A wrong password is refused, and told to nobody."""
    with psycopg.connect(own_postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'right'")
        ((rules,),) = connection.execute("SHOW hba_file").fetchall()
        Path(rules).write_text("local all clerk scram-sha-256\nlocal all all trust\n")
        connection.execute("SELECT pg_reload_conf()")
    url = make_url(own_postgres.url("postgres")).set(username="clerk", password="wrong")
    phonobase = Program(url.render_as_string(hide_password=False), folder)

    line = phonobase("list").refused("password authentication failed", "user and password are right")

    assert "wrong" not in line


def test_a_user_without_rights(migrated_postgres_url: str, folder: Path) -> None:
    """Whoever may only read lists and exports, and is refused to record, in the server's words."""
    owner = Program(migrated_postgres_url, folder)
    owner(*TONE, "--duration", "0.1").ok()
    dsn = make_url(migrated_postgres_url)
    reader = f"reader_{dsn.database}"
    statements = (f"CREATE ROLE {reader} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
    plain = dsn.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
    try:
        phonobase = Program(dsn.set(username=reader).render_as_string(hide_password=False), folder)

        phonobase("list").ok()
        phonobase("export", "last", "-o", "clip.flac").ok()
        phonobase(*TONE, "--duration", "1").failed("permission denied")
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {reader}")
            connection.execute(f"DROP ROLE {reader}")


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_that_dies_while_recording(
    own_postgres: PostgresServer,
    folder: Path,
    comes_back: bool,  # noqa: FBT001 - of a parameter
) -> None:
    """Recording goes on; its sound is there when the server is, or safe here, and it says how to send it."""
    own_postgres.create_database("clips")
    url = own_postgres.url("clips")
    phonobase = Program(url, folder)
    phonobase("db", "upgrade").ok()
    process = phonobase.start("record", "--input", "tone", "--chunk", "0.2", "--spool", "spool.db")
    while not any(recording.chunk_count > 1 for recording in phonobase.recordings()):
        assert process.poll() is None

    own_postgres.kill()
    phonobase("list").refused("check that the server runs")
    time.sleep(1)
    if comes_back:
        own_postgres.start()
    process.terminate()
    ended = finished(process)

    if comes_back:
        ended.ok()
    else:
        ended.failed("kept in sqlite:///", "check that the server runs", "push URL")
        own_postgres.start()
        phonobase("--db", "sqlite:///spool.db", "push", url).ok()
    recording = phonobase.one()
    assert recording.state is State.COMPLETE
    assert recording.seconds > 1
    phonobase("verify").ok()


def _silence(seconds: int) -> bytes:
    size = seconds * 16_000
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = bytes.fromhex("01000100401f0000803e000002001000")
    return head + form + b"data" + size.to_bytes(4, "little") + bytes(size)
