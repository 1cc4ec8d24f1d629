"""The loudest peak in each column of a period, from chunks or, of too many of them, from recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from sqlalchemy import bindparam, select

from phonobase.store.chunks import at_frame
from phonobase.store.models import ChunkRow
from phonobase.store.soonest import plain
from phonobase.store.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from sqlalchemy.orm import Session

    from phonobase.store.spans import Times

CHUNKS_AT_MOST = 50_000
"""Beyond so many chunks, a bit more than a day of them, the levels of whole recordings have to do."""

MANY_CHUNKS = 1000
"""From so many on, the database says itself what the peaks of a recording's columns are."""

_SECOND_US = 1_000_000
_IDS_AT_ONCE = 500
_DIALECTS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings of a period, column by column of their table, in the order of their start."""

    spans: Spans
    peak_dbfs: npt.NDArray[np.float64]
    chunk_count: npt.NDArray[np.int64]
    sample_rate: npt.NDArray[np.int64]
    ids: Sequence[str]


def loudest(
    session: Session, recordings: Recordings, edges_us: Times
) -> tuple[npt.NDArray[np.float64], bool]:
    """Return the loudest peak in each column, and whether it is that of its chunks.

    Args:
        session: In the moment in which the recordings were read.
        recordings: Those that reach into the period.
        edges_us: Where each column begins, and where the last one ends: column i at i * length // columns.
    """
    peaks = np.full(len(edges_us) - 1, -np.inf)
    spans = recordings.spans
    first, last = _columns_of(spans, edges_us)
    in_one = (first == last) & (spans.start_us >= edges_us[0]) & (spans.end_us <= edges_us[-1])
    np.maximum.at(peaks, first[in_one], recordings.peak_dbfs[in_one])
    rest = np.flatnonzero(~in_one & (first <= last))
    lengths = np.maximum(1, spans.end_us[rest] - spans.start_us[rest])
    inside = np.minimum(spans.end_us[rest], edges_us[-1]) - np.maximum(spans.start_us[rest], edges_us[0])
    chunks = (recordings.chunk_count[rest] * (inside / lengths)).sum()
    by_chunk = bool(chunks <= CHUNKS_AT_MOST) and _fits(edges_us)
    if not by_chunk:
        _raise_peaks(peaks, first[rest], last[rest], recordings.peak_dbfs[rest])
        return peaks, by_chunk
    whole = (spans.start_us[rest] >= edges_us[0]) & (spans.end_us[rest] <= edges_us[-1])
    few = recordings.chunk_count[rest] < MANY_CHUNKS
    _raise_peaks(peaks, *_chunks_of_many(session, recordings, rest[whole & few], edges_us))
    for number in rest[~(whole & few)].tolist():
        _raise_peaks(peaks, *_chunks_of_one(session, recordings, number, edges_us))
    return peaks, by_chunk


def _raise_peaks(
    peaks: npt.NDArray[np.float64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    levels: npt.NDArray[np.float64],
) -> None:
    """Raise the peak of each column to the loudest of the levels that reach from a first to a last column.

    However many there are and however far they reach, it takes no more room than twenty such pictures: each
    level raises two stretches that cover its own, as long as a power of two, and long stretches then raise
    their halves.
    """
    reaches = first <= last
    first, last, levels = first[reaches], last[reaches], levels[reaches]
    powers = np.frexp(last - first + 1)[1] - 1
    raised = np.full((len(peaks).bit_length(), len(peaks)), -np.inf)
    for start in (first, last + 1 - (1 << powers)):
        np.maximum.at(raised, (powers, start), levels)
    for power in range(len(raised) - 1, 0, -1):
        half, whole, shorter = 1 << (power - 1), raised[power], raised[power - 1]
        np.maximum(shorter, whole, out=shorter)
        np.maximum(shorter[half:], whole[:-half], out=shorter[half:])
    np.maximum(peaks, raised[0], out=peaks)


def _columns_of(spans: Spans, edges_us: Times) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and the last column that each span reaches into; the last is less, where none."""
    first = edges_us.searchsorted(spans.start_us, "right") - 1
    last = edges_us.searchsorted(spans.end_us, "left") - 1
    columns = len(edges_us) - 1
    return first.clip(0), last.clip(max=columns - 1)


