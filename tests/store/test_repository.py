from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.orm import Session

from phonobase import Archive, Recording, RecordingRepository, State
from phonobase.errors import InvalidAudio, InvalidDetails, RecordingNotFound, StoreError, UnsupportedFormat
from phonobase.store.ids import uuid7
from phonobase.store.models import Base, RecordingRow
from tests.store.judge import Program, Raw, frames_of, pcm_of, random_pcm, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

    from phonobase.store.recording import Details

PCM = random_pcm(8000, 1, "int16")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def host(archive_url: str) -> Iterator[Engine]:
    """An engine as a host makes its own, with nothing of phonobase's settings, and a table of the host's."""
    engine = sa.create_engine(archive_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, clip TEXT)")
    yield engine
    engine.dispose()


def _count(program: Program) -> list[int]:
    tables = ("phono_source", "phono_recording", "phono_chunk", "phono_audio", "phono_gap", "orders")
    return [int(program.value(f"SELECT count(*) FROM {table}")) for table in tables]


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_the_hosts_transaction_decides(host: Engine, program: Program, outcome: str) -> None:
    """What is stored in a host's transaction is kept or forgotten with the host's own rows."""
    ended: list[str] = []
    with Session(host) as session:
        for name in ("commit", "rollback"):
            event.listen(host, name, lambda _connection, name=name: ended.append(name))
        repository = RecordingRepository(session)
        recording = repository.add(PCM, 8000, source="desk")
        session.execute(sa.text("INSERT INTO orders VALUES (1, 'x')"))
        dropped = repository.add(PCM, 8000, source="desk")
        repository.delete(dropped.id, "not wanted")
        assert repository.get("last").id == recording.id
        assert pcm_of(repository.read(recording.id), "int16") == PCM
        assert repository.verify(recording.id).ok
        with repository.open(recording.id) as file:
            assert len(file.read()) == recording.file_bytes
        assert session.in_transaction()
        assert ended == []
        getattr(session, outcome)()
        assert ended == [outcome]
    assert _count(program) == ([1, 1, 1, 1, 1, 1] if outcome == "commit" else [0] * 6)


def test_a_savepoint_of_the_host(host: Engine, program: Program) -> None:
    """A clip stored in a savepoint goes with it, and the host's transaction goes on."""
    with Session(host) as session, session.begin():
        repository = RecordingRepository(session)
        kept = repository.add(PCM, 8000)
        savepoint = session.begin_nested()
        repository.add(PCM, 8000)
        savepoint.rollback()
        session.execute(sa.text("INSERT INTO orders VALUES (1, 'x')"))
        assert [found.id for found in repository.find()] == [kept.id]
    assert _count(program) == [1, 1, 1, 1, 0, 1]


def test_a_failed_add_leaves_the_transaction_usable(host: Engine, program: Program) -> None:
    """What is refused is refused before anything is sent to the database."""
    with Session(host) as session, session.begin():
        repository = RecordingRepository(session)
        for arguments in ((b"", 8000), (PCM[:-1], 8000), (PCM, 8000, 33), (PCM, 0), (PCM, 8000, 1, "int8")):
            with pytest.raises((InvalidAudio, UnsupportedFormat)):
                repository.add(*arguments)
        session.execute(sa.text("INSERT INTO orders VALUES (1, 'x')"))
    assert _count(program) == [0, 0, 0, 0, 0, 1]


def test_a_hosts_foreign_key_protects_a_recording(archive: Archive) -> None:
    """A recording that a host's row points at is not deleted, and nothing of it is."""
    host = sa.MetaData()
    calls = sa.Table(
        "calls", host, sa.Column("clip", sa.Uuid, sa.ForeignKey(RecordingRow.id, ondelete="RESTRICT"))
    )
    recording = archive.add(PCM, 8000)
    with archive.engine.begin() as connection:
        host.create_all(connection)
        connection.execute(calls.insert(), {"clip": recording.id})
    with pytest.raises(exc.IntegrityError):
        archive.delete(recording.id, "wanted by nobody")
    assert archive.verify(recording.id).ok
    assert Base.metadata.tables.keys().isdisjoint(host.tables)


