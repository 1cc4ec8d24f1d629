from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import make_url

from phonobase import Archive
from phonobase.cli.app import cli
from phonobase.errors import DatabaseUnavailable, InvalidDetails
from phonobase.store import roles, schema
from phonobase.store.engine import create_engine
from phonobase.store.events import add_events, new_event
from phonobase.store.models import Base
from phonobase.store.push import push
from phonobase.store.sessions import begin_session, end_session, session_shown
from phonobase.store.tokens import Scope, create_token, token_shown
from phonobase.web import create_app
from tests.store.judge import Program, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "of-a-test"
READER, RECORDER, SERVER = 'its a "reader" $$', "Recorder; DROP TABLE phono_gap", "the 'server'"


@pytest.fixture
def owner(migrated_postgres_url: str) -> Program:
    """The archive as the owner of its tables, by psql."""
    return Program(migrated_postgres_url)


@pytest.fixture
def users(owner: Program) -> Iterator[dict[str, str]]:
    """The addresses of users: one that reads, one that records, one that serves, one that may do nothing."""
    mark = uuid.uuid4().hex[:8]
    names = {"reader": f"{READER} {mark}", "recorder": f"{RECORDER} {mark}", "server": f"{SERVER} {mark}"}
    made = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names.values()]
    logins = {name: f"{name}-{mark}" for name in (*names, "nobody")}
    # Twice: what is there already stays, and is no error.
    for _ in range(2):
        owner.run_script(roles.sql("public", **names))
    for role, login in zip([*made, ""], logins.values(), strict=True):
        member_of = f"IN ROLE {role}" if role else ""
        owner.run_script(f"CREATE ROLE \"{login}\" LOGIN PASSWORD '{PASSWORD}' {member_of}")
    yield {
        name: owner.url.set(username=login, password=PASSWORD).render_as_string(hide_password=False)
        for name, login in logins.items()
    }
    everybody = ", ".join([*(f'"{login}"' for login in logins.values()), *made])
    owner.run_script(f"DROP OWNED BY {everybody}; DROP ROLE {everybody}")


def test_the_names_cover_the_schema(owner: Program) -> None:
    """No view or function is forgotten, and what moves on is what the guard guards."""
    views = owner.lines("SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1")
    assert views == list(roles.VIEWS)
    functions = owner.lines(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prorettype <> 'trigger'::regtype ORDER BY 1"
    )
    assert functions == [name.partition("(")[0] for name in roles.FUNCTIONS]
    assert set(roles.MOVING) == set(
        owner.lines(
            "SELECT attname FROM pg_trigger JOIN pg_attribute ON attrelid = tgrelid AND attnum = ANY (tgattr)"
            " WHERE tgname = 'phono_moves_on'"
        )
    )
    assert set(roles.ADDED_TO) == set(Base.metadata.tables) - {"phono_commit", *roles.PRIVATE}
    assert set(roles.PRIVATE) < set(Base.metadata.tables)


def test_a_reader_reads_everything(users: dict[str, str], migrated_postgres_url: str) -> None:
    """Found, read, checked, followed by view and function: all as the owner sees it."""
    pcm = random_pcm(24_000, 1, "int16")
    with Archive(migrated_postgres_url) as archive:
        recording = archive.add(pcm, 8000, source="desk", started_at=BEGAN, tags={"queue": "billing"})
        archive.annotate(recording.id, 0, 100, "note", "hello", author="clerk")
        archive.add_gap("desk", BEGAN + timedelta(hours=1), BEGAN + timedelta(hours=2), "paused")
        with Archive(users["reader"]) as seen:
            assert seen.find() == archive.find()
            assert seen.read(recording.id).tobytes() == pcm
            assert seen.verify(recording.id).ok
            assert seen.gaps() == archive.gaps()
            (part,) = seen.follow(after="start", idle_seconds=0)
            assert part.recording == recording
            assert seen.annotations() == archive.annotations()
            assert seen.coverage("desk", BEGAN, BEGAN + timedelta(days=1)).heard_us == 3_000_000
    reader = Program(users["reader"])
    for view in roles.VIEWS:
        assert len(reader.lines(f"SELECT * FROM {view}")) == 1
    assert int(reader.value(f"SELECT length(phono_clip('{recording.id}'))")) > 24_000


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO phono_source VALUES ('x', NULL, now())",
        "UPDATE phono_recording SET title = 'x'",
        "UPDATE phono_recording SET header = header",
        "DELETE FROM phono_gap",
        "TRUNCATE phono_audio",
        "DROP VIEW phono_clips",
        "ALTER TABLE phono_chunk DISABLE TRIGGER ALL",
        "UPDATE phono_commit SET place = 0",
        "UPDATE phono_clips SET title = 'x'",
    ],
)
def test_a_reader_writes_nothing(users: dict[str, str], statement: str) -> None:
    """The server refuses whatever would change a row or a table."""
    with pytest.raises(AssertionError, match=r"permission denied|must be owner|cannot update view"):
        Program(users["reader"]).run_script(statement)


