"""Recordings without audio, made by SQL alone: many of them, and of any time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from tests.store.judge import Raw

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COLUMNS = (
    "id, source, run_id, run_index, started_at, ended_at, sample_rate, channels, sample_format, encoding,"
    " media_type, header, header_sha256, state, frame_count, byte_count, chunk_count, peak_dbfs, rms_dbfs,"
    " clipped_frames, pcm_sha256, chain_head, committed_at, tags, external_id, capture"
)
_SQLITE_MANY = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
INSERT INTO phono_recording ({columns})
SELECT printf('%032x', i), CASE i % 1000 WHEN 3 THEN 'rare' ELSE 'often' END, printf('%032x', i), 0,
    strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + i * 60, 'unixepoch'),
    strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + i * 60 + 50, 'unixepoch'),
    8000, 1, 'int16', 'flac', 'audio/flac', zeroblob(150), zeroblob(32), 'complete',
    400000, 700000, 25, -1.0, -10.0, 0, zeroblob(32), zeroblob(32),
    strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + i * 60 + 50, 'unixepoch'), '{{}}', 'case-' || i, '{{}}'
FROM n;
"""
_POSTGRESQL_MANY = """
INSERT INTO phono_recording ({columns})
SELECT lpad(to_hex(i), 32, '0')::uuid, CASE i % 1000 WHEN 3 THEN 'rare' ELSE 'often' END,
    lpad(to_hex(i), 32, '0')::uuid, 0,
    to_timestamp(1700000000 + i * 60), to_timestamp(1700000000 + i * 60 + 50),
    8000, 1, 'int16', 'flac', 'audio/flac', decode(repeat('00', 150), 'hex'),
    decode(repeat('00', 32), 'hex'), 'complete', 400000, 700000, 25, -1.0, -10.0, 0,
    decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'),
    to_timestamp(1700000000 + i * 60 + 50), '{{}}', 'case-' || i, '{{}}'
FROM generate_series(0, {count} - 1) AS i;
"""


def add_sources(raw: Raw, *names: str) -> None:
    """Adds sources."""
    for name in names:
        raw.run("INSERT INTO phono_source (name, created_at) VALUES (?, ?)", name, stored(raw, EPOCH))


def add_many(raw: Raw, count: int) -> None:
    """Adds so many recordings of fifty seconds, one a minute, each thousandth of a rare source."""
    add_sources(raw, "rare", "often")
    template = _SQLITE_MANY if raw.is_sqlite else _POSTGRESQL_MANY
    raw.run(template.format(columns=_COLUMNS, count=count))
    raw.run("ANALYZE")


def add_recording(raw: Raw, number: int, source: str, began: datetime, ended: datetime) -> UUID:
    """Adds a recording that lasted from one moment to another and returns its id."""
    recording_id = UUID(int=number)
    values = [
        *(recording_id.hex, source, recording_id.hex, 0, stored(raw, began), stored(raw, ended)),
        *(1, 1, "int16", "flac", "audio/flac", b"x", bytes(32), "complete", 1, 1, 1, 0.0, 0.0, 0),
        *(bytes(32), bytes(32), stored(raw, ended), "{}", None, "{}"),
    ]
    raw.run(f"INSERT INTO phono_recording ({_COLUMNS}) VALUES ({_marks(values)})", *values)
    return recording_id


def add_gap(
    raw: Raw,
    number: int,
    source: str,
    began: datetime,
    ended: datetime,
    cause: str,
    inside: UUID | None = None,
) -> None:
    """Adds a gap from one moment to another, outside any recording or inside one."""
    place = (inside.hex, 0, 1) if inside else (None, None, None)
    values = [UUID(int=number).hex, source, *place, stored(raw, began), stored(raw, ended), cause]
    raw.run(
        "INSERT INTO phono_gap"
        " (id, source, recording_id, first_frame, frame_count, started_at, ended_at, cause)"
        f" VALUES ({_marks(values)})",
        *values,
    )


def stored(raw: Raw, moment: datetime) -> object:
    """Returns a moment as the plain driver writes it."""
    if raw.is_sqlite:
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return moment


def _marks(values: list[object]) -> str:
    return ", ".join("?" * len(values))
