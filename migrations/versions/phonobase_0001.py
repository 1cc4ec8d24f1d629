"""The first schema: sources, recordings, chunks, audio, gaps, and the views for people.

What every column holds is said by its comment; what the views hold, by docs/schema.md.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "phonobase_0001"
down_revision = None
branch_labels = ("phonobase",)
depends_on = None

_UTC = sa.DateTime(timezone=True)
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

_CLIPS = """
CREATE VIEW phono_clips AS
SELECT
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
    {audio} AS audio
FROM phono_recording AS r
"""

_GAPS = """
CREATE VIEW phono_gaps AS
SELECT
    g.id,
    g.source,
    g.started_at,
    g.ended_at,
    {seconds} AS seconds,
    g.cause,
    g.detail,
    g.recording_id,
    g.first_frame,
    g.frame_count,
    g.run_id
FROM phono_gap AS g
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

# Each stretch is cut at midnight UTC; then per source, day and cause, in microseconds, so that it adds up.
# A gap inside a recording is silence there: it is taken off what was heard.
_COVERAGE_TAIL = """
by_cause AS (
    SELECT
        source,
        day,
        cause,
        sum(CASE WHEN cause IS NULL THEN us WHEN inside = 1 THEN -us ELSE 0 END) AS heard_us,
        sum(CASE WHEN cause IS NULL THEN 0 ELSE us END) AS lost_us
    FROM part
    GROUP BY source, day, cause
)
SELECT
    source,
    day,
    CAST(sum(heard_us) AS {double}) / 1000000 AS heard_seconds,
    CAST(sum(lost_us) AS {double}) / 1000000 AS lost_seconds,
    coalesce(
        {object}(cause, CAST(lost_us AS {double}) / 1000000) FILTER (WHERE cause IS NOT NULL), '{{}}'
    ) AS lost_by_cause
FROM by_cause
GROUP BY source, day
"""

_COVERAGE_POSTGRESQL = """
CREATE VIEW phono_coverage AS
WITH stretch AS (
    SELECT source, NULL::text AS cause, 0 AS inside,
        started_at AT TIME ZONE 'UTC' AS a, ended_at AT TIME ZONE 'UTC' AS b
    FROM phono_recording
    UNION ALL
    SELECT source, cause, CASE WHEN recording_id IS NULL THEN 0 ELSE 1 END,
        started_at AT TIME ZONE 'UTC', ended_at AT TIME ZONE 'UTC'
    FROM phono_gap
),
part AS (
    SELECT s.source, s.cause, s.inside, d::date AS day,
        (extract(epoch FROM least(s.b, d + interval '1 day') - greatest(s.a, d)) * 1000000)::bigint AS us
    FROM stretch AS s
    CROSS JOIN LATERAL generate_series(date_trunc('day', s.a), s.b, interval '1 day') AS d
    WHERE d < s.b OR s.a = s.b
),
""" + _COVERAGE_TAIL.format(object="jsonb_object_agg", double="double precision")

# Microseconds since the year 1, so that none is negative and division always rounds down. strftime gets
# whole seconds only: it rounds to milliseconds, and so 23:59:59.9999 into the next day.
_YEAR_1_S = 62_135_596_800
_US_SQLITE = (
    f"((CAST(strftime('%s', substr({{0}}, 1, 19)) AS INTEGER) + {_YEAR_1_S}) * 1000000"
    " + CAST(substr({0}, 21, 6) AS INTEGER))"
)
_DAY_US = 86_400_000_000

_COVERAGE_SQLITE = f"""
CREATE VIEW phono_coverage AS
WITH RECURSIVE stretch AS (
    SELECT source, NULL AS cause, 0 AS inside,
        {_US_SQLITE.format("started_at")} AS a, {_US_SQLITE.format("ended_at")} AS b
    FROM phono_recording
    UNION ALL
    SELECT source, cause, recording_id IS NOT NULL,
        {_US_SQLITE.format("started_at")}, {_US_SQLITE.format("ended_at")}
    FROM phono_gap
),
piece AS (
    SELECT source, cause, inside, a, min(b, (a / {_DAY_US} + 1) * {_DAY_US}) AS stop, b FROM stretch
    UNION ALL
    SELECT source, cause, inside, stop, min(b, stop + {_DAY_US}), b FROM piece WHERE stop < b
),
part AS (
    SELECT source, cause, inside, date(a / 1000000 - {_YEAR_1_S}, 'unixepoch') AS day, stop - a AS us
    FROM piece
),
""" + _COVERAGE_TAIL.format(object="json_group_object", double="REAL")


