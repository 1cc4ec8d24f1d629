"""The views complete: all that is known of a clip, annotations, and coverage that counts no moment twice.

What the views hold is said by docs/schema.md. Columns are only ever added, at the end, so that whatever was
built on a view still stands, and on PostgreSQL keeps its grants.
"""

from __future__ import annotations

from importlib import import_module

from alembic import op

revision = "phonobase_0004"
down_revision = "phonobase_0003"
branch_labels = None
depends_on = None

_CLIPS = """
AS SELECT
    r.id,
    r.source,
    r.title,
    r.started_at,
    r.ended_at,
    CAST(r.frame_count AS {double}) / r.sample_rate AS seconds,
    r.state,
    r.peak_dbfs,
    r.rms_dbfs,
    r.clipped_frames,
    r.sample_rate,
    r.channels,
    r.sample_format,
    r.encoding,
    r.media_type,
    length(r.header) + r.byte_count AS file_bytes,
    r.tags,
    r.notes,
    r.external_id,
    r.run_id,
    r.run_index,
    {audio} AS audio,
    r.frame_count,
    r.byte_count,
    r.chunk_count,
    r.pcm_sha256,
    r.chain_head,
    r.committed_at,
    r.drift_ppm,
    r.capture
FROM phono_recording AS r
"""

_AUDIO_POSTGRESQL = """r.header || (
        SELECT string_agg(a.data, ''::bytea ORDER BY a.seq)
        FROM phono_audio AS a
        WHERE a.recording_id = r.id
    )"""

# group_concat takes the bytes as they are, and the cast gives them back as they were.
_AUDIO_SQLITE = """CAST(r.header || (
        SELECT group_concat(o.data, '')
        FROM (
            SELECT a.data
            FROM phono_audio AS a
            WHERE a.recording_id = r.id
            ORDER BY a.seq
        ) AS o
    ) AS BLOB)"""

_ANNOTATIONS = """
AS SELECT
    n.id,
    r.source,
    {started_at} AS started_at,
    {ended_at} AS ended_at,
    CAST(n.frame_count AS {double}) / r.sample_rate AS seconds,
    n.kind,
    n.text,
    n.score,
    n.author,
    n.created_at,
    n.recording_id,
    n.first_frame,
    n.frame_count
FROM phono_annotation AS n
JOIN phono_recording AS r ON r.id = n.recording_id
"""

# Microseconds since the year 1, so that none is negative and division always rounds down. strftime gets
# whole seconds only: it rounds to milliseconds, and so 23:59:59.9999 into the next day.
_YEAR_1_S = 62_135_596_800
_US_SQLITE = (
    f"((CAST(strftime('%s', substr({{0}}, 1, 19)) AS INTEGER) + {_YEAR_1_S}) * 1000000"
    " + CAST(substr({0}, 21, 6) AS INTEGER))"
)
_TEXT_SQLITE = f"datetime({{0}} / 1000000 - {_YEAR_1_S}, 'unixepoch') || printf('.%06d', {{0}} % 1000000)"

# How a part of a day is accounted for, from the rows that reach into it: `heard` (recordings) and `missed`
# (gaps), their ends cut to the part. A recording sounds but where a gap inside it lies. A moment that is not
# heard is given to the gap that covers it and began first: as gaps are numbered in the order of their
# beginnings, each has what is behind the furthest end of those before it, so one at most is under way. Sums
# over all that is not later than a moment are the same for all rows of that moment, in whatever order the
# database takes them.
_ACCOUNT = """
edge AS (
    SELECT id AS recording_id, a AS at, 1 AS opens, 0 AS mutes FROM heard
    UNION ALL
    SELECT id, b, -1, 0 FROM heard
    UNION ALL
    SELECT recording_id, a, 0, 1 FROM missed WHERE recording_id IS NOT NULL
    UNION ALL
    SELECT recording_id, b, 0, -1 FROM missed WHERE recording_id IS NOT NULL
),
sounding AS (
    SELECT recording_id, at,
        CASE WHEN sum(opens) OVER past > 0 AND sum(mutes) OVER past = 0 THEN 1 ELSE 0 END AS sounds
    FROM edge
    WINDOW past AS (PARTITION BY recording_id ORDER BY at)
),
step AS (
    SELECT at, 0 AS place, NULL AS cause,
        sounds - coalesce(lag(sounds) OVER (PARTITION BY recording_id ORDER BY at), 0) AS sounds
    FROM sounding
    UNION ALL
    SELECT {greatest}(a, coalesce(reached, a)), place, cause, 0 FROM missed WHERE coalesce(reached, a) < b
    UNION ALL
    SELECT b, -place, NULL, 0 FROM missed WHERE coalesce(reached, a) < b
    UNION ALL
    SELECT {since}, 0, NULL, 0
    UNION ALL
    SELECT {until}, 0, NULL, 0
),
stretch AS (
    SELECT sum(sounds) OVER past AS sounds, sum(place) OVER past AS place, cause,
        lead(at) OVER (ORDER BY at) - at AS length
    FROM step
    WINDOW past AS (ORDER BY at)
),
named AS (
    SELECT length,
        CASE WHEN sounds = 0 THEN coalesce(max(cause) OVER (PARTITION BY place), 'unrecorded') END AS cause
    FROM stretch
),
lot AS (
    SELECT cause, {us} AS us
    FROM named
    WHERE {is_long}
    GROUP BY cause
)
"""

