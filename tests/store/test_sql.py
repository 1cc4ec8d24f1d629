from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from phonobase import Archive, RecordingRepository, State
from tests.store.bulk import EPOCH, add_gap, add_many, add_recording, add_sources
from tests.store.judge import Program, Raw, checks_md5, ffmpeg_pcm, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
MANY = 100_000


def test_last_weeks_loudest_clips(archive: Archive, program: Program) -> None:
    """One query on the clips answers who was loudest when, and digital silence is the quietest of all."""
    now = datetime.now(UTC)
    for title, days_ago, amplitude in (
        ("too long ago", 8, 32_000),
        ("silent", 2, 0),
        ("loud", 6, 20_000),
        ("quiet", 1, 20),
        ("loudest", 3, 30_000),
    ):
        pcm = amplitude.to_bytes(2, "little") * 800
        archive.add(pcm, 8000, source="desk", started_at=now - days_ago * DAY, title=title)
    week = "datetime('now', '-7 days')" if program.is_sqlite else "now() - interval '7 days'"
    found = program.lines(
        f"SELECT title FROM phono_clips WHERE started_at >= {week} ORDER BY peak_dbfs DESC LIMIT 4"
    )
    assert found == ["loudest", "loud", "quiet", "silent"]
    at_half = program.value("SELECT seconds FROM phono_clips WHERE title = 'loud' AND peak_dbfs < -4.2")
    assert float(at_half) == 0.1


@pytest.mark.parametrize("encoding", ["flac", "pcm"])
def test_a_clip_by_sql_alone(archive: Archive, program: Program, tmp_path: Path, encoding: str) -> None:
    """The audio of a clip, written to a file by the database's own program, is the exported file."""
    pcm = random_pcm(200_000, 2, "int16")
    recording = archive.add(pcm, 48_000, 2, encoding=encoding, title="wanted")
    archive.add(random_pcm(1000, 1, "int16", seed=2), 8000, title="another")
    assert recording.chunk_count > 1
    suffix = recording.encoding.suffix
    path = program.write_clip(tmp_path / f"clip{suffix}", "title = 'wanted'")
    assert ffmpeg_pcm(path, "int16") == pcm
    if encoding == "flac":
        assert checks_md5(path)
    exported = tmp_path / f"exported{suffix}"
    command = [sys.executable, "-m", "phonobase.cli", "export", recording.id.hex, "-o", str(exported)]
    code = "from phonobase.cli import main; main()"
    command = [sys.executable, "-c", code, *command[3:]]
    url = archive.engine.url.render_as_string(hide_password=False)
    subprocess.run([*command, "--db", url], check=True, capture_output=True)
    assert exported.read_bytes() == path.read_bytes()
    size = program.value("SELECT file_bytes FROM phono_clips WHERE title = 'wanted'")
    assert int(size) == path.stat().st_size
    length = program.value("SELECT length(audio) FROM phono_clips WHERE title = 'wanted'")
    assert int(length) == path.stat().st_size


def test_a_deleted_recording_is_a_gap(archive: Archive, program: Program) -> None:
    """The time of a deleted recording is listed as not heard, with the reason that was given."""
    began = datetime(2026, 3, 1, 23, 59, 59, 500_000, tzinfo=UTC)
    recording = archive.add(random_pcm(8000, 1, "int16"), 8000, source="desk", started_at=began)
    archive.delete(recording.id, "asked for by the caller")
    assert program.value("SELECT count(*) FROM phono_clips") == "0"
    assert program.value("SELECT count(*) FROM phono_audio") == "0"
    assert program.value("SELECT count(*) FROM phono_chunk") == "0"
    assert program.lines("SELECT source, cause, detail FROM phono_gaps") == [
        f"desk|deleted|recording {recording.id.hex}: asked for by the caller"
    ]
    assert float(program.value("SELECT seconds FROM phono_gaps")) == 1.0
    assert _coverage(program) == {
        ("desk", date(2026, 3, 1)): (0, 500_000, {"deleted": 500_000}),
        ("desk", date(2026, 3, 2)): (0, 500_000, {"deleted": 500_000}),
    }


