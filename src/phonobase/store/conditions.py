"""A query as SQL, in which the database finds its indices."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import count
from json import dumps as json_text
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exists, func
from sqlalchemy.dialects.postgresql import JSONB

from phonobase.store.cursor import Cursor
from phonobase.store.models import AnnotationRow, RecordingRow
from phonobase.store.query import LOUD_DBFS, SILENT_DBFS, Level, Query
from phonobase.store.recording import LONGEST, MAX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.orm import InstrumentedAttribute

_MICROSECOND = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LAST_CASED = 0x20000
"""No letter behind the first two planes of Unicode has a capital."""


def met_by(query: Query, dialect: str) -> list[sa.ColumnElement[bool]]:
    """Return what holds of the recordings that a query finds, on a database of a dialect."""
    return [
        *_in_time(query),
        *_as_named(query),
        *_as_they_sound(query),
        *_with_tags(query.tags, dialect),
        *_as_said(query),
    ]


def _in_time(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    """Yield one lower and one upper edge of the start, for an index takes one of each; then what is left."""
    heard_since, heard_until = query.heard_since, query.heard_until
    if query.heard_at is not None:
        heard_since = max(heard_since or _FIRST, query.heard_at)
        heard_until = min(heard_until or _LAST, _moved(query.heard_at, _MICROSECOND))
    first, end = query.since or _FIRST, min(query.until or _LAST, heard_until or _LAST)
    if heard_since is not None:
        first = max(first, _moved(heard_since, -LONGEST))
        yield RecordingRow.ended_at > heard_since
    if first > _FIRST:
        yield RecordingRow.started_at >= first
    cursor = None if query.after is None else Cursor.parse(query.after)
    if cursor is not None and cursor.started_at < end:
        place = (RecordingRow.started_at, cursor.started_at), (RecordingRow.id, cursor.recording_id)
        yield sa.tuple_(*(column for column, _ in place)) < sa.tuple_(
            *(sa.literal(value, column.type) for column, value in place)
        )
    elif end < _LAST:
        yield RecordingRow.started_at < end


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST


def _as_named(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    if query.source is not None:
        yield RecordingRow.source == query.source
    if query.sources is not None:
        yield RecordingRow.source.in_(sorted(query.sources))
    if query.state is not None:
        # As a literal: a partial index is used only where its condition can be seen.
        yield RecordingRow.state == sa.bindparam(None, query.state, literal_execute=True)
    if query.external_id is not None:
        yield RecordingRow.external_id == query.external_id
    if query.run_id is not None:
        yield RecordingRow.run_id == query.run_id


def _as_they_sound(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    # In whole microseconds, so that a recording of exactly so long is found.
    length = RecordingRow.frame_count * _SECOND_US
    if query.min_seconds is not None:
        yield length >= _microseconds(query.min_seconds) * RecordingRow.sample_rate
    if query.max_seconds is not None:
        yield length <= _microseconds(query.max_seconds) * RecordingRow.sample_rate
    if query.min_peak_dbfs is not None:
        yield RecordingRow.peak_dbfs >= query.min_peak_dbfs
    if query.max_peak_dbfs is not None:
        yield RecordingRow.peak_dbfs <= query.max_peak_dbfs
    if query.level is not None:
        yield {
            Level.LOUD: RecordingRow.peak_dbfs >= LOUD_DBFS,
            Level.SILENT: RecordingRow.peak_dbfs <= SILENT_DBFS,
            Level.CLIPPED: RecordingRow.clipped_frames > 0,
        }[query.level]


def _microseconds(seconds: float | Fraction) -> sa.BindParameter[int]:
    """Return a duration that may be any number; beyond what a recording can last, all are alike."""
    within = min(max(seconds, -1), MAX_SECONDS + 1)
    return sa.literal(round(Fraction(within) * _SECOND_US), sa.BigInteger())


def _as_said(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    if query.text is not None:
        yield _says(RecordingRow.title, query.text) | _says(RecordingRow.notes, query.text)
    said: list[sa.ColumnElement[bool]] = []
    if query.annotation_kind is not None:
        said.append(AnnotationRow.kind == query.annotation_kind)
    if query.annotation_text is not None:
        said.append(_says(AnnotationRow.text, query.annotation_text))
    if query.annotation_min_score is not None:
        said.append(AnnotationRow.score >= query.annotation_min_score)
    if said:
        yield exists().where(AnnotationRow.recording_id == RecordingRow.id, *said)


def _says(
    column: sa.ColumnElement[Any] | InstrumentedAttribute[str | None], text: str
) -> sa.ColumnElement[bool]:
    """Return whether a column holds a text, whatever the case of its letters.

    What ``LIKE`` and ``lower`` take for the same letter depends on the database and its locale, so each
    letter is written with all its cases.
    """
    alike = _letters_alike()
    return column.regexp_match("".join(alike.get(letter) or re.escape(letter) for letter in text))


@cache
def _letters_alike() -> dict[str, str]:
    """Return, for each letter that has cases, the regular expression that matches any of them."""
    groups: dict[str, list[str]] = defaultdict(list)
    for letter in map(chr, range(_LAST_CASED)):
        groups[letter.casefold()].append(letter)
    return {letter: f"[{''.join(group)}]" for group in groups.values() if len(group) > 1 for letter in group}


def _with_tags(tags: Mapping[str, Any] | None, dialect: str) -> Iterator[sa.ColumnElement[bool]]:
    if not tags:
        return
    if dialect == "postgresql":
        yield RecordingRow.tags.bool_op("@>")(sa.literal(tags, JSONB()))
    else:
        numbers = count()
        for name, value in tags.items():
            yield _has(RecordingRow.tags, name, value, numbers)


def _has(
    json: sa.ColumnElement[Any] | InstrumentedAttribute[Any],
    name: str | None,
    wanted: object,
    numbers: Iterator[int],
) -> sa.ColumnElement[bool]:
    """Return whether JSON has a member, of a name or any, that holds what is wanted."""
    member = func.json_each(json).table_valued("key", "value", "type", name=f"tag_{next(numbers)}")
    named = [] if name is None else [member.c.key == name]
    return exists(1).select_from(member).where(*named, *_holds(member, wanted, numbers))


def _holds(
    member: sa.TableValuedAlias, wanted: object, numbers: Iterator[int]
) -> Iterator[sa.ColumnElement[bool]]:
    kind, value = member.c.type, member.c.value
    if isinstance(wanted, dict):
        yield kind == "object"
        for name, inner in wanted.items():
            yield _has(value, name, inner, numbers)
    elif isinstance(wanted, list):
        yield kind == "array"
        for inner in wanted:
            yield _has(value, None, inner, numbers)
    elif isinstance(wanted, str):
        yield kind == "text"
        yield value == wanted
    elif wanted is None or isinstance(wanted, bool):
        yield kind == json_text(wanted)
    else:
        yield kind.in_(["integer", "real"])
        # Out of JSON, too: SQLite reads some numbers there to another last bit than elsewhere.
        yield value == func.json_extract(json_text([wanted]), "$[0]")
