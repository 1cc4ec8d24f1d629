"""DuckDB over an archive: its views as tables, for questions that go through all of them.

It works alike on SQLite and on PostgreSQL, with nothing but the database's own driver: DuckDB gets Arrow.
It needs ``pip install 'phonobase[arrow]' duckdb``; run it with ``python examples/duckdb_questions.py sqlite:///clips.db``.
"""

import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from phonobase import Archive
from phonobase.store.columns import UtcDateTime

ROWS = 10_000
MOMENT = (UtcDateTime(), pa.timestamp("us", tz="UTC"))
TEXT = (sa.Text(), pa.string())
NUMBER: tuple[Any, pa.DataType] = (sa.Double(), pa.float64())
COUNT = (sa.BigInteger(), pa.int64())

# What is asked for of each view: how the database's values are read, and what DuckDB gets.
VIEWS: dict[str, dict[str, tuple[Any, pa.DataType]]] = {
    "phono_clips": {
        "source": TEXT,
        "started_at": MOMENT,
        "ended_at": MOMENT,
        "seconds": NUMBER,
        "peak_dbfs": NUMBER,
        "clipped_frames": COUNT,
        "tags": TEXT,
    },
    "phono_gaps": {"source": TEXT, "started_at": MOMENT, "seconds": NUMBER, "cause": TEXT},
    "phono_coverage": {
        "source": TEXT,
        "day": (sa.Date(), pa.date32()),
        "heard_seconds": NUMBER,
        "lost_seconds": NUMBER,
        "lost_by_cause": TEXT,
    },
}

QUESTIONS = {
    "How long are calls, by queue?": """
        SELECT tags->>'$.queue' AS queue, count(*) AS calls, quantile_cont(seconds, 0.5) AS median_seconds
        FROM phono_clips GROUP BY queue ORDER BY queue
    """,
    "At which hour of the day is it loudest?": """
        SELECT hour(started_at AT TIME ZONE 'UTC') AS hour_utc, max(peak_dbfs) AS peak_dbfs
        FROM phono_clips GROUP BY hour_utc ORDER BY peak_dbfs DESC, hour_utc LIMIT 1
    """,
    "What was lost, and why, in percent of each source's time?": """
        WITH lost AS (
            SELECT source, json_each.key AS cause, sum(json_each.value::DOUBLE) AS seconds
            FROM phono_coverage, json_each(lost_by_cause) GROUP BY source, cause
        ), whole AS (
            SELECT source, sum(heard_seconds + lost_seconds) AS seconds FROM phono_coverage GROUP BY source
        )
        SELECT source, cause, round(100 * lost.seconds / whole.seconds, 3) AS percent
        FROM lost JOIN whole USING (source) ORDER BY percent DESC, source, cause
    """,
    "Which pauses lasted longer than the one before?": """
        SELECT source, started_at::VARCHAR AS started, seconds FROM phono_gaps WHERE cause = 'paused'
        QUALIFY seconds > lag(seconds) OVER (PARTITION BY source ORDER BY started_at) ORDER BY started_at
    """,
}


def open_in_duckdb(archive: Archive) -> duckdb.DuckDBPyConnection:
    """Return DuckDB with the archive's views as tables of its own, as they are now."""
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    for view, columns in VIEWS.items():
        schema = pa.schema({name: arrow_type for name, (_, arrow_type) in columns.items()})
        rows = pa.RecordBatchReader.from_batches(schema, _batches(archive, view, schema))
        duck.from_arrow(rows).create(view)
    return duck


def _batches(archive: Archive, view: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    select = sa.select(
        # JSON is text on SQLite; on PostgreSQL it is made so.
        *(
            sa.cast(sa.column(name), sa.Text).label(name)
            if name in ("tags", "lost_by_cause")
            else sa.column(name, type_)
            for name, (type_, _) in VIEWS[view].items()
        )
    ).select_from(sa.table(view))
    with archive.one_moment() as session:
        rows = session.execute(select, execution_options={"yield_per": ROWS})
        for part in rows.mappings().partitions():
            yield pa.RecordBatch.from_pylist([dict(row) for row in part], schema=schema)


def main() -> None:
    """Answer the questions for the archive that the command line names."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the address
        sys.exit("usage: python examples/duckdb_questions.py DATABASE_URL")
    with Archive(sys.argv[1], create=False) as archive, open_in_duckdb(archive) as duck:
        for question, sql in QUESTIONS.items():
            print(question)
            print(duck.sql(sql))


if __name__ == "__main__":
    main()