@pytest.mark.parametrize("us", [0, 1, 499, 500, 999, 500_000, 999_499, 999_500, 999_999])
def test_a_gap_is_as_long_as_it_was(program: Program, raw: Raw, us: int) -> None:
    """The length of a gap is exact, wherever within a second it begins or ends."""
    add_sources(raw, "reef")
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    add_gap(raw, 1, "reef", moment, moment + us * MICROSECOND, "overflow")
    add_gap(raw, 2, "reef", moment + us * MICROSECOND, moment + timedelta(seconds=2), "paused")
    found = program.lines("SELECT cast(round(seconds * 1000000) AS int) FROM phono_gaps ORDER BY cause")
    assert found == [str(us), str(2_000_000 - us)]
    causes = {"overflow": us, "paused": 2_000_000 - us}
    assert _coverage(program) == {("reef", date(2026, 3, 1)): (0, 2_000_000, causes)}


def test_coverage_of_a_day_cut_at_midnight(program: Program, raw: Raw) -> None:
    """What was heard and lost is told by day in UTC, to the microsecond, cut at midnight."""
    add_sources(raw, "reef")
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    night = add_recording(raw, 1, "reef", noon, midnight + timedelta(hours=1))
    add_recording(raw, 2, "reef", midnight + timedelta(hours=2), midnight + timedelta(hours=2, seconds=1))
    add_recording(raw, 3, "reef", midnight - 2 * DAY, midnight - DAY)
    add_gap(raw, 1, "reef", midnight - MICROSECOND, midnight + MICROSECOND, "overflow", night)
    add_gap(raw, 2, "reef", noon, noon, "overflow", night)
    add_gap(raw, 3, "reef", midnight + timedelta(hours=1), midnight + timedelta(hours=2), "process-down")
    add_gap(raw, 4, "reef", midnight + 2 * DAY, midnight + 4 * DAY, "device-lost")
    hour = 3_600_000_000
    assert _coverage(program) == {
        ("reef", date(2026, 2, 28)): (24 * hour, 0, {}),
        ("reef", date(2026, 3, 1)): (12 * hour - 1, 1, {"overflow": 1}),
        ("reef", date(2026, 3, 2)): (
            hour - 1 + 1_000_000,
            hour + 1,
            {"overflow": 1, "process-down": hour},
        ),
        ("reef", date(2026, 3, 4)): (0, 24 * hour, {"device-lost": 24 * hour}),
        ("reef", date(2026, 3, 5)): (0, 24 * hour, {"device-lost": 24 * hour}),
    }


