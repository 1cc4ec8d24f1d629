"""What is measured. Each case runs in a process of its own, so that its peak memory is its own.

    python cases.py CASE DATABASE_URL FOLDER

prints, as JSON, the seconds that passed, the processor seconds that were used, and by how much the peak of
the resident memory rose while it ran.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import soundfile
from sqlalchemy import LargeBinary, create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from phonobase import Archive
from phonobase.audio.cut import Cutter
from phonobase.audio.encoding import Encoding
from phonobase.pcm import AudioFormat, SampleFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RATE = 48_000
FORMAT = AudioFormat(RATE, 1, SampleFormat.INT16)
BLOCK = RATE // 10
MINUTES = 10
READS = 5
CLIP_SECONDS = 5
CLIPS = 100


def music() -> np.ndarray[Any, np.dtype[np.int16]]:
    """A minute that encodes to about half, as music does: tones that come and go, over noise."""
    seconds = np.arange(60 * RATE) / RATE
    random = np.random.default_rng(1)
    sound = 0.02 * random.standard_normal(seconds.size)
    for frequency in (110, 220, 331, 447, 1301, 3507):
        sound += 0.09 * np.sin(2 * np.pi * frequency * seconds) * (1 + np.sin(seconds * frequency / 97))
    minute: np.ndarray[Any, np.dtype[np.int16]] = (sound / np.abs(sound).max() * 29490).astype(np.int16)
    return minute


def blocks(minute: np.ndarray[Any, np.dtype[np.int16]]) -> Iterator[np.ndarray[Any, np.dtype[np.int16]]]:
    """All that is ingested, a tenth of a second at a time."""
    for _ in range(MINUTES):
        for start in range(0, len(minute), BLOCK):
            yield minute[start : start + BLOCK]


@contextmanager
def measured() -> Iterator[None]:
    """Print what the block costs."""
    Path("/proc/self/clear_refs").write_text("5")  # what was the peak until now does not count
    before = _memory_kib("VmRSS")
    passed, used = time.perf_counter(), time.process_time()
    yield
    passed, used = time.perf_counter() - passed, time.process_time() - used
    peak_mib = (_memory_kib("VmHWM") - before) / 1024
    print(json.dumps({"seconds": passed, "cpu_seconds": used, "peak_mib": peak_mib}))


def encode(_url: str, _folder: Path) -> None:
    """The sound encoded by soundfile alone, in memory."""
    minute = music()
    with measured():
        sink = io.BytesIO()
        with soundfile.SoundFile(sink, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
            for block in blocks(minute):
                file.write(block)


def insert(url: str, folder: Path) -> None:
    """The same chunks, encoded before, inserted by the driver alone, a commit each."""
    chunks = [path.read_bytes() for path in sorted((folder / "chunks").iterdir())]
    with _raw_insert(url) as (execute, commit), measured():
        for seq, chunk in enumerate(chunks):
            execute(seq, chunk)
            commit()


def ingest(url: str, _folder: Path) -> None:
    """The sound through phonobase."""
    minute = music()
    with Archive(url) as archive, measured(), archive.writer(RATE) as writer:
        for block in blocks(minute):
            writer.write(block)


def read_raw(url: str, _folder: Path) -> None:
    """The stored bytes by the driver alone, in binary, a few MiB at a time, five times over."""
    with _raw_select(url) as batches, measured():
        count = sum(len(data) for _ in range(READS) for batch in batches() for (data,) in batch)
    assert count


def read_back(url: str, _folder: Path) -> None:
    """The stored bytes through phonobase, five times over."""
    with Archive(url) as archive:
        stored = archive.stored(archive.get("last"))
        with measured():
            count = sum(len(chunk.data) for _ in range(READS) for chunk in stored.chunks())
    assert count


def clips_phonobase(url: str, _folder: Path) -> None:
    """Clips through phonobase, a transaction each."""
    clip = music()[: CLIP_SECONDS * RATE].tobytes()
    with Archive(url) as archive, measured():
        for number in range(CLIPS):
            archive.add(clip, RATE, source=f"desk-{number % 4}")


def clips_files(url: str, folder: Path) -> None:
    """What many do: a FLAC file written and synced, and a row that names it, committed."""
    clip = music()[: CLIP_SECONDS * RATE]
    (folder / "files").mkdir()
    with Session(_tables(url)) as session, measured():
        for number in range(CLIPS):
            path = folder / "files" / f"{number}.flac"
            with path.open("wb") as file:
                soundfile.write(file, clip, RATE, format="FLAC")
                file.flush()
                os.fsync(file.fileno())
            session.add(FileRow(source=f"desk-{number % 4}", path=str(path)))
            session.commit()


def clips_blob(url: str, _folder: Path) -> None:
    """What others do: one ORM row with the whole clip in it."""
    clip = music()[: CLIP_SECONDS * RATE]
    with Session(_tables(url)) as session, measured():
        for number in range(CLIPS):
            sink = io.BytesIO()
            soundfile.write(sink, clip, RATE, format="FLAC")
            session.add(BlobRow(source=f"desk-{number % 4}", audio=sink.getvalue()))
            session.commit()


def encode_chunks(folder: Path) -> None:
    """Write the chunks that ``insert`` inserts: those that phonobase makes of the same sound."""
    (folder / "chunks").mkdir()
    cutter = Cutter(FORMAT, Encoding.FLAC, 2 * RATE)
    cuts = [cut for block in blocks(music()) for cut in cutter.write(block.reshape(-1, 1))]
    for seq, cut in enumerate([*cuts, *cutter.finish()]):
        (folder / "chunks" / f"{seq:06}").write_bytes(cut.data)


class Base(DeclarativeBase):
    """The tables of those who do it themselves."""


class FileRow(Base):
    """Names a file."""

    __tablename__ = "bench_file"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    path: Mapped[str]


class BlobRow(Base):
    """Holds a clip."""

    __tablename__ = "bench_blob"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    audio: Mapped[bytes] = mapped_column(LargeBinary)


def _tables(url: str) -> Engine:
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    return engine


@contextmanager
def _raw_insert(url: str) -> Iterator[tuple[Callable[[int, bytes], object], Callable[[], None]]]:
    create = "CREATE TABLE bench_raw (seq INTEGER PRIMARY KEY, data {} NOT NULL)"
    if url.startswith("sqlite"):
        lite = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL"):
            lite.execute(f"PRAGMA {pragma}")
        lite.execute(create.format("BLOB"))
        # An insert outside of a transaction is committed with its end.
        yield (
            lambda seq, data: lite.execute("INSERT INTO bench_raw VALUES (?, ?)", (seq, data)),
            lambda: None,
        )
        lite.close()
        return
    with psycopg.connect(_dsn(url)) as connection:
        connection.execute(create.format("BYTEA"))
        connection.execute("ALTER TABLE bench_raw ALTER COLUMN data SET STORAGE EXTERNAL")
        connection.commit()
        yield (
            lambda seq, data: connection.execute("INSERT INTO bench_raw VALUES (%s, %b)", (seq, data)),
            connection.commit,
        )


@contextmanager
def _raw_select(url: str) -> Iterator[Callable[[], Iterable[list[tuple[bytes]]]]]:
    select = "SELECT data FROM phono_audio WHERE recording_id = {0} AND seq >= {0} ORDER BY seq LIMIT 40"
    newest = "SELECT id FROM phono_recording ORDER BY started_at DESC LIMIT 1"
    if url.startswith("sqlite"):
        lite = sqlite3.connect(str(make_url(url).database))
        (recording,) = lite.execute(newest).fetchone()
        yield lambda: _batches(lambda seq: lite.execute(select.format("?"), (recording, seq)).fetchall())
        lite.close()
        return
    with psycopg.connect(_dsn(url)) as connection:
        (recording,) = connection.execute(newest).fetchone() or (None,)
        with connection.cursor(binary=True) as cursor:
            yield lambda: _batches(
                lambda seq: cursor.execute(select.format("%s"), (recording, seq)).fetchall()
            )


def _batches(fetch: Callable[[int], list[tuple[bytes]]]) -> Iterator[list[tuple[bytes]]]:
    """Yield batch after batch until one is empty."""
    seq = 0
    while batch := fetch(seq):
        yield batch
        seq += len(batch)


def _dsn(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _memory_kib(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0])


CASES = {
    case.__name__: case
    for case in (
        encode,
        insert,
        ingest,
        read_raw,
        read_back,
        clips_phonobase,
        clips_files,
        clips_blob,
    )
}

if __name__ == "__main__":
    CASES[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