def _views(dialect: str) -> tuple[str, str, str]:
    if dialect == "postgresql":
        seconds = "extract(epoch FROM g.ended_at - g.started_at)::double precision"
        return (
            _CLIPS.format(double="double precision", audio=_AUDIO_POSTGRESQL),
            _GAPS.format(seconds=seconds),
            _COVERAGE_POSTGRESQL,
        )
    seconds = f"({_US_SQLITE.format('g.ended_at')} - {_US_SQLITE.format('g.started_at')}) / 1000000.0"
    return (
        _CLIPS.format(double="REAL", audio=_AUDIO_SQLITE),
        _GAPS.format(seconds=seconds),
        _COVERAGE_SQLITE,
    )


def upgrade() -> None:
    op.create_table(
        "phono_source",
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="what the source is called: desk-3, studio-a, reef-north",
        ),
        sa.Column("description", sa.Text(), nullable=True, comment="for people"),
        sa.Column("created_at", _UTC, nullable=False, comment="when it was first recorded"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_phono_source_name_length")),
        sa.PrimaryKeyConstraint("name", name="pk_phono_source"),
    )
    op.create_table(
        "phono_recording",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is started_at"),
        sa.Column("source", sa.Text(), nullable=False, comment="where the sound comes from"),
        sa.Column(
            "run_id",
            sa.Uuid(),
            nullable=False,
            comment="shared by the recordings that one process made without stopping",
        ),
        sa.Column("run_index", sa.Integer(), nullable=False, comment="place in the run, from 0"),
        sa.Column("started_at", _UTC, nullable=False, comment="UTC at the first frame"),
        sa.Column(
            "ended_at",
            _UTC,
            nullable=False,
            comment="started_at plus frame_count / sample_rate; moves on while recording",
        ),
        sa.Column("sample_rate", sa.Integer(), nullable=False, comment="frames a second"),
        sa.Column("channels", sa.Integer(), nullable=False, comment="samples in a frame"),
        sa.Column("sample_format", sa.Text(), nullable=False, comment="int16, int24, int32 or float32"),
        sa.Column("encoding", sa.Text(), nullable=False, comment="of the audio rows: flac or pcm"),
        sa.Column("media_type", sa.Text(), nullable=False, comment="of header || audio rows in order"),
        sa.Column(
            "header",
            sa.LargeBinary(),
            nullable=False,
            comment="makes a playable file of the audio rows; true at every commit",
        ),
        sa.Column("header_sha256", sa.LargeBinary(), nullable=False, comment="SHA-256 of header"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="recording, complete, or interrupted: its recorder failed before the end",
        ),
        sa.Column("frame_count", _BIG, nullable=False, comment="frames in all chunks"),
        sa.Column("byte_count", _BIG, nullable=False, comment="bytes in all audio rows, without header"),
        sa.Column("chunk_count", sa.Integer(), nullable=False, comment="chunks"),
        sa.Column(
            "peak_dbfs",
            sa.Double(),
            nullable=False,
            comment="largest magnitude in dBFS; -Infinity for digital silence",
        ),
        sa.Column(
            "rms_dbfs",
            sa.Double(),
            nullable=False,
            comment="root mean square in dBFS, a full-scale sine being -3.01",
        ),
        sa.Column(
            "clipped_frames",
            _BIG,
            nullable=False,
            comment="frames with a sample at the end of the scale",
        ),
        sa.Column(
            "pcm_sha256",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of the decoded PCM, little-endian, interleaved; set when closed",
        ),
        sa.Column("chain_head", sa.LargeBinary(), nullable=False, comment="chain of the last chunk"),
        sa.Column(
            "committed_at",
            _UTC,
            nullable=False,
            comment="UTC, by the recorder's clock, when the newest chunk was stored",
        ),
        sa.Column("title", sa.Text(), nullable=True, comment="for people"),
        sa.Column("notes", sa.Text(), nullable=True, comment="for people"),
        sa.Column("tags", _JSON, nullable=False, comment="names to values, for search"),
        sa.Column(
            "external_id",
            sa.Text(),
            nullable=True,
            comment="what the recording is called elsewhere: an order, a call, a case",
        ),
        sa.Column(
            "capture",
            _JSON,
            nullable=False,
            comment="how it was captured: input, device, host, process, versions",
        ),
        sa.CheckConstraint("encoding IN ('flac', 'pcm')", name=op.f("ck_phono_recording_encoding_known")),
        sa.CheckConstraint(
            "sample_format IN ('int16', 'int24', 'int32', 'float32')",
            name=op.f("ck_phono_recording_sample_format_known"),
        ),
        sa.CheckConstraint(
            "state = 'recording' OR pcm_sha256 IS NOT NULL",
            name=op.f("ck_phono_recording_closed_has_hash"),
        ),
        sa.CheckConstraint(
            "state IN ('recording', 'complete', 'interrupted')",
            name=op.f("ck_phono_recording_state_known"),
        ),
        sa.CheckConstraint("byte_count >= 1", name=op.f("ck_phono_recording_byte_count_range")),
        sa.CheckConstraint("channels BETWEEN 1 AND 32", name=op.f("ck_phono_recording_channels_range")),
        sa.CheckConstraint("chunk_count >= 1", name=op.f("ck_phono_recording_chunk_count_range")),
        sa.CheckConstraint(
            "clipped_frames BETWEEN 0 AND frame_count",
            name=op.f("ck_phono_recording_clipped_frames_range"),
        ),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_phono_recording_ends_after_start")),
        sa.CheckConstraint(
            "frame_count BETWEEN 1 AND sample_rate * CAST(86400 AS BIGINT)",
            name=op.f("ck_phono_recording_at_most_24_hours"),
        ),
        sa.CheckConstraint("length(chain_head) = 32", name=op.f("ck_phono_recording_chain_head_length")),
        sa.CheckConstraint(
            "length(header) BETWEEN 1 AND 65536", name=op.f("ck_phono_recording_header_length")
        ),
        sa.CheckConstraint(
            "length(header_sha256) = 32", name=op.f("ck_phono_recording_header_sha256_length")
        ),
        sa.CheckConstraint("length(pcm_sha256) = 32", name=op.f("ck_phono_recording_pcm_sha256_length")),
        sa.CheckConstraint("run_index >= 0", name=op.f("ck_phono_recording_run_index_range")),
        sa.CheckConstraint(
            "sample_rate BETWEEN 1 AND 1048575", name=op.f("ck_phono_recording_sample_rate_range")
        ),
        sa.ForeignKeyConstraint(
            ["source"],
            ["phono_source.name"],
            name="fk_phono_recording_source_phono_source",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phono_recording"),
    )
    op.create_index(
        "ix_phono_recording_open",
        "phono_recording",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("state = 'recording'"),
        postgresql_where=sa.text("state = 'recording'"),
    )
    op.create_index("ix_phono_recording_external_id", "phono_recording", ["external_id"], unique=False)
    op.create_index(
        "ix_phono_recording_source_started_at",
        "phono_recording",
        ["source", "started_at"],
        unique=False,
    )
    op.create_index("ix_phono_recording_started_at", "phono_recording", ["started_at"], unique=False)
    op.create_table(
        "phono_chunk",
        sa.Column("recording_id", sa.Uuid(), nullable=False, comment="the recording"),
        sa.Column(
            "seq",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="place in the recording, from 0",
        ),
        sa.Column("first_frame", _BIG, nullable=False, comment="frames of the recording before it"),
        sa.Column("frame_count", sa.Integer(), nullable=False, comment="frames in it"),
        sa.Column(
            "first_byte",
            _BIG,
            nullable=False,
            comment="bytes of the recording before it, the header not counted",
        ),
        sa.Column("byte_count", sa.Integer(), nullable=False, comment="bytes in its audio row"),
        sa.Column("captured_at", _UTC, nullable=False, comment="UTC at its first frame, by the wall clock"),
        sa.Column(
            "peak_dbfs",
            sa.Double(),
            nullable=False,
            comment="largest magnitude in dBFS; -Infinity for digital silence",
        ),
        sa.Column(
            "rms_dbfs",
            sa.Double(),
            nullable=False,
            comment="root mean square in dBFS, a full-scale sine being -3.01",
        ),
        sa.Column(
            "peaks",
            sa.LargeBinary(),
            nullable=False,
            comment="outline: for every 512 frames and each channel a minimum and a maximum, signed bytes",
        ),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="SHA-256 of its audio row's data"),
        sa.Column(
            "chain",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of previous chain || seq || first_frame || frame_count || sha256",
        ),
        sa.CheckConstraint("byte_count BETWEEN 1 AND 1048576", name=op.f("ck_phono_chunk_at_most_1_mib")),
        sa.CheckConstraint("first_byte >= 0", name=op.f("ck_phono_chunk_first_byte_range")),
        sa.CheckConstraint("first_frame >= 0", name=op.f("ck_phono_chunk_first_frame_range")),
        sa.CheckConstraint("frame_count >= 1", name=op.f("ck_phono_chunk_frame_count_range")),
        sa.CheckConstraint("length(chain) = 32", name=op.f("ck_phono_chunk_chain_length")),
        sa.CheckConstraint("length(sha256) = 32", name=op.f("ck_phono_chunk_sha256_length")),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_phono_chunk_seq_range")),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["phono_recording.id"],
            name="fk_phono_chunk_recording_id_phono_recording",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("recording_id", "seq", name="pk_phono_chunk"),
        sa.UniqueConstraint("recording_id", "first_byte", name="uq_phono_chunk_recording_id_first_byte"),
        sa.UniqueConstraint("recording_id", "first_frame", name="uq_phono_chunk_recording_id_first_frame"),
    )
    op.create_table(
        "phono_gap",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is started_at"),
        sa.Column("source", sa.Text(), nullable=False, comment="what was not heard"),
        sa.Column("run_id", sa.Uuid(), nullable=True, comment="the run it belongs to, if any"),
        sa.Column(
            "recording_id",
            sa.Uuid(),
            nullable=True,
            comment="the recording it lies in, if any; its frames are silence there",
        ),
        sa.Column("first_frame", _BIG, nullable=True, comment="frames of the recording before the gap"),
        sa.Column(
            "frame_count",
            _BIG,
            nullable=True,
            comment="frames of silence that stand for it; 0 where the loss could not be measured",
        ),
        sa.Column("started_at", _UTC, nullable=False, comment="UTC at its beginning"),
        sa.Column("ended_at", _UTC, nullable=False, comment="UTC at its end"),
        sa.Column(
            "cause",
            sa.Text(),
            nullable=False,
            comment="why: overflow, device-lost, process-down, deleted and others",
        ),
        sa.Column("detail", sa.Text(), nullable=True, comment="more, for people"),
        sa.CheckConstraint(
            "(recording_id IS NULL) = (first_frame IS NULL)",
            name=op.f("ck_phono_gap_inside_a_recording_or_not"),
        ),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_phono_gap_ends_after_start")),
        sa.CheckConstraint("first_frame >= 0", name=op.f("ck_phono_gap_first_frame_range")),
        sa.CheckConstraint("frame_count >= 0", name=op.f("ck_phono_gap_frame_count_range")),
        sa.CheckConstraint("length(cause) >= 1", name=op.f("ck_phono_gap_cause_length")),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["phono_recording.id"],
            name="fk_phono_gap_recording_id_phono_recording",
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["source"],
            ["phono_source.name"],
            name="fk_phono_gap_source_phono_source",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phono_gap"),
    )
    op.create_index("ix_phono_gap_recording_id", "phono_gap", ["recording_id"], unique=False)
    op.create_index("ix_phono_gap_source_started_at", "phono_gap", ["source", "started_at"], unique=False)
    op.create_table(
        "phono_audio",
        sa.Column("recording_id", sa.Uuid(), nullable=False, comment="the recording"),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False, comment="the chunk"),
        sa.Column(
            "data",
            sa.LargeBinary(),
            nullable=False,
            comment="whole FLAC frames of one continuous stream, or interleaved little-endian PCM",
        ),
        sa.CheckConstraint("length(data) BETWEEN 1 AND 1048576", name=op.f("ck_phono_audio_at_most_1_mib")),
        sa.ForeignKeyConstraint(
            ["recording_id", "seq"],
            ["phono_chunk.recording_id", "phono_chunk.seq"],
            name="fk_phono_audio_recording_id_seq_phono_chunk",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("recording_id", "seq", name="pk_phono_audio"),
    )
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        # Encoded sound does not shrink: compressing it takes time and makes reading a part of it slow.
        op.execute("ALTER TABLE phono_audio ALTER COLUMN data SET STORAGE EXTERNAL")
    for view in _views(dialect):
        op.execute(view)


def downgrade() -> None:
    for view in ("phono_coverage", "phono_gaps", "phono_clips"):
        op.execute(f"DROP VIEW {view}")
    for table in ("phono_gap", "phono_audio", "phono_chunk", "phono_recording", "phono_source"):
        op.drop_table(table)