_ACCOUNT_POSTGRESQL = _ACCOUNT.format(
    greatest="greatest",
    since="p.since",
    until="p.until",
    us="(extract(epoch FROM sum(length)) * 1000000)::bigint::double precision",
    is_long="length > interval '0'",
)
_ACCOUNT_SQLITE = _ACCOUNT.format(
    greatest="max",
    since=f"(SELECT {_US_SQLITE.format('since')} FROM part)",
    until=f"(SELECT {_US_SQLITE.format('until')} FROM part)",
    us="sum(length)",
    is_long="length > 0",
)

# Short gaps are found by their beginning, the day before included; those that began earlier by an index that
# holds only gaps longer than a day. So a day costs the same however long the archive. To compare source and
# time together, and not the one for being equal, leaves one index in question: PostgreSQL cannot know here
# which source is meant, and of one with little in it would read all others' recordings. OFFSET 0 has the ends
# of a day computed once.
_COVERAGE_POSTGRESQL = f"""
AS SELECT
    s.name AS source,
    d.day::date AS day,
    c.heard_us / 1000000 AS heard_seconds,
    c.lost_us / 1000000 AS lost_seconds,
    c.lost_by_cause
FROM phono_source AS s
CROSS JOIN LATERAL (
    SELECT
        least(
            (
                SELECT r.started_at FROM phono_recording AS r
                WHERE r.source BETWEEN s.name AND s.name
                ORDER BY r.source, r.started_at LIMIT 1
            ),
            (SELECT min(g.started_at) FROM phono_gap AS g WHERE g.source = s.name)
        ) AS since,
        greatest(
            (
                SELECT max(r.ended_at)
                FROM phono_recording AS r, (
                    SELECT n.started_at - interval '24 hours' AS since FROM phono_recording AS n
                    WHERE n.source BETWEEN s.name AND s.name
                    ORDER BY n.source DESC, n.started_at DESC LIMIT 1
                ) AS newest
                WHERE (r.source, r.started_at) >= (s.name, newest.since) AND r.source <= s.name
            ),
            (SELECT max(g.ended_at) FROM phono_gap AS g WHERE g.source = s.name)
        ) AS until
    OFFSET 0
) AS w
CROSS JOIN LATERAL generate_series(
    date_trunc('day', w.since AT TIME ZONE 'UTC'), w.until AT TIME ZONE 'UTC', interval '1 day'
) AS d (day)
CROSS JOIN LATERAL (
    SELECT
        greatest(d.day AT TIME ZONE 'UTC', w.since) AS since,
        least((d.day + interval '1 day') AT TIME ZONE 'UTC', w.until) AS until
    OFFSET 0
) AS p
CROSS JOIN LATERAL (
    WITH heard AS (
        SELECT r.id, greatest(r.started_at, p.since) AS a, least(r.ended_at, p.until) AS b
        FROM phono_recording AS r
        WHERE (r.source, r.started_at) >= (s.name, p.since - interval '24 hours')
            AND (r.source, r.started_at) < (s.name, p.until)
            AND r.ended_at > p.since AND r.ended_at > r.started_at
    ),
    reaching AS (
        SELECT g.id, g.recording_id, g.cause, g.started_at, g.ended_at
        FROM phono_gap AS g
        WHERE g.source = s.name AND g.started_at >= p.since - interval '24 hours'
            AND g.started_at < p.until AND g.ended_at > p.since AND g.ended_at > g.started_at
        UNION ALL
        SELECT g.id, g.recording_id, g.cause, g.started_at, g.ended_at
        FROM phono_gap AS g
        WHERE g.source = s.name AND g.started_at < p.since - interval '24 hours'
            AND g.ended_at > p.since AND g.ended_at - g.started_at > interval '24 hours'
    ),
    missed AS (
        SELECT g.recording_id, g.cause, row_number() OVER begun AS place,
            greatest(g.started_at, p.since) AS a, least(g.ended_at, p.until) AS b,
            max(least(g.ended_at, p.until))
                OVER (begun ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
        FROM reaching AS g
        WINDOW begun AS (ORDER BY g.started_at, g.id)
    ),
    {_ACCOUNT_POSTGRESQL}
    SELECT
        coalesce(sum(us) FILTER (WHERE cause IS NULL), 0) AS heard_us,
        coalesce(sum(us) FILTER (WHERE cause IS NOT NULL), 0) AS lost_us,
        coalesce(jsonb_object_agg(cause, us / 1000000) FILTER (WHERE cause IS NOT NULL), '{{}}')
            AS lost_by_cause
    FROM lot
) AS c
WHERE p.since < p.until
"""

