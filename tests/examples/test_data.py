from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from examples import duckdb_questions
from phonobase import Archive
from tests.store.judge import Program

if TYPE_CHECKING:
    from pathlib import Path

RATE = 8000
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def filled(archive_url: str) -> str:
    """The address of an archive of calls with queues, and of pauses."""
    with Archive(archive_url) as archive:
        for number, (queue, seconds, amplitude) in enumerate(
            [
                ("billing", 10, 100),
                ("sales", 4, 8192),
                ("billing", 20, 100),
                ("billing", 60, 0),
                (None, 1, 50),
            ]
        ):
            archive.add(
                amplitude.to_bytes(2, "little") * RATE * seconds,
                RATE,
                source="desk",
                started_at=NOON + number * HOUR,
                tags={"queue": queue} if queue else {},
            )
        for number, seconds in enumerate([30, 20, 25]):
            began = NOON + number * HOUR + HOUR / 2
            archive.add_gap("desk", began, began + timedelta(seconds=seconds), "paused")
    return archive_url


def test_duckdb_answers(filled: str) -> None:
    """The views are tables in DuckDB, with all their rows and types, and its questions have the answers."""
    with Archive(filled) as archive, duckdb_questions.open_in_duckdb(archive) as duck:
        answers = [duck.sql(sql).fetchall() for sql in duckdb_questions.QUESTIONS.values()]
        days = duck.sql("SELECT day, heard_seconds, typeof(day) FROM phono_coverage").fetchall()
        (kinds,) = duck.sql("SELECT typeof(started_at), typeof(seconds) FROM phono_clips LIMIT 1").fetchall()
        loudest = duck.sql("SELECT count(*) FROM phono_clips WHERE peak_dbfs = -'inf'::DOUBLE").fetchall()

    assert answers[0] == [("billing", 3, 20.0), ("sales", 1, 4.0), (None, 1, 1.0)]
    ((hour, peak),) = answers[1]
    assert (hour, round(peak, 2)) == (13, -12.04)
    whole = 4 * 3600 + 1
    unrecorded = whole - 95 - 75
    assert answers[2] == [
        ("desk", "unrecorded", round(100 * unrecorded / whole, 3)),
        ("desk", "paused", round(100 * 75 / whole, 3)),
    ]
    assert answers[3] == [("desk", "2026-03-01 14:30:00+00", 25.0)]
    assert days == [(date(2026, 3, 1), 95.0, "DATE")]
    assert kinds == ("TIMESTAMP WITH TIME ZONE", "DOUBLE")
    assert loudest == [(1,)]


def test_duckdb_has_what_sql_has(filled: str) -> None:
    """Row by row, the tables in DuckDB say what the database's own program says of the views."""
    program = Program(filled)
    with Archive(filled) as archive, duckdb_questions.open_in_duckdb(archive) as duck:
        for view in ("phono_clips", "phono_gaps"):
            sql = f"SELECT source, CAST(round(seconds * 1000) AS int) FROM {view} ORDER BY 2"
            assert ["|".join(map(str, row)) for row in duck.sql(sql).fetchall()] == program.lines(sql)
        tags = duck.sql("SELECT tags FROM phono_clips").fetchall()
    expected = sorted(program.lines("SELECT tags FROM phono_clips"))
    assert sorted(json.dumps(json.loads(text)) for (text,) in tags) == [
        json.dumps(json.loads(line)) for line in expected
    ]


def test_the_questions_are_printed(
    filled: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run as a program, it prints each question and its answer."""
    monkeypatch.setattr(sys, "argv", ["duckdb_questions.py", filled])
    duckdb_questions.main()
    printed = capsys.readouterr().out
    for question in duckdb_questions.QUESTIONS:
        assert question in printed
    assert "billing" in printed


def test_how_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without a database, it says that it needs one."""
    monkeypatch.setattr(sys, "argv", ["duckdb_questions.py"])
    with pytest.raises(SystemExit, match=r"usage: .* DATABASE_URL"):
        duckdb_questions.main()


def test_sounds_are_told_apart(archive_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips in a Parquet file teach what tones and noise sound like; clips never heard are told right."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    from examples import dataset_tones  # noqa: PLC0415 - it reads the variables when it is loaded

    chance = np.random.default_rng(1)
    time = np.arange(4 * RATE) / RATE
    with Archive(archive_url) as archive:
        for role in ("learn", "tell"):
            noise = chance.integers(-8000, 8000, len(time))
            low = 8000 * np.sin(2 * np.pi * 300 * time) + chance.normal(0, 200, len(time))
            high = 8000 * np.sin(2 * np.pi * 3100 * time) + chance.normal(0, 200, len(time))
            for name, samples in (("noise", noise), ("low", low), ("high", high)):
                pcm = samples.astype("<i2").tobytes()
                archive.add(pcm, RATE, source=name, tags={"role": role, "name": name})
        for role in ("learn", "tell"):
            (tmp_path / role).mkdir()
        known = dataset_tones.open_dataset(archive, tmp_path / "learn", tags={"role": "learn"})
        others = dataset_tones.open_dataset(archive, tmp_path / "tell", tags={"role": "tell"})
        assert (len(known), len(others)) == (24, 24)
        middles = dataset_tones.learn(known, lambda clip: json.loads(clip["tags"])["name"])
        assert [dataset_tones.tell(middles, clip) for clip in others] == [clip["source"] for clip in others]


def test_what_is_learnt_is_printed(
    archive_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run as a program, it says of how many clips the sound tells the source; digital silence is a sound."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    from examples import dataset_tones  # noqa: PLC0415 - it reads the variables when it is loaded

    tone = (8000 * np.sin(np.arange(2 * RATE) * 0.3)).astype("<i2")
    with Archive(archive_url) as archive:
        archive.add(tone.tobytes(), RATE, source="tone")
        archive.add(bytes(2 * RATE), RATE, source="silence")
    monkeypatch.setattr(sys, "argv", ["dataset_tones.py", archive_url])
    with np.errstate(all="raise"):
        dataset_tones.main()
    assert capsys.readouterr().out.splitlines() == [
        "6 clips of half a second, from 2 sources: silence, tone",
        "the sound alone tells the right source of 6 of them",
    ]
