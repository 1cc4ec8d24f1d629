"""Recordings and their sound as one Parquet file, for machines that learn."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from phonobase.audio.kinds import Kind
from phonobase.errors import InvalidDetails, UnsupportedFormat
from phonobase.store.arrow import arrow, cells, fields, parquet
from phonobase.store.export import write_take
from phonobase.store.take import Sound, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from phonobase.store.archive import Archive
    from phonobase.store.query import Query
    from phonobase.store.recording import Recording

_GROUP_BYTES = 64 * 1024 * 1024
_GROUP_ROWS = 1000
"""A group of rows is what a reader takes into memory at once, and so what is held here."""

_LARGEST_BYTES = 512 * 1024 * 1024
"""The largest file of a row: some readers hold several times as much."""

_FEATURES = {"info": {"features": {"audio": {"_type": "Audio"}}}}
"""What Hugging Face's ``datasets`` looks for, to take the column for sound."""


def write_dataset(
    archive: Archive,
    query: Query,
    out: BinaryIO,
    clip_seconds: float | Fraction | None = None,
    on_rows: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write recordings with their sound as Parquet, in memory that does not grow with their number.

    The columns are those of ``Recordings.to_arrow``, of the whole recording; then ``clip_first_frame``,
    ``clip_frame_count`` and ``clip_started_at``, which say what of it is in the row; then ``audio``, a struct
    of ``bytes``, a FLAC or WAV file, and ``path``, a name for it. ``datasets`` opens ``audio`` as its feature
    of that name. Every chunk's hash is checked on the way.

    Args:
        archive: Where the recordings are.
        query: Which; with ``limit=None`` all that meet it.
        out: Where to write.
        clip_seconds: How long the rows of a recording are, the last one being shorter; one row for each
            recording, where not given.
        on_rows: Called with the number of rows that were written since the last call.

    Returns:
        The number of rows.

    Raises:
        UnsupportedFormat: A recording is too large for one row.
        InvalidDetails: Clips cannot be so short.
        CorruptRecording: Chunks are missing, changed, or do not decode.
        PhonobaseError: pyarrow is not installed.
    """
    pa = arrow()
    schema = _schema()
    described = [name for name in schema.names if name != "audio"]
    count = 0
    with parquet().ParquetWriter(
        out,
        schema,
        compression=dict.fromkeys(described, "zstd"),
        # Neither serves sound, and a footer that quotes files is large.
        use_dictionary=described,
        write_statistics=described,
    ) as writer:
        for group in _groups(_rows(archive, query, clip_seconds)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=len(group))
            count += len(group)
            on_rows(len(group))
    return count


def _schema() -> pa.Schema:
    pa = arrow()
    of_the_clip = [
        pa.field("clip_first_frame", pa.int64()),
        pa.field("clip_frame_count", pa.int64()),
        pa.field("clip_started_at", pa.timestamp("us", tz="UTC")),
        pa.field("audio", pa.struct({"bytes": pa.binary(), "path": pa.string()})),
    ]
    return pa.schema([*fields(), *of_the_clip], metadata={"huggingface": json.dumps(_FEATURES)})


def _rows(archive: Archive, query: Query, clip_seconds: float | Fraction | None) -> Iterator[dict[str, Any]]:
    for recording in archive.walk(query):
        told = cells(recording)
        for clip in _clips(recording, clip_seconds):
            first_us = recording.format.microseconds(clip.first_frame)
            began = recording.started_at + timedelta(microseconds=first_us)
            name = recording.id.hex if clip_seconds is None else f"{recording.id.hex}_{clip.first_frame}"
            yield told | {
                "clip_first_frame": clip.first_frame,
                "clip_frame_count": clip.frame_count,
                "clip_started_at": began,
                "audio": {
                    "bytes": _file(archive, Take(recording.source, recording.format, began, (clip,))),
                    "path": name + recording.encoding.suffix,
                },
            }


def _clips(recording: Recording, clip_seconds: float | Fraction | None) -> Iterator[Sound]:
    if clip_seconds is None:
        yield Sound(recording, 0, recording.frame_count)
        return
    length = round(Fraction(clip_seconds) * recording.format.sample_rate)
    if length < 1:
        raise InvalidDetails(f"clips of {float(clip_seconds)} s hold no frame; ask for longer ones")
    for first in range(0, recording.frame_count, length):
        yield Sound(recording, first, min(length, recording.frame_count - first))


def _file(archive: Archive, take: Take) -> bytes:
    (clip,) = take.sounds
    size = clip.recording.file_bytes * clip.frame_count // clip.recording.frame_count
    if size > _LARGEST_BYTES:
        raise UnsupportedFormat(
            f"recording {clip.recording.id.hex} has {size} bytes, too many for one row; ask for clips, "
            "as of 30 seconds"
        )
    out = io.BytesIO()
    write_take(archive, take, Kind.of(clip.recording.encoding), out)
    return out.getvalue()


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        group.append(row)
        held += len(row["audio"]["bytes"])
        if held >= _GROUP_BYTES or len(group) >= _GROUP_ROWS:
            yield group
            group, held = [], 0
    if group:
        yield group