# What a subquery for each row of another table is on PostgreSQL, json_each of a value is here: so that
# nothing is computed of other sources, and of other days, than are asked for.
_COVERAGE_SQLITE = f"""
AS SELECT
    s.name AS source,
    d.value AS day,
    json_extract(c.value, '$.heard') / 1000000.0 AS heard_seconds,
    json_extract(c.value, '$.lost') / 1000000.0 AS lost_seconds,
    json_extract(c.value, '$.causes') AS lost_by_cause
FROM phono_source AS s
CROSS JOIN json_each(json_array((
    SELECT min(t) FROM (
        SELECT min(r.started_at) AS t FROM phono_recording AS r WHERE r.source = s.name
        UNION ALL
        SELECT min(g.started_at) FROM phono_gap AS g WHERE g.source = s.name
    )
))) AS b
CROSS JOIN json_each(json_array((
    SELECT max(t) FROM (
        SELECT max(r.ended_at) AS t FROM phono_recording AS r
        WHERE r.source = s.name AND r.started_at >= (
            SELECT datetime(substr(max(n.started_at), 1, 19), '-1 day')
            FROM phono_recording AS n
            WHERE n.source = s.name
        )
        UNION ALL
        SELECT max(g.ended_at) FROM phono_gap AS g WHERE g.source = s.name
    )
))) AS e
CROSS JOIN json_each((
    WITH RECURSIVE days (day) AS (
        SELECT substr(b.value, 1, 10)
        UNION ALL
        SELECT date(day, '+1 day') FROM days WHERE date(day, '+1 day') || ' 00:00:00.000000' < e.value
    )
    SELECT json_group_array(day) FROM days WHERE b.value < e.value
)) AS d
CROSS JOIN json_each(json_array((
    WITH part AS (
        SELECT
            max(d.value || ' 00:00:00.000000', b.value) AS since,
            min(date(d.value, '+1 day') || ' 00:00:00.000000', e.value) AS until,
            date(d.value, '-1 day') AS eve
    ),
    heard AS (
        SELECT r.id, {_US_SQLITE.format("max(r.started_at, p.since)")} AS a,
            {_US_SQLITE.format("min(r.ended_at, p.until)")} AS b
        FROM part AS p
        CROSS JOIN phono_recording AS r
        WHERE r.source = s.name AND r.started_at >= p.eve
            AND r.started_at < p.until AND r.ended_at > p.since AND r.ended_at > r.started_at
    ),
    reaching AS (
        SELECT g.id, g.recording_id, g.cause, g.started_at, g.ended_at, p.since, p.until
        FROM part AS p
        CROSS JOIN phono_gap AS g
        WHERE g.source = s.name AND g.started_at >= p.eve
            AND g.started_at < p.until AND g.ended_at > p.since AND g.ended_at > g.started_at
        UNION ALL
        SELECT g.id, g.recording_id, g.cause, g.started_at, g.ended_at, p.since, p.until
        FROM part AS p
        CROSS JOIN phono_gap AS g
        WHERE g.source = s.name AND g.started_at < p.eve
            AND g.ended_at > p.since AND julianday(g.ended_at) - julianday(g.started_at) > 0.999
    ),
    missed AS (
        SELECT g.recording_id, g.cause, row_number() OVER begun AS place,
            {_US_SQLITE.format("max(g.started_at, g.since)")} AS a,
            {_US_SQLITE.format("min(g.ended_at, g.until)")} AS b,
            {_US_SQLITE.format("min(max(g.ended_at) OVER earlier, g.until)")} AS reached
        FROM reaching AS g
        WINDOW begun AS (ORDER BY g.started_at, g.id),
            earlier AS (begun ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    {_ACCOUNT_SQLITE}
    SELECT json_object(
        'heard', coalesce(sum(us) FILTER (WHERE cause IS NULL), 0),
        'lost', coalesce(sum(us) FILTER (WHERE cause IS NOT NULL), 0),
        'causes', json(
            coalesce(json_group_object(cause, us / 1000000.0) FILTER (WHERE cause IS NOT NULL), '{{}}')
        )
    )
    FROM lot
))) AS c
"""