def test_a_reader_cannot_use_the_archive_to_write(users: dict[str, str]) -> None:
    """Through phonobase it is one line that says what to do."""
    with (
        Archive(users["reader"]) as archive,
        pytest.raises(DatabaseUnavailable, match=r"permission denied .* connect as another$"),
    ):
        archive.add(bytes(1600), 8000)


def test_who_has_no_role_sees_nothing(users: dict[str, str]) -> None:
    """Nothing is given to everybody."""
    with pytest.raises(AssertionError, match="permission denied for view phono_clips"):
        Program(users["nobody"]).lines("SELECT id FROM phono_clips")
    with pytest.raises(DatabaseUnavailable, match="permission denied"):
        Archive(users["nobody"])


def test_a_recorder_records(users: dict[str, str]) -> None:
    """Chunk by chunk, with losses, gaps and annotations, closed, or closed as found after a crash."""
    pcm = random_pcm(40_000, 1, "int16")
    with Archive(users["recorder"]) as archive:
        with archive.writer(8000, source="desk", started_at=BEGAN, chunk_seconds=1) as writer:
            writer.write(frames_of(pcm, 1, "int16"))
            writer.lose(8000, "overflow", "slow")
            writer.write(frames_of(pcm, 1, "int16"))
        archive.annotate(writer.id, 0, 100, "note", author="clerk")
        archive.add_gap("door", BEGAN, BEGAN + timedelta(hours=1), "paused")
        left = archive.writer(8000, source="desk", chunk_seconds=0.5)
        left.write(frames_of(pcm, 1, "int16"))
        wait_until(lambda: left.frames_committed > 10_000)
        left.abandon()
        closed = archive.close_as_stored(left.id)

        assert archive.verify(writer.id).ok
        assert archive.verify(closed.id).ok
        assert archive.read(writer.id, 48_000).tobytes() == pcm
        assert [gap.cause for gap in archive.gaps("desk")] == ["overflow"]
        assert closed.state == "interrupted"


