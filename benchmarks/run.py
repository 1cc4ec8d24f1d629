"""``make bench``: phonobase beside what it is made of, and beside what people do today.

All figures of a line come from one run on this machine, one case after the other, the whole round several
times; what is printed is the median. Trust the ratios and not the seconds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import cases
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.postgres import PostgresServer

ROUNDS = 3
Result = dict[str, float]


def main() -> None:
    """Run every case on both databases and print what came of it."""
    with tempfile.TemporaryDirectory(prefix="phonobase-bench-") as folder, PostgresServer() as postgres:
        cases.encode_chunks(Path(folder))
        for database in ("sqlite", "postgresql"):
            rounds = [one_round(database, Path(folder), postgres) for _ in range(ROUNDS)]
            report(database, rounds)


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


def report(database: str, rounds: list[dict[str, Result]]) -> None:
    """Print the medians and the ratios of a database."""

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
    print(f"  ingest / (encode + insert)          {ratio(('ingest',), made_of):6.2f}   at most 1.25")
    print(f"  the same in processor time          {ratio(('ingest',), made_of, 'cpu_seconds'):6.2f}")
    print(f"  read_raw / read_back                {ratio(('read_raw',), ('read_back',)):6.2f}   at least 0.8")
    print(f"  clips: phonobase / synced files     {ratio(('clips_phonobase',), ('clips_files',)):6.2f}")
    print(f"  clips: phonobase / one blob a row   {ratio(('clips_phonobase',), ('clips_blob',)):6.2f}")
    print(f"  ingest is {realtime:.0f} times as fast as the sound")


if __name__ == "__main__":
    main()