def _fits(edges_us: Times) -> bool:
    """Return whether databases can say in which column a moment lies: as far as 64 bits go."""
    return (int(edges_us[-1]) - int(edges_us[0]) + _SECOND_US) * len(edges_us) < 2**62


def _chunks_of_many(
    session: Session, recordings: Recordings, numbers: npt.NDArray[np.int64], edges_us: Times
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the first and the last column, and the peak, of each chunk of some recordings."""
    dialect = session.get_bind().dialect.name
    rows: list[Any] = []
    for begin in range(0, len(numbers), _IDS_AT_ONCE):
        ids = [UUID(recordings.ids[number]) for number in numbers[begin : begin + _IDS_AT_ONCE]]
        rows += session.execute(_CHUNKS_OF_MANY[dialect], {"ids": ids}).all()
    holder_ids, firsts, counts, levels = zip(*rows, strict=True) if rows else ((),) * 4
    number_of = {recordings.ids[number]: number for number in numbers.tolist()}
    holders = np.array([number_of[holder_id] for holder_id in holder_ids], np.int64)
    first_frame, frame_count = (np.array(counted, np.int64) for counted in (firsts, counts))
    starts_us, rates = recordings.spans.start_us[holders], recordings.sample_rate[holders]
    begin_us, end_us = (
        starts_us + frame * _SECOND_US // rates for frame in (first_frame, first_frame + frame_count)
    )
    return *_columns_of(Spans(begin_us, end_us), edges_us), np.array(levels, np.float64)


def _chunks_of_one(
    session: Session, recordings: Recordings, number: int, edges_us: Times
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the peaks of the chunks of a recording that reach into a period.

    Each is that of all chunks which reach from the same first column to the same last one.
    """
    since_us, until_us, columns = int(edges_us[0]), int(edges_us[-1]), len(edges_us) - 1
    start_us, rate = int(recordings.spans.start_us[number]), int(recordings.sample_rate[number])
    values = {
        "id": UUID(recordings.ids[number]),
        "first": max(0, (since_us - start_us) * rate // _SECOND_US),
        "stop": -(-(until_us - start_us) * rate // _SECOND_US),
        "rate": rate,
        "behind": start_us - since_us,
        "length": until_us - since_us,
        "columns": columns,
    }
    rows = session.execute(_CHUNKS_OF_ONE, values).all()
    first, last, levels = zip(*rows, strict=True) if rows else ((),) * 3
    return (
        np.array(first, np.int64).clip(0),
        np.array(last, np.int64).clip(max=columns - 1),
        np.array(levels, np.float64),
    )


_CHUNK = cast("sa.Table", ChunkRow.__table__).c
_LEVELS = {
    dialect: select(
        plain(_CHUNK.recording_id, dialect), _CHUNK.first_frame, _CHUNK.frame_count, _CHUNK.peak_dbfs
    )
    for dialect in _DIALECTS
}
_OF_MANY = _CHUNK.recording_id.in_(bindparam("ids", expanding=True))
_CHUNKS_OF_MANY = {dialect: levels.where(_OF_MANY) for dialect, levels in _LEVELS.items()}
_BEHIND, _RATE, _LENGTH, _COLUMNS = (
    bindparam(name, type_=sa.BigInteger) for name in ("behind", "rate", "length", "columns")
)
_BEGINS, _ENDS = (
    # In microseconds behind the beginning of the period.
    _BEHIND + frame * _SECOND_US // _RATE
    for frame in (_CHUNK.first_frame, _CHUNK.first_frame + _CHUNK.frame_count)
)
# Column i begins at i * length // columns: the last that begins at a moment or before, and before a moment.
_FIRST, _LAST = ((place * _COLUMNS - 1) // _LENGTH for place in (_BEGINS + 1, _ENDS))
_CHUNKS_OF_ONE = (
    select(_FIRST.label("first_column"), _LAST.label("last_column"), sa.func.max(_CHUNK.peak_dbfs))
    .where(
        _CHUNK.recording_id == bindparam("id"),
        _CHUNK.first_frame >= at_frame(ChunkRow.first_frame, "first"),
        _CHUNK.first_frame < bindparam("stop"),
        _ENDS > 0,
    )
    .group_by(sa.text("first_column"), sa.text("last_column"))
)