def test_a_recorder_pushes_its_spool(users: dict[str, str], sqlite_url: str) -> None:
    """What was recorded elsewhere comes with its gaps, in parts, twice, and behind what a recovery closed."""
    with Archive(sqlite_url) as spool, Archive(users["recorder"]) as archive:
        writer = spool.writer(8000, source="reef", started_at=BEGAN, chunk_seconds=0.5)
        writer.write(frames_of(random_pcm(40_000, 1, "int16"), 1, "int16"))
        writer.lose(800, "overflow", "slow")
        wait_until(lambda: bool(spool.find()))
        assert push(spool, archive).failed == []
        archive.close_as_stored(writer.id)
        closed = writer.close()
        spool.add_gap("reef", BEGAN - timedelta(hours=1), BEGAN, "paused")
        spool.annotate(closed.id, 0, 100, "note", author="clerk")

        assert push(spool, archive, batch_bytes=1).failed == []
        assert push(spool, archive).already == 1

        assert archive.get(closed.id).state == "complete"
        assert archive.verify(closed.id).ok
        assert archive.gaps() == spool.gaps()
        assert archive.annotations(closed.id) == spool.annotations(closed.id)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (
            "UPDATE phono_recording SET header = 'x' WHERE state = 'complete'",
            "is complete or would get shorter",
        ),
        ("UPDATE phono_recording SET state = 'recording'", "is complete or would get shorter"),
        ("UPDATE phono_recording SET chunk_count = 1 WHERE state = 'recording'", "would get shorter"),
        ("UPDATE phono_recording SET title = 'x'", "permission denied"),
        ("UPDATE phono_recording SET started_at = now()", "permission denied"),
        ("UPDATE phono_recording SET source = 'door'", "permission denied"),
        ("UPDATE phono_audio SET data = 'x'", "permission denied"),
        ("UPDATE phono_chunk SET sha256 = sha256", "permission denied"),
        ("UPDATE phono_gap SET cause = 'paused'", "permission denied"),
        ("UPDATE phono_annotation SET author = 'x'", "permission denied"),
        ("UPDATE phono_source SET description = 'x'", "permission denied"),
        ("DELETE FROM phono_recording", "permission denied"),
        ("DELETE FROM phono_audio", "permission denied"),
        ("DELETE FROM phono_gap", "permission denied"),
        ("TRUNCATE phono_gap", "permission denied"),
        ("INSERT INTO phono_commit VALUES (gen_random_uuid(), 1)", "permission denied"),
        ("ALTER TABLE phono_recording DISABLE TRIGGER phono_moves_on", "must be owner"),
        (
            (
                "CREATE TEMP TABLE t (id uuid, source text); CREATE TRIGGER t AFTER DELETE ON t"
                " FOR EACH ROW EXECUTE FUNCTION phono_note_commit()"
            ),
            "permission denied for function phono_note_commit",
        ),
        (
            (
                "INSERT INTO phono_chunk SELECT recording_id, 9, 90000, c.frame_count, 900000, c.byte_count,"
                " captured_at, c.peak_dbfs, c.rms_dbfs, peaks, sha256, chain"
                " FROM phono_chunk AS c JOIN phono_recording ON id = recording_id"
                " WHERE state = 'complete' AND seq = 0"
            ),
            "is complete, and .* may not add to it",
        ),
        (
            (
                "INSERT INTO phono_gap SELECT gen_random_uuid(), source, run_id, id, 0, frame_count,"
                " started_at, ended_at, 'overflow', 'x' FROM phono_recording WHERE state = 'complete'"
            ),
            "is complete, and .* may not add to it",
        ),
    ],
)
def test_a_recorder_changes_and_deletes_nothing(
    users: dict[str, str], statement: str, reason: str, owner: Program
) -> None:
    """The server refuses to change what is complete, to shorten what is not, and to take anything away."""
    pcm = frames_of(random_pcm(40_000, 1, "int16"), 1, "int16")
    with Archive(users["recorder"]) as archive:
        archive.add(pcm.tobytes(), 8000, source="desk")
        left = archive.writer(8000, source="desk", chunk_seconds=0.5)
        left.write(pcm)
        wait_until(lambda: left.frames_committed > 10_000)
        left.abandon()
    before = _content(owner)

    with pytest.raises(AssertionError, match=reason):
        Program(users["recorder"]).run_script(statement)

    assert _content(owner) == before


def test_a_recorder_puts_no_audio_back(users: dict[str, str], owner: Program) -> None:
    """Of what a complete recording lacks nothing is made up."""
    with Archive(users["recorder"]) as archive:
        archive.add(bytes(1600), 8000)
    owner.run_script("DELETE FROM phono_audio")
    with pytest.raises(AssertionError, match=r"is complete, and .* may not add to it"):
        Program(users["recorder"]).run_script(
            "INSERT INTO phono_audio SELECT recording_id, seq, 'x' FROM phono_chunk"
        )


