from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from phonobase import Archive, RecordingRepository, State
from tests.store.bulk import EPOCH, add_many, stored
from tests.store.judge import Program, Raw, checks_md5, ffmpeg_pcm, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def test_an_annotation_is_told_with_its_time(archive: Archive, program: Program, raw: Raw) -> None:
    """What was said of a stretch of frames is there with its source and its UTC, to the microsecond."""
    began = datetime(2026, 3, 1, 23, 59, 59, 900_000, tzinfo=UTC)
    recording = archive.add(random_pcm(96_000, 1, "int16"), 44_100, source="desk", started_at=began)
    for number, (first_frame, frame_count, kind) in enumerate([(1, 88_200, "speech"), (44_101, 0, "note")]):
        raw.run(
            "INSERT INTO phono_annotation"
            " (id, recording_id, first_frame, frame_count, kind, text, score, author, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(f"{number:032x}", recording.id.hex, first_frame, frame_count, kind, "said", 0.5, "listener"),
            stored(raw, began),
        )
    times = ("{}" if program.is_sqlite else "{} AT TIME ZONE 'UTC'").format
    found = program.lines(
        f"SELECT source, {times('started_at')}, {times('ended_at')}, kind, text, score, author, frame_count"
        " FROM phono_annotations ORDER BY started_at"
    )
    assert found == [
        "desk|2026-03-01 23:59:59.900022|2026-03-02 00:00:01.900022|speech|said|0.5|listener|88200",
        "desk|2026-03-02 00:00:00.900022|2026-03-02 00:00:00.900022|note|said|0.5|listener|0",
    ]
    seconds = program.lines("SELECT CAST(seconds AS INTEGER) FROM phono_annotations ORDER BY id")
    assert seconds == ["2", "0"]


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


@pytest.mark.parametrize("view", ["phono_clips", "phono_gaps", "phono_coverage", "phono_annotations"])
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
