"""``make bench``: phonobase beside what it is made of, and beside what people do today.

All figures of a line come from one run on this machine, one case after the other, the whole round several
times; what is printed is the median. Trust the ratios and not the seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import cases
from benchmarks.day import measure_days
from benchmarks.sources import measure_sources
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.postgres import PostgresServer

ROUNDS = 3
INGEST_AT_MOST, READ_AT_LEAST = 1.25, 0.8
Result = dict[str, float]


def main() -> None:
    """Run every case on both databases and print what came of it; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often every case runs")
    rounds_wanted = parser.parse_args().rounds
    missed = 0
    with tempfile.TemporaryDirectory(prefix="phonobase-bench-") as folder, PostgresServer() as postgres:
        cases.encode_chunks(Path(folder))
        for database in ("sqlite", "postgresql"):
            rounds = [one_round(database, Path(folder), postgres) for _ in range(rounds_wanted)]
            missed += report(database, rounds)
        missed += measure_days(postgres)
        missed += measure_sources(postgres)
    if missed:
        sys.exit(f"{missed} bars missed; on a machine that does other work too, measure again")


def one_round(database: str, folder: Path, postgres: PostgresServer) -> dict[str, Result]:
    """Run every case once, on a new database."""
    for left in ("files", "bench.db", "bench.db-wal", "bench.db-shm"):
        path = folder / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if database == "sqlite":
        url = f"sqlite:///{folder / 'bench.db'}"
    else:
        postgres.create_database("bench")
        url = postgres.url("bench")
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    results = {name: one_case(name, url, folder) for name in cases.CASES}
    if database == "postgresql":
        postgres.drop_database("bench")
    return results


def one_case(name: str, url: str, folder: Path) -> Result:
    """Run a case in a process of its own."""
    program = [sys.executable, cases.__file__, name, url, str(folder)]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    result: Result = json.loads(done.stdout)
    return result


def report(database: str, rounds: list[dict[str, Result]]) -> int:
    """Print the medians and the ratios of a database, and return how many bars are missed."""

    def typical(name: str, what: str = "seconds") -> float:
        return median(results[name][what] for results in rounds)

    def ratio(over: tuple[str, ...], under: tuple[str, ...], what: str = "seconds") -> float:
        return median(
            sum(results[name][what] for name in over) / sum(results[name][what] for name in under)
            for results in rounds
        )

    print(f"\n{database}: median of {len(rounds)} rounds")
    for name, case in cases.CASES.items():
        print(
            f"  {name:<16}{typical(name):8.3f} s {typical(name, 'cpu_seconds'):8.3f} s cpu "
            f"{typical(name, 'peak_mib'):8.1f} MiB   {case.__doc__}"
        )
    realtime = cases.MINUTES * 60 / typical("ingest")
    made_of = ("encode", "insert")
    ingest, read = ratio(("ingest",), made_of), ratio(("read_raw",), ("read_back",))
    ingest_bar = bar(ingest <= INGEST_AT_MOST, f"at most {INGEST_AT_MOST}")
    read_bar = bar(read >= READ_AT_LEAST, f"at least {READ_AT_LEAST}")
    print(f"  ingest / (encode + insert)          {ingest:6.2f}   {ingest_bar}")
    print(f"  the same in processor time          {ratio(('ingest',), made_of, 'cpu_seconds'):6.2f}")
    print(f"  read_raw / read_back                {read:6.2f}   {read_bar}")
    print(f"  clips: phonobase / synced files     {ratio(('clips_phonobase',), ('clips_files',)):6.2f}")
    print(f"  clips: phonobase / one blob a row   {ratio(('clips_phonobase',), ('clips_blob',)):6.2f}")
    print(f"  ingest is {realtime:.0f} times as fast as the sound")
    return (ingest > INGEST_AT_MOST) + (read < READ_AT_LEAST)


def bar(held: bool, what: str) -> str:  # noqa: FBT001 - read as one line
    """Say what was to be held, and whether it was."""
    return what if held else f"{what}: MISSED"


if __name__ == "__main__":
    main()