@pytest.fixture
def found(archive: Archive) -> dict[str, Recording]:
    """Recordings a second apart, one of them still open, one interrupted."""
    made = {}
    for number, (name, source) in enumerate([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")]):
        started_at = NOON + number * SECOND
        made[name] = archive.add(
            PCM, 8000, source=source, started_at=started_at, title=name, external_id=f"case-{name}"
        )
    writer = archive.writer(8000, source="x", started_at=NOON + 4 * SECOND, title="e")
    writer.write(frames_of(PCM, 1, "int16"))
    made["e"] = writer.close(State.INTERRUPTED)
    return made


@pytest.mark.parametrize(
    ("conditions", "titles"),
    [
        ({}, "edcba"),
        ({"limit": 2}, "ed"),
        ({"limit": None}, "edcba"),
        ({"source": "x"}, "eca"),
        ({"source": "nobody"}, ""),
        ({"state": State.INTERRUPTED}, "e"),
        ({"state": State.COMPLETE, "source": "y"}, "db"),
        ({"state": State.RECORDING}, ""),
        ({"since": NOON + SECOND}, "edcb"),
        ({"until": NOON + SECOND}, "a"),
        ({"since": NOON + SECOND, "until": NOON + 3 * SECOND}, "cb"),
        ({"since": NOON.astimezone(timezone(timedelta(hours=-7))) + 3 * SECOND}, "ed"),
        ({"external_id": "case-c"}, "c"),
        ({"external_id": "case-c", "source": "y"}, ""),
    ],
    ids=str,
)
@pytest.mark.usefixtures("found")
def test_find(archive: Archive, conditions: dict[str, Any], titles: str) -> None:
    """Recordings are found by what is known of them, the newest first; `since` is in, `until` is not."""
    assert [recording.title for recording in archive.find(**conditions)] == list(titles)


def test_recordings_of_the_same_moment_have_an_order(archive: Archive) -> None:
    """Recordings that began at the same microsecond come in the order of their ids, always the same."""
    ids = [archive.add(PCM, 8000, started_at=NOON).id for _ in range(8)]
    assert [recording.id for recording in archive.find()] == sorted(ids, reverse=True)
    assert archive.get("last").id == max(ids)


def test_an_id_may_be_given_in_many_ways(archive: Archive, found: dict[str, Recording]) -> None:
    """A UUID, its digits with and without dashes, in capitals, its end, or `last` name a recording."""
    recording = found["c"]
    for name in (
        recording.id,
        recording.id.hex,
        str(recording.id),
        recording.id.hex.upper(),
        recording.id.hex[-8:],
        recording.id.hex[-8:].upper(),
        str(recording.id)[-14:],
    ):
        assert archive.get(name) == recording, name
    assert archive.get("last") == found["e"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("last", "is in this archive yet"),
        ("abcd", "ends in 'abcd'"),
        ("0" * 32, "has the id 0000"),
        (UUID(int=7), "has the id 0{31}7$|has the id 0{31}7;"),
        ("abc", "'abc' is no id"),
        ("", "'' is no id"),
        ("%%%%", "'%%%%' is no id"),
        ("____", "'____' is no id"),
        ("x'; DROP TABLE phono_audio; --", "is no id"),
        ("0" * 33, "ends in '0"),
    ],
)
def test_an_unknown_id_is_refused(archive: Archive, name: UUID | str, message: str) -> None:
    """What names no recording is said to, as a LookupError."""
    with pytest.raises(RecordingNotFound, match=message) as caught:
        archive.get(name)
    assert isinstance(caught.value, LookupError)


def test_an_ambiguous_end_is_refused(archive: Archive, raw: Raw) -> None:
    """An end that two recordings share names neither; more digits do."""
    one, two = (archive.add(PCM, 8000, started_at=NOON + n * SECOND) for n in range(2))
    ids = [f"{number:x}".rjust(16, "1") + "abcdef0123456789" for number in (1, 2)]
    for recording, new in zip((one, two), ids, strict=True):
        for table, column in (
            ("phono_audio", "recording_id"),
            ("phono_chunk", "recording_id"),
            ("phono_recording", "id"),
        ):
            raw.run(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", new, recording.id.hex)
    with pytest.raises(RecordingNotFound, match=r"more than one recording ends in '6789'.*write more digits"):
        archive.get("6789")
    assert archive.get("2abcdef0123456789").started_at == NOON + SECOND


def test_deleting_leaves_a_gap(archive: Archive, found: dict[str, Recording], raw: Raw) -> None:
    """A deleted recording is gone, its bytes too, and its time is a gap that says why."""
    recording = found["b"]
    archive.delete(recording.id.hex[-12:], "asked for")
    with pytest.raises(RecordingNotFound):
        archive.get(recording.id)
    assert raw.value("SELECT count(*) FROM phono_audio WHERE recording_id = ?", recording.id.hex) == 0
    assert raw.rows("SELECT source, recording_id, cause, detail FROM phono_gap") == [
        ("y", None, "deleted", f"recording {recording.id.hex}: asked for")
    ]
    assert raw.value("SELECT seconds FROM phono_gaps") == 1.0
    assert all(archive.verify(other.id).ok for other in archive.find())


def test_an_open_recording_is_not_deleted(archive: Archive) -> None:
    """What is being recorded stays, and the message says how to close it."""
    with archive.writer(8000, chunk_seconds=0.1) as writer:
        writer.write(frames_of(PCM, 1, "int16"))
        wait_until(lambda: bool(archive.find()))
        with pytest.raises(StoreError, match=r"still open.*phonobase recover"):
            archive.delete(writer.id, "wanted by nobody")
    assert archive.verify(writer.id).ok


def test_a_naive_time_is_refused_everywhere(archive: Archive) -> None:
    """A time without a zone could mean anything, so nothing takes it."""
    naive = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - what is refused
    with pytest.raises(InvalidDetails, match="no time zone"):
        archive.add(PCM, 8000, started_at=naive)
    with pytest.raises(InvalidDetails, match="no time zone"):
        archive.writer(8000, started_at=naive)
    with pytest.raises(InvalidDetails, match="no time zone"):
        archive.find(since=naive)
    with archive.reading() as repository, pytest.raises(ValueError, match="no time zone"):
        repository.add_gap("x", naive, naive, "overflow")
    assert archive.find() == []


def test_a_time_in_any_zone_is_the_same_moment(archive: Archive) -> None:
    """A start in another zone comes back as the same moment, in UTC, to the microsecond."""
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    moment = datetime(2026, 1, 1, 3, 4, 5, 678_901, kathmandu)
    recording = archive.add(PCM, 8000, started_at=moment)
    assert recording.started_at == moment
    assert recording.started_at.tzinfo is UTC
    assert recording.ended_at == moment + SECOND
    assert archive.get(recording.id) == recording


def test_a_recording_of_1965_is_stored(archive: Archive) -> None:
    """Sound that is older than the clock of its id keeps its own time."""
    moment = datetime(1965, 7, 9, 20, 0, 0, 1, UTC)
    recording = archive.add(PCM, 8000, started_at=moment)
    assert archive.get("last").started_at == moment
    assert archive.verify(recording.id).ok


def test_what_people_say_comes_back(archive: Archive) -> None:
    """Title, notes, tags, external id and capture are kept as they were given, in any script."""
    tags = {"a": 1, "b": [1.5, None, True], "ü": {"c": "d"}}
    recording = archive.add(
        PCM,
        8000,
        title="Größe ✓ 🎧",
        notes="line\nline",
        tags=tags,
        external_id="4711",
        capture={"input": "tape"},
        source="Büro 🎙",
    )
    kept = archive.get(recording.id)
    assert (kept.title, kept.notes, kept.external_id) == ("Größe ✓ 🎧", "line\nline", "4711")
    assert (kept.tags, kept.capture) == (tags, {"input": "tape"})
    assert kept.source == "Büro 🎙"
    with archive.reading() as repository:
        assert repository.sources() == ["Büro 🎙"]


@pytest.mark.parametrize("source", ["", "a\nb", "x" * 201, "\0", "a\x7f", "a\udc80"])
def test_a_source_without_a_proper_name_is_refused(archive: Archive, source: str) -> None:
    """A source's name has 1 to 200 characters and no control characters."""
    with pytest.raises(InvalidDetails, match="cannot name a source"):
        archive.add(PCM, 8000, source=source)
    assert archive.add(PCM, 8000, source="ü" * 200).source == "ü" * 200


def test_the_outline_follows_the_chunks(archive: Archive) -> None:
    """The stored outline has a minimum and a maximum byte for each 512 frames and channel of a chunk."""
    with archive.writer(8192, 2, chunk_seconds=1.0) as writer:
        writer.write(frames_of(random_pcm(20_000, 2, "int16"), 2, "int16"))
    with archive.reading() as repository:
        outline = list(repository.envelope(writer.id))
    assert [first for first, _ in outline] == [0, 8192, 16_384]
    assert [len(peaks) for _, peaks in outline] == [16 * 4, 16 * 4, 8 * 4]


def test_ids_are_of_version_seven() -> None:
    """An id is laid out as RFC 9562 has it: milliseconds, version, fraction, variant, and chance."""
    time_us = 1_772_366_400_123_456
    made = uuid7(time_us)
    milliseconds, rest = divmod(time_us, 1000)
    assert made.int >> 80 == milliseconds
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert (made.int >> 64) & 0xFFF == rest * 4096 // 1000
    assert len({uuid7(time_us) for _ in range(1000)}) == 1000


def test_ids_sort_by_time() -> None:
    """Ids of later microseconds are larger, as numbers and as text."""
    times = [0, 1, 999, 1000, 1001, 1_772_366_400_123_455, 1_772_366_400_123_456, 2**47 * 1000]
    made = [uuid7(time_us) for time_us in times]
    assert made == sorted(made)
    assert [str(each) for each in made] == sorted(str(each) for each in made)


@pytest.mark.parametrize(
    "details",
    [
        {"title": "a\0b"},
        {"notes": "\udc80"},
        {"external_id": "\0"},
        {"tags": {"level": float("nan")}},
        {"tags": {"a": {1, 2}}},
        {"tags": {"a": "\0"}},
        {"capture": {"\udc80": 1}},
    ],
)
def test_what_a_database_would_refuse_or_alter_is_refused(archive: Archive, details: Details) -> None:
    """Text that is no text and tags that are no JSON are refused alike on both databases, and in words."""
    with pytest.raises(InvalidDetails, match=r"character|JSON"):
        archive.add(PCM, 8000, **details)
    assert archive.find() == []
