"""Ten million chunks beside ten thousand: what a question costs as an archive grows.

    python benchmarks/many.py [--chunks N] [--asked N]

Every source records 28 seconds at every full hour, and the rest of the hour is a gap. The small archive holds
a month of one source, the large one years of many; so a question has as many answers in either. Rows are
copied within the database from those of one real recording: levels, outlines and the hash of the audio are
its own, the links of the chain are not. Its FLAC frames are constant, so that the audio takes little room.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.copying import Copy, copy_rows, settle
from phonobase import Archive
from phonobase.store import schema
from phonobase.store.engine import create_engine
from phonobase.store.query import Query
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


RATE = 8_000
CHUNK_FRAMES, CHUNKS = 16_384, 14
"""About two seconds each, 28.672 s in all."""

HOURS = 30 * 24
FEW, MANY = HOURS * CHUNKS, 1000 * HOURS * CHUNKS
ASKED, WARM = 400, 10
PAGE, DEEP = 50, 10_000
RATIO_AT_MOST = 1.5

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
HOUR, MONTH = timedelta(hours=1), timedelta(hours=HOURS)


@dataclass(frozen=True)
class Extent:
    """How much an archive holds: sources, and months of each."""

    sources: int
    months: int

    @classmethod
    def of(cls, chunks: int) -> Extent:
        """Return the extent of about so many chunks."""
        months = chunks // FEW
        sources = max(1, round((months / 2.5) ** 0.5)) if months > 1 else 1
        return cls(sources, max(1, months // sources))

    @property
    def recordings(self) -> int:
        """One an hour and source."""
        return self.sources * self.months * HOURS


def fill(url: str, extent: Extent) -> None:
    """Fill an empty archive."""
    with Archive(url) as archive:
        sound = np.repeat(np.arange(CHUNKS, dtype=np.int16), CHUNK_FRAMES)
        model = archive.add(sound.tobytes(), RATE, source="model", started_at=BEGAN - 2 * MONTH)
        if model.chunk_count != CHUNKS:
            raise RuntimeError(f"{model.chunk_count} chunks, not {CHUNKS}")
        names = [f"source-{number:03}" for number in range(extent.sources)]
        hours = _hours(names, extent, model.ended_at - model.started_at)
        with archive.engine.connect() as connection:
            copy_rows(connection, model, names, BEGAN, hours)
        with archive.writing() as repository:
            repository.discard(model.id)
        settle(archive.engine)


def _hours(names: list[str], extent: Extent, length: timedelta) -> Iterator[Copy]:
    for hour in range(extent.months * HOURS):
        for place, name in enumerate(names):
            began = BEGAN + hour * HOUR + place * timedelta(milliseconds=10)
            yield Copy(name, began, began + length, began + HOUR)


class Questions:
    """The questions, each asked of a place that chance picks, in one archive."""

    def __init__(self, archive: Archive, extent: Extent) -> None:
        self.archive = archive
        self._extent = extent
        self._chance = random.Random(7)
        self._deep = self._page_before(min(DEEP, extent.recordings // PAGE))

    def _page_before(self, number: int) -> str | None:
        """Return the place that a page of the listing begins behind."""
        hour, place = divmod(self._extent.recordings - PAGE * (number - 1), self._extent.sources)
        behind = BEGAN + hour * HOUR + place * timedelta(milliseconds=10)
        (first,) = self.archive.find(until=behind + timedelta(milliseconds=5), limit=1)
        query = self.archive.find(until=first.started_at + timedelta(microseconds=1), limit=1).next
        return None if query is None else query.after

    def _source(self) -> str:
        return f"source-{self._chance.randrange(self._extent.sources):03}"

    def _hour(self) -> datetime:
        return BEGAN + self._chance.randrange(24, self._extent.months * HOURS - 24) * HOUR

    def find_a_day(self) -> int:
        """A source's recordings of a day."""
        since = self._hour()
        return len(self.archive.find(source=self._source(), since=since, until=since + 24 * HOUR))

    def first_page(self) -> int:
        """The newest 50 of all."""
        return len(self.archive.find(limit=PAGE))

    def deep_page(self) -> int:
        """Page 10,000 of them, or the last."""
        return len(self.archive.find(Query(after=self._deep, limit=PAGE)))

    def at_a_moment(self) -> int:
        """What was recorded of a source at a moment."""
        moment = self._hour() + timedelta(seconds=self._chance.uniform(0.5, 28))
        return len(self.archive.find(source=self._source(), heard_at=moment))

    def month(self) -> int:
        """Coverage of a source's month."""
        month = self._chance.randrange(self._extent.months)
        since = BEGAN + month * MONTH
        return self.archive.coverage(self._source(), since, since + MONTH).heard_us

    def cut(self) -> int:
        """Ten seconds cut out, decoded."""
        since = self._hour() + timedelta(seconds=self._chance.uniform(1, 18))
        cut = self.archive.cut(self._source(), since, since + timedelta(seconds=10))
        return sum(len(frames) for take in cut.takes for frames in self.archive.sound(take))