_LONG_POSTGRESQL = "ended_at - started_at > interval '24 hours'"
_LONG_SQLITE = "julianday(ended_at) - julianday(started_at) > 0.999"


def _views(dialect: str) -> dict[str, str]:
    if dialect == "postgresql":
        started_at = "r.started_at + n.first_frame * 1000000 / r.sample_rate * interval '1 microsecond'"
        ended_at = started_at.replace("n.first_frame", "(n.first_frame + n.frame_count)")
        double, audio, coverage = "double precision", _AUDIO_POSTGRESQL, _COVERAGE_POSTGRESQL
    else:
        began = f"({_US_SQLITE.format('r.started_at')} + n.first_frame * 1000000 / r.sample_rate)"
        started_at = _TEXT_SQLITE.format(began)
        ended_at = started_at.replace("n.first_frame", "(n.first_frame + n.frame_count)")
        double, audio, coverage = "REAL", _AUDIO_SQLITE, _COVERAGE_SQLITE
    return {
        "phono_clips": _CLIPS.format(double=double, audio=audio),
        "phono_annotations": _ANNOTATIONS.format(double=double, started_at=started_at, ended_at=ended_at),
        "phono_coverage": coverage,
    }


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    is_long = _LONG_POSTGRESQL if dialect == "postgresql" else _LONG_SQLITE
    op.execute(f"CREATE INDEX ix_phono_gap_long ON phono_gap (source, started_at) WHERE {is_long}")
    op.create_index("ix_phono_recording_run_id_run_index", "phono_recording", ["run_id", "run_index"])
    if dialect == "postgresql":
        op.create_index(
            "ix_phono_recording_tags",
            "phono_recording",
            ["tags"],
            postgresql_using="gin",
            postgresql_ops={"tags": "jsonb_path_ops"},
        )
    verb = "CREATE OR REPLACE VIEW"
    if dialect == "sqlite":
        verb = "CREATE VIEW"
        for view in ("phono_coverage", "phono_clips"):
            op.execute(f"DROP VIEW {view}")
    for view, query in _views(dialect).items():
        op.execute(f"{verb} {view} {query}")


def downgrade() -> None:
    for view in ("phono_coverage", "phono_annotations", "phono_clips"):
        op.execute(f"DROP VIEW {view}")
    first = import_module("phonobase.migrations.versions.phonobase_0001")
    clips, _, coverage = first._views(op.get_context().dialect.name)  # noqa: SLF001 - as they were
    for view in (clips, coverage):
        op.execute(view)
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_phono_recording_tags", table_name="phono_recording")
    op.drop_index("ix_phono_recording_run_id_run_index", table_name="phono_recording")
    op.drop_index("ix_phono_gap_long", table_name="phono_gap")
