"""Two archives, compared row by row through plain drivers."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from phonobase.store.push import push
from phonobase.store.recover import recorder_facts
from tests.store.judge import Raw, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    import numpy.typing as npt

    from phonobase import Archive, Recording
    from phonobase.store.writer import RecordingWriter

RATE = 8000
_FLAC_FRAME = 4096
SMALL = 30_000
"""Bytes in a batch: a few chunks of half a second."""

_KEYS = {
    "phono_source": "name",
    "phono_recording": "id",
    "phono_chunk": "recording_id, seq",
    "phono_audio": "recording_id, seq",
    "phono_gap": "id",
    "phono_annotation": "id",
}
_COLUMNS = {
    True: "SELECT name FROM pragma_table_info('{table}')",
    False: "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'",
}


@dataclass(frozen=True)
class Ends:
    """Two archives and their addresses."""

    ours: Archive
    theirs: Archive
    our_url: str
    their_url: str

    def push(self) -> list[str]:
        """Pushes everything in small batches; returns what failed."""
        return [str(error) for error in push(self.ours, self.theirs, batch_bytes=SMALL).failed]

    def assert_equal(self) -> None:
        """Fails unless the rows of both are the same, and every recording is as it was recorded."""
        assert_same(self.our_url, self.their_url)
        for archive in (self.ours, self.theirs):
            for recording in archive.find(limit=None):
                assert archive.verify(recording.id).faults == ()


def assert_same(one_url: str, other_url: str) -> None:
    """Fails unless two archives hold the same rows, compared without phonobase."""
    one, other = rows(one_url), rows(other_url)
    for table in _KEYS:
        for row, copy in zip(one[table], other[table], strict=True):
            assert copy == row, table


def rows(url: str) -> dict[str, list[tuple[str, ...]]]:
    """Returns all rows of all tables, in a form that does not depend on the database."""
    found = {}
    with Raw(url) as raw:
        for table, key in _KEYS.items():
            columns = sorted(name for (name,) in raw.rows(_COLUMNS[raw.is_sqlite].format(table=table)))
            stored = raw.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {key}")
            found[table] = [tuple(map(_plain, row)) for row in stored]
    return found


def open_recording(archive: Archive, seconds: float = 5, seed: int = 1, **details: object) -> RecordingWriter:
    """Begins a recording and returns its writer once all whole chunks of half a second are committed."""
    writer = archive.writer(RATE, 2, chunk_seconds=0.5, **details)  # type: ignore[arg-type] # any detail
    go_on(writer, seconds, seed)
    return writer


def go_on(writer: RecordingWriter, seconds: float, seed: int) -> None:
    """Writes on and waits until all but the chunk being filled and the encoder's look-ahead is committed."""
    writer.write(sound(seconds, seed))
    wait_until(lambda: writer.frames_written - writer.frames_committed <= _FLAC_FRAME)


def sound(seconds: float, seed: int = 1) -> npt.NDArray[Any]:
    """Returns stereo noise."""
    return frames_of(random_pcm(int(seconds * RATE), 2, "int16", seed=seed), 2, "int16")


def dead() -> dict[str, object]:
    """Returns the facts of a recorder on this machine that is dead."""
    facts = recorder_facts()
    return {**facts, "process": str(facts["process"]).rpartition("/")[0] + "/0"}


def add(archive: Archive, seconds: float = 5, seed: int = 1, **details: object) -> Recording:
    """Adds a recording in chunks of half a second."""
    with archive.writer(RATE, 2, chunk_seconds=0.5, **details) as writer:  # type: ignore[arg-type] # any
        writer.write(sound(seconds, seed))
    return archive.get(writer.id)


def _plain(value: object) -> str:
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return str(value)