def test_a_recorder_does_not_answer_the_guards(users: dict[str, str], owner: Program) -> None:
    """No function of a recorder's own is asked in place of the server's."""
    with Archive(users["recorder"]) as archive:
        archive.add(bytes(1600), 8000)
    owner.run_script("CREATE SCHEMA lab; GRANT ALL ON SCHEMA lab TO PUBLIC")
    recorder = Program(users["recorder"])
    recorder.run_script(
        "CREATE FUNCTION lab.has_table_privilege(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
    )
    with pytest.raises(AssertionError, match="is complete or would get shorter"):
        recorder.run_script(
            "SET search_path = lab, pg_catalog, public; UPDATE phono_recording SET drift_ppm = 1"
        )
    owner.run_script("DROP SCHEMA lab CASCADE")


def test_the_owner_is_not_guarded(migrated_postgres_url: str, owner: Program) -> None:
    """Whoever may update the table may correct what is complete."""
    with Archive(migrated_postgres_url) as archive:
        archive.add(bytes(1600), 8000)
    owner.run_script("UPDATE phono_recording SET drift_ppm = 5")
    owner.run_script(
        "INSERT INTO phono_gap SELECT gen_random_uuid(), source, run_id, id, 0, 1, started_at, started_at,"
        " 'overflow' FROM phono_recording"
    )
    assert owner.value("SELECT drift_ppm FROM phono_recording") == "5"


@pytest.mark.parametrize("who", ["reader", "recorder"])
@pytest.mark.parametrize("table", ["phono_token", "phono_session", "phono_event"])
def test_who_may_ask_is_no_matter_of_recordings(users: dict[str, str], who: str, table: str) -> None:
    """Neither who reads nor who records sees a token, a session or what was asked for, or adds one."""
    for statement in (f"SELECT * FROM {table}", f"INSERT INTO {table} (id) VALUES (gen_random_uuid())"):
        with pytest.raises(AssertionError, match=f"permission denied for table {table}"):
            Program(users[who]).run_script(statement)


def test_a_server_serves(users: dict[str, str], migrated_postgres_url: str) -> None:
    """It lets in who shows a token, keeps sessions and the log, adds recordings and changes what is said."""
    with Archive(migrated_postgres_url) as archive:
        token, word = create_token(archive, "Anna", Scope.WRITE)
    with Archive(users["server"]) as served:
        assert token_shown(served, word) == token
        session, _ = begin_session(served, token, timedelta(hours=1))
        assert session_shown(served, session) == token
        end_session(served, session)
        assert session_shown(served, session) is None
        recording = served.add(bytes(1600), 8000, source="desk")
        assert served.edit(recording.id, title="Call", tags={"room": 3}).title == "Call"
        add_events(served, [new_event(BEGAN, "get_audio", 206, who="Anna")])
    owner = Program(migrated_postgres_url)
    assert owner.lines("SELECT who, action, status FROM phono_event") == ["Anna|get_audio|206"]
    assert owner.lines("SELECT title, state FROM phono_recording") == ["Call|complete"]