ANSWERS = {"find_a_day": 24, "first_page": PAGE, "deep_page": PAGE, "at_a_moment": 1, "cut": 10 * RATE}


def _warm(archive: Archive) -> None:
    """Read the files of a database once, so that no question waits for the disk."""
    folder = archive.path.parent if archive.path else None
    if folder is None:
        with archive.engine.connect() as connection:
            folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one(), "base")
    for path in folder.rglob("*"):
        with path.open("rb") if path.is_file() else nullcontext(BytesIO()) as file:
            while file.read(1 << 24):
                pass


def measure(few: Questions, many: Questions, asked: int) -> int:
    """Ask both archives in turn, print what it took, and return how many ratios are missed."""
    missed = 0
    print(f"  {'p50 and p99 in ms':<44}{'ten thousand':>17}{'ten million':>17}{'ratios':>15}")
    for name in ("find_a_day", "first_page", "deep_page", "at_a_moment", "month", "cut"):
        ask_few, ask_many = getattr(few, name), getattr(many, name)
        took: tuple[list[float], list[float]] = [], []
        for turn in range(-WARM, asked):
            answers = []
            for place, ask in enumerate((ask_few, ask_many)):
                answers.append(_timed(ask, took[place] if turn >= 0 else []))
            expected = ANSWERS.get(name, answers[0])
            if any(abs(answer - expected) > (name == "cut") for answer in answers):
                raise RuntimeError(f"{name}: {answers} answers, not {expected}")
        (f50, f99), (m50, m99) = (_percentiles(times) for times in took)
        ratios = m50 / f50, m99 / f99
        held = max(ratios) <= RATIO_AT_MOST
        missed += not held
        print(
            f"  {ask_few.__doc__:<44}{f50:8.2f} {f99:8.2f}{m50:8.2f} {m99:8.2f}"
            f"{ratios[0]:8.2f} {ratios[1]:6.2f}{'' if held else '  MISSED'}"
        )
    return missed


def _timed(ask: Callable[[], int], times: list[float]) -> int:
    began = time.perf_counter()
    answer = ask()
    times.append((time.perf_counter() - began) * 1000)
    return answer


def _percentiles(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def measure_many(postgres: PostgresServer, chunks: int = MANY, asked: int = ASKED) -> int:
    """Fill and ask both databases; return how many ratios are missed."""
    missed = 0
    extents = Extent.of(FEW), Extent.of(chunks)
    with tempfile.TemporaryDirectory(prefix="phonobase-many-") as folder:
        for database in ("sqlite", "postgresql"):
            archives = []
            for place, extent in enumerate(extents):
                url = f"sqlite:///{folder}/{place}.db"
                if database == "postgresql":
                    postgres.create_database(f"many_{place}")
                    url = postgres.url(f"many_{place}")
                    engine = create_engine(url)
                    schema.upgrade(engine)
                    engine.dispose()
                began = time.monotonic()
                fill(url, extent)
                print(
                    f"{database}: {extent.recordings:,} recordings of {CHUNKS} chunks, "
                    f"{extent.sources} sources, {extent.months} months, "
                    f"filled in {time.monotonic() - began:.0f} s",
                    flush=True,
                )
                archives.append(Archive(url))
            _warm(archives[-1])
            few, many = (
                Questions(archive, extent) for archive, extent in zip(archives, extents, strict=True)
            )
            missed += measure(few, many, asked)
            for archive in archives:
                archive.close()
            for place in range(len(extents)):
                if database == "postgresql":
                    postgres.drop_database(f"many_{place}")
                for path in Path(folder).glob(f"{place}.db*"):
                    path.unlink()
    return missed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=MANY, help="chunks in the large archive")
    parser.add_argument("--asked", type=int, default=ASKED, help="how often every question is asked")
    options = parser.parse_args()
    with PostgresServer() as server:
        if failed := measure_many(server, options.chunks, options.asked):
            sys.exit(f"{failed} ratios missed; on a machine that does other work too, measure again")