def test_coverage_adds_up_whatever_happened(program: Program, raw: Raw) -> None:
    """Over a thousand stretches of any length the days hold exactly what was put in, on both databases."""
    chance = random.Random(5)
    sources, causes = ["a", "b", "it's"], ["overflow", "deleted", 'the "cable"']
    add_sources(raw, *sources)
    start = datetime(1969, 12, 27, tzinfo=UTC)

    def within_a_second() -> timedelta:
        return MICROSECOND * chance.choice([0, 1, 999_499, 999_500, 999_999, chance.randrange(1_000_000)])

    heard: dict[tuple[str, date], int] = defaultdict(int)
    lost: dict[tuple[str, date], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    recordings: list[tuple[UUID, str, datetime, datetime]] = []
    for number in range(400):
        source = chance.choice(sources)
        began = start + timedelta(seconds=chance.randrange(20 * 86_400)) + within_a_second()
        ended = began + MICROSECOND * chance.choice([0, 1, chance.randrange(86_400_000_000)])
        recordings.append((add_recording(raw, number, source, began, ended), source, began, ended))
        for day, us in _by_day(began, ended):
            heard[source, day] += us
    for number in range(600):
        cause = chance.choice(causes)
        if number % 2:
            inside, source, first, last = chance.choice(recordings)
            span = (last - first) // MICROSECOND
            began = first + MICROSECOND * chance.randint(0, span)
            ended = began + MICROSECOND * chance.randint(0, (last - began) // MICROSECOND)
            add_gap(raw, number, source, began, ended, cause, inside)
            for day, us in _by_day(began, ended):
                heard[source, day] -= us
                lost[source, day][cause] += us
        else:
            source = chance.choice(sources)
            began = start + DAY * chance.randrange(20)  # on the stroke of midnight
            ended = began + MICROSECOND * chance.choice([0, 1, 86_400_000_000, chance.randrange(10**12)])
            add_gap(raw, number, source, began, ended, cause)
            for day, us in _by_day(began, ended):
                lost[source, day][cause] += us
    assert _coverage(program) == {
        place: (heard[place], sum(lost[place].values()), dict(lost[place])) for place in {*heard, *lost}
    }


def test_coverage_before_1970(program: Program, raw: Raw) -> None:
    """A tape of 1965 is on the day it was recorded."""
    add_sources(raw, "tape")
    began = datetime(1965, 7, 9, 23, 0, tzinfo=UTC)
    add_recording(raw, 1, "tape", began, began + timedelta(hours=2))
    hour = 3_600_000_000
    assert _coverage(program) == {
        ("tape", date(1965, 7, 9)): (hour, 0, {}),
        ("tape", date(1965, 7, 10)): (hour, 0, {}),
    }


def test_the_chain_by_sql_alone(postgres_archive: Archive, postgres_program: Program) -> None:
    """PostgreSQL itself computes the links of a chain from what the tables hold, and they are the stored."""
    for encoding in ("flac", "pcm"):
        with postgres_archive.writer(8000, source="réef", encoding=encoding, chunk_seconds=0.5) as writer:
            writer.write(memoryview(random_pcm(50_000, 1, "int16")).cast("h"))
    found = postgres_program.lines(_CHAIN)
    assert len(found) == 2 * 13
    assert set(found) == {"t|t"}


_CHAIN = r"""
WITH genesis AS (
    SELECT id, chain_head, sha256(convert_to(concat_ws(E'\n',
        'phonobase-chain-1',
        replace(id::text, '-', ''),
        (extract(epoch FROM started_at) * 1000000)::bigint,
        sample_rate, channels, sample_format, encoding, source), 'UTF8')) AS link
    FROM phono_recording
)
SELECT
    c.chain = sha256(
        coalesce(lag(c.chain) OVER w, g.link)
        || int8send(c.seq) || int8send(c.first_frame) || int8send(c.frame_count) || sha256(a.data)),
    c.sha256 = sha256(a.data) AND last_value(c.chain) OVER whole = g.chain_head
FROM phono_chunk AS c
JOIN phono_audio AS a USING (recording_id, seq)
JOIN genesis AS g ON g.id = c.recording_id
WINDOW w AS (PARTITION BY c.recording_id ORDER BY c.seq),
    whole AS (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
"""


@pytest.fixture
def postgres_archive(migrated_postgres_url: str) -> Iterator[Archive]:
    """An empty archive on PostgreSQL."""
    with Archive(migrated_postgres_url) as opened:
        yield opened


@pytest.fixture
def postgres_program(migrated_postgres_url: str) -> Program:
    """The same by psql."""
    return Program(migrated_postgres_url)


@pytest.fixture(scope="module")
def many(shared_url: str) -> str:
    """An archive of a hundred thousand recordings."""
    with Raw(shared_url) as raw:
        add_many(raw, MANY)
    return shared_url


@pytest.mark.parametrize(
    ("conditions", "index", "expected"),
    [
        ({}, "ix_phono_recording_started_at", range(MANY - 1, MANY - 101, -1)),
        ({"source": "rare"}, "ix_phono_recording_source_started_at", range(MANY - 997, 2, -1000)),
        (
            {
                "since": EPOCH + timedelta(seconds=1_700_000_000 + 50_000 * 60),
                "until": EPOCH + timedelta(seconds=1_700_000_000 + 50_010 * 60),
            },
            "ix_phono_recording_started_at",
            range(50_009, 49_999, -1),
        ),
        ({"external_id": "case-777"}, "ix_phono_recording_external_id", [777]),
    ],
    ids=["all", "source", "time", "external_id"],
)
def test_a_list_reads_an_index_and_no_audio(
    many: str, conditions: dict[str, Any], index: str, expected: list[int]
) -> None:
    """However a hundred thousand recordings are searched, an index answers and no audio is touched."""
    with Archive(many) as archive:
        sent: list[tuple[str, Any]] = []

        @event.listens_for(archive.engine, "before_cursor_execute")
        def remember(_1: Any, _2: Any, sql: str, values: Any, _3: Any, _4: Any) -> None:  # noqa: ANN401
            sent.append((sql, values))

        found = archive.find(**conditions)
        assert [recording.id.int for recording in found] == list(expected)
        ((sql, values),) = [each for each in sent if each[0].startswith("SELECT")]
        explain = "EXPLAIN QUERY PLAN " if archive.engine.dialect.name == "sqlite" else "EXPLAIN "
        with archive.engine.connect() as connection:
            rows = connection.exec_driver_sql(explain + sql, values).all()
    plan = "\n".join(str(column) for row in rows for column in row)
    assert index in plan
    assert "phono_audio" not in plan
    assert "SCAN phono_recording\n" not in plan + "\n"
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("view", ["phono_clips", "phono_gaps", "phono_coverage"])
def test_a_view_reads_no_audio_unless_asked(many: str, view: str) -> None:
    """All columns of a view but `audio` are computed without a look at the audio."""
    program = Program(many)
    with Raw(many) as raw:
        if raw.is_sqlite:
            columns = [str(name) for name, *_ in raw.rows(f"SELECT name FROM pragma_table_info('{view}')")]
        else:
            columns = [
                str(name)
                for (name,) in raw.rows(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = ?", view
                )
            ]
    assert ("audio" in columns) == (view == "phono_clips")
    others = ", ".join(column for column in columns if column != "audio")
    assert not program.reads_audio(f"SELECT {others} FROM {view}")
    if view == "phono_clips":
        assert program.reads_audio(f"SELECT {others}, audio FROM {view}")
        newest = f"SELECT {others} FROM {view} ORDER BY started_at DESC LIMIT 20"
        assert "ix_phono_recording_started_at" in program.plan(newest)
        assert not program.reads_audio(newest)


def test_postgresql_reads_no_page_of_audio_for_a_list(
    migrated_postgres_url: str, postgres_program: Program
) -> None:
    """By the server's own count, listing recordings reads no block of phono_audio or its TOAST table."""
    with Archive(migrated_postgres_url) as archive:
        recording = archive.add(random_pcm(200_000, 2, "int16"), 48_000, 2)
        reads = (
            "SELECT pg_stat_force_next_flush(), coalesce(heap_blks_read + heap_blks_hit + idx_blks_read"
            " + idx_blks_hit + toast_blks_read + toast_blks_hit, 0)"
            " FROM pg_statio_user_tables WHERE relname = 'phono_audio'"
        )
        archive.engine.dispose()
        before = postgres_program.value(reads)
        assert [found.id for found in archive.find()] == [recording.id]
        postgres_program.lines("SELECT id, seconds, peak_dbfs, tags FROM phono_clips")
        archive.engine.dispose()
        assert postgres_program.value(reads) == before
        archive.read(recording.id)
        archive.engine.dispose()
        assert postgres_program.value(reads) != before


def test_tables_hold_what_the_interface_says(archive: Archive, program: Program) -> None:
    """SQL sees times in UTC, ids that sort by time, and states by name."""
    moment = datetime(2026, 3, 1, 5, 30, 0, 123_456, tzinfo=UTC)
    with archive.writing() as repository:
        assert isinstance(repository, RecordingRepository)
        recording = repository.add(random_pcm(800, 1, "int16"), 8000, started_at=moment)
    assert recording.state is State.COMPLETE
    text = "started_at" if program.is_sqlite else "started_at AT TIME ZONE 'UTC'"
    assert program.value(f"SELECT {text} FROM phono_clips") == "2026-03-01 05:30:00.123456"
    assert program.value("SELECT state FROM phono_clips") == "complete"
    assert program.value("SELECT id FROM phono_clips").replace("-", "") == recording.id.hex


def _coverage(program: Program) -> dict[tuple[str, date], tuple[int, int, dict[str, int]]]:
    """Returns the view by the database's own program, in microseconds."""
    integer = "INTEGER" if program.is_sqlite else "BIGINT"
    found = {}
    for line in program.lines(
        f"SELECT source, day, CAST(round(heard_seconds * 1000000) AS {integer}),"
        f" CAST(round(lost_seconds * 1000000) AS {integer}), lost_by_cause FROM phono_coverage"
    ):
        source, day, heard, lost, causes = line.split("|", 4)
        by_cause = {cause: round(seconds * 1_000_000) for cause, seconds in json.loads(causes).items()}
        found[source, date.fromisoformat(day)] = (int(heard), int(lost), by_cause)
    return found


def _by_day(began: datetime, ended: datetime) -> list[tuple[date, int]]:
    """Returns how many microseconds of a stretch lie in each day that it touches."""
    pieces = []
    while True:
        midnight = datetime.combine(began.date() + DAY, datetime.min.time(), UTC)
        stop = min(midnight, ended)
        pieces.append((began.date(), (stop - began) // MICROSECOND))
        if stop == ended:
            return pieces
        began = stop