def test_a_server_bears_what_a_killed_one_left(
    users: dict[str, str], migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It may take no half upload back: it says once who does, and takes new ones."""
    with Archive(migrated_postgres_url) as archive:
        gone = {"whole_or_nothing": True, "host": "elsewhere"}
        left = archive.writer(8000, source="desk", chunk_seconds=0.5, capture=gone)
        left.write(frames_of(random_pcm(40_000, 1, "int16"), 1, "int16"))
        wait_until(lambda: left.frames_committed > 10_000)
        left.abandon()
    owner = Program(migrated_postgres_url)
    owner.run_script(
        "UPDATE phono_recording SET committed_at = now() - interval '1 hour',"
        ' capture = capture || \'{"host": "elsewhere"}\''
    )
    with Archive(users["server"]) as served, TestClient(create_app(served)) as client:
        for source in ("door", "hall"):
            answer = client.post(
                f"/api/recordings/pcm?source={source}&samplerate=8000",
                content=bytes(1600),
                headers={"Content-Type": "application/octet-stream"},
            )
            assert answer.status_code == 201, answer.text
    assert caplog.text.count("phonobase recover") == 1
    assert owner.lines("SELECT source, state FROM phono_recording ORDER BY source") == [
        "desk|recording",
        "door|complete",
        "hall|complete",
    ]
    with Archive(migrated_postgres_url) as archive:
        archive.recover()
    assert owner.value("SELECT count(*) FROM phono_recording") == "2"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM phono_event", "permission denied"),
        ("UPDATE phono_event SET who = NULL", "permission denied"),
        ("DELETE FROM phono_event", "permission denied"),
        ("TRUNCATE phono_event", "permission denied"),
        ("UPDATE phono_token SET scope = 'admin'", "permission denied"),
        ("UPDATE phono_token SET revoked_at = NULL", "permission denied"),
        ("INSERT INTO phono_token SELECT gen_random_uuid(), 'x' FROM phono_token", "permission denied"),
        ("DELETE FROM phono_token", "permission denied"),
        ("UPDATE phono_session SET expires_at = now()", "permission denied"),
        ("UPDATE phono_recording SET header = 'x' WHERE state = 'complete'", "is complete"),
        ("UPDATE phono_recording SET started_at = now()", "permission denied"),
        ("UPDATE phono_audio SET data = 'x'", "permission denied"),
        ("DELETE FROM phono_recording", "permission denied"),
        ("DELETE FROM phono_gap", "permission denied"),
    ],
)
def test_a_server_makes_no_tokens_and_forgets_no_event(
    users: dict[str, str], statement: str, reason: str, migrated_postgres_url: str, owner: Program
) -> None:
    """Whoever takes over what serves lets nobody in, hides nothing that was asked for, alters no sound."""
    with Archive(migrated_postgres_url) as archive:
        archive.add(bytes(1600), 8000)
        token, _ = create_token(archive, "Anna", Scope.READ)
        begin_session(archive, token, timedelta(hours=1))
        add_events(archive, [new_event(BEGAN, "get_audio", 206, who="Anna")])
    before = _content(owner)

    with pytest.raises(AssertionError, match=reason):
        Program(users["server"]).run_script(statement)

    assert _content(owner) == before


def test_roles_in_a_schema_of_its_own(postgres_url: str) -> None:
    """The rights are on the tables of the schema that is named."""
    name = f"reader-{uuid.uuid4().hex[:8]}"
    owner = Program(postgres_url)
    owner.run_script('CREATE SCHEMA "so und"')
    path = {"options": r'-csearch_path="so\ und"'}
    engine = create_engine(make_url(postgres_url).update_query_dict(path))
    schema.upgrade(engine)
    with Archive(engine) as archive:
        recording = archive.add(bytes(1600), 8000)
    engine.dispose()
    owner.run_script(roles.sql("so und", reader=name))
    clip = f"\"so und\".phono_clip('{recording.id}')"
    assert owner.lines(f'SET ROLE "{name}"; SELECT length({clip}) > 50, state FROM "so und".phono_clips') == [
        "t|complete"
    ]
    owner.run_script(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def test_an_owner_is_no_role(owner: Program) -> None:
    """From whom the tables belong to no rights are taken."""
    (name,) = owner.lines("SELECT current_user")
    with pytest.raises(AssertionError, match="owns the tables or is a superuser; name another"):
        owner.run_script(roles.sql("public", recorder=name))


def test_the_command_prints_and_does_nothing() -> None:
    """`phonobase db roles` needs no database; names that are none are refused."""
    printed = CliRunner().invoke(cli, ["db", "roles"])
    assert printed.output == roles.sql(
        "public", reader="phonobase_reader", recorder="phonobase_recorder", server="phonobase_server"
    )
    one = CliRunner().invoke(cli, ["db", "roles", "--reader", "r", "--schema", "s"])
    assert one.output == roles.sql("s", reader="r")
    for name in ("", "x" * 64, "a\nb", "a\0b", "\udcff"):
        with pytest.raises(InvalidDetails, match="cannot name a role or a schema; use 1 to 63 printable"):
            roles.sql("public", reader=name)


def _content(owner: Program) -> list[str]:
    """Returns every row of the tables that hold what was recorded."""
    return [
        line
        for table in sorted(Base.metadata.tables)
        for line in owner.lines(f"SELECT * FROM {table} ORDER BY 1, 2")
    ]
