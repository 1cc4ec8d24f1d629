"""Five seconds out of a day: a cut beside the chunks it touches, and beside the whole recording.

python benchmarks/day.py
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.loop import sound
from phonobase import Archive, AudioFormat, SampleFormat
from phonobase.audio.decode import decode
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonobase.pcm import Frames
    from phonobase.store.recording import Recording

FORMAT = AudioFormat(44_100, 1, SampleFormat.INT16)
"""What `phonobase record` records, where nothing else is asked for."""

DAY_S, CUT_S = 24 * 60 * 60, 5
CUTS = 60
RAW_AT_MOST, WHOLE_AT_MOST = 2.0, 0.01


def record_a_day(archive: Archive) -> Recording:
    """Store a recording of 24 hours, of a loop that FLAC halves."""
    began = datetime(2026, 3, 1, tzinfo=UTC)
    loop = sound(FORMAT)
    minute = np.concatenate([loop] * (60 * FORMAT.sample_rate // len(loop)))
    with archive.writer(
        FORMAT.sample_rate, FORMAT.channels, FORMAT.sample_format, source="reef", started_at=began
    ) as writer:
        for _ in range(DAY_S // 60):
            writer.write(minute)
    return archive.get(writer.id)


class Raw:
    """The chunks of a recording through the plain driver, decoded by libsndfile: the least it can cost."""

    def __init__(self, url: str, recording: Recording) -> None:
        self._recording = recording
        if url.startswith("sqlite"):
            self._connection: sqlite3.Connection | psycopg.Connection = sqlite3.connect(url[10:])
            self._key: object = recording.id.hex
            self._mark = "?"
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
            self._key, self._mark = recording.id, "%s"

    def fetch(self, first_seq: int, last_seq: int) -> Frames:
        """Fetch consecutive chunks and decode them."""
        statement = (
            "SELECT c.frame_count, a.data FROM phono_chunk AS c JOIN phono_audio AS a "
            "ON a.recording_id = c.recording_id AND a.seq = c.seq "
            "WHERE c.recording_id = ? AND c.seq BETWEEN ? AND ? ORDER BY c.seq"
        ).replace("?", self._mark)
        values = (self._key, first_seq, last_seq)
        if isinstance(self._connection, sqlite3.Connection):
            rows = self._connection.execute(statement, values).fetchall()
        else:
            rows = self._connection.cursor(binary=True).execute(statement, values).fetchall()
        frame_count = sum(row[0] for row in rows)
        return decode(b"".join(row[1] for row in rows), frame_count, self._recording.encoding, FORMAT)

    def seq_of(self, frame: int) -> int:
        """Return the chunk that holds a frame."""
        statement = "SELECT max(seq) FROM phono_chunk WHERE recording_id = ? AND first_frame <= ?"
        rows = self._connection.execute(statement.replace("?", self._mark), (self._key, frame)).fetchall()
        return int(rows[0][0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def measure_day(database: str, url: str) -> int:
    """Measure on one database, and return how many bars are missed."""
    chance = random.Random(3)
    with Archive(url) as archive:
        recording = record_a_day(archive)
        raw = Raw(url, recording)
        cuts, raws = [], []
        for _ in range(CUTS):
            first = chance.randrange(FORMAT.sample_rate * (DAY_S - CUT_S))
            since = recording.started_at + timedelta(microseconds=FORMAT.microseconds(first) + 1)
            until = since + timedelta(seconds=CUT_S)
            seqs = raw.seq_of(first + 1), raw.seq_of(first + CUT_S * FORMAT.sample_rate)
            raws.append(_seconds(lambda seqs=seqs: raw.fetch(*seqs)))  # type: ignore[misc]
            cuts.append(_seconds(lambda since=since, until=until: _cut(archive, since, until)))  # type: ignore[misc]
        whole = _seconds(lambda: [None for _ in archive.frames(recording.id)])
        raw.close()
    to_raw, to_whole = median(cuts) / median(raws), median(cuts) / whole
    print(
        f"{database}: {CUT_S} s out of 24 h in {median(cuts) * 1000:.2f} ms; "
        f"its {seqs[1] - seqs[0] + 1} chunks alone {median(raws) * 1000:.2f} ms; all of it {whole:.1f} s"
    )
    for name, ratio, bar in (("its chunks", to_raw, RAW_AT_MOST), ("all of it", to_whole, WHOLE_AT_MOST)):
        held = ratio <= bar
        print(f"  cut / {name:<12}{ratio:9.5f}   at most {bar}{'' if held else ': MISSED'}")
    return (to_raw > RAW_AT_MOST) + (to_whole > WHOLE_AT_MOST)


def _cut(archive: Archive, since: datetime, until: datetime) -> int:
    (take,) = archive.cut("reef", since, until, "error").takes
    return len(np.concatenate([*archive.sound(take)]))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_days(postgres: PostgresServer) -> int:
    """Measure on both databases, and return how many bars are missed."""
    with tempfile.TemporaryDirectory(prefix="phonobase-day-") as folder:
        missed = measure_day("sqlite", f"sqlite:///{folder}/day.db")
    postgres.create_database("day")
    engine = create_engine(postgres.url("day"))
    schema.upgrade(engine)
    engine.dispose()
    missed += measure_day("postgresql", postgres.url("day"))
    postgres.drop_database("day")
    return missed


if __name__ == "__main__":
    with PostgresServer() as server:
        if failed := measure_days(server):
            sys.exit(f"{failed} bars missed; on a machine that does other work too, measure again")
