"""200 people who seek in long recordings while eight sources record: phonobase beside nginx with files.

    python benchmarks/listeners.py [--listeners N] [--seconds S] [--pause S]

On SQLite and on PostgreSQL, each in its turn, eight recorders write into the archive that is served.
Meanwhile, one after the other, `phonobase serve` and nginx give parts of the same recordings to the same
listeners: 64 to 256 KiB from anywhere, then a pause, again and again. nginx reads them from files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import seeking
from benchmarks.serving import free_port, served, started, wait_for
from phonobase import Archive
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from phonobase import Recording

LISTENERS, SOURCES, SECONDS, PAUSE_S = 200, 8, 10.0, 2.0
P99_AT_MOST_MS = 500.0
"""Of the first byte: whoever seeks is not kept waiting. A file server's is a hundredth of that."""
GROWTH_AT_MOST = 1.1
"""How much larger the server's memory may be at the end than after it was warm."""

_RATE, _HOURS, _LONG = 8_000, 2, 2
_PATIENCE_S = 60
_NGINX = """
daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What listeners got of a server.

    Attributes:
        p50_ms: Half of the first bytes came within this time.
        p99_ms: Of a hundred, 99 did.
        per_second: Questions that were answered.
        mib_per_second: Sound that came.
        failures: What was not answered as it should be.
        memory_mib: The server's resident memory once it was warm, and at the end.
    """

    p50_ms: float
    p99_ms: float
    per_second: float
    mib_per_second: float
    failures: list[str]
    memory_mib: tuple[float, float]


def measure_listeners(postgres: PostgresServer, listeners: int, seconds: float, pause_s: float) -> int:
    """Measure on both databases, print what came of it, and return how many bars are missed."""
    missed = 0
    for database in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="phonobase-bench-") as folder:
            if database == "sqlite":
                url = f"sqlite:///{folder}/archive.db"
            else:
                postgres.create_database("listeners")
                url = postgres.url("listeners")
            missed += _measure(database, url, Path(folder), listeners, seconds, pause_s)
            if database == "postgresql":
                postgres.drop_database("listeners")
    return missed


def _measure(database: str, url: str, folder: Path, listeners: int, seconds: float, pause_s: float) -> int:
    recordings = _fill(url)
    _write_files(url, recordings, folder / "files")
    with (
        _recorders(url, folder) as sources,
        served(url) as (server, at),
        _nginx(folder) as (nginx, files_at),
    ):
        began = _all_committed(url, sources)
        parts = [
            (recording.file_bytes, f"{at}/api/recordings/{recording.id.hex}/audio")
            for recording in recordings
        ]
        files = [(recording.file_bytes, f"{files_at}/{recording.id.hex}.flac") for recording in recordings]
        ours = _listened(parts, listeners, seconds, pause_s, server)
        theirs = _listened(files, listeners, seconds, pause_s, nginx)
    with Archive(url) as archive:
        lost = {
            source: archive.coverage(source, began[source], archive.find(source=source)[0].ended_at).lost_us
            for source in sources
        }
    print(f"\n{database}: {listeners} listeners, {SOURCES} sources recording, {os.cpu_count()} cores")
    for name, got in (("phonobase", ours), ("nginx", theirs)):
        print(
            f"  {name:<12} first byte p50 {got.p50_ms:7.2f} ms  p99 {got.p99_ms:7.2f} ms  "
            f"{got.per_second:6.1f}/s {got.mib_per_second:6.1f} MiB/s  "
            f"memory {got.memory_mib[0]:6.1f} -> {got.memory_mib[1]:6.1f} MiB"
        )
    failures = [*ours.failures, *theirs.failures]
    gaps = sum(1 for lost_us in lost.values() if lost_us)
    growth = ours.memory_mib[1] / ours.memory_mib[0]
    bars = (
        (
            ours.p99_ms <= P99_AT_MOST_MS,
            (
                f"p99 of the first byte, in ms     {ours.p99_ms:7.1f}   at most {P99_AT_MOST_MS:.0f}; "
                f"{ours.p99_ms / theirs.p99_ms:.0f} times that of nginx"
            ),
        ),
        (
            growth <= GROWTH_AT_MOST,
            f"memory at the end / before       {growth:7.2f}   at most {GROWTH_AT_MOST}",
        ),
        (not gaps, f"sources with gaps                {gaps:7}   none"),
        (not failures, f"failures                         {len(failures):7}   none {failures[:2]}"),
    )
    for held, said in bars:
        print(f"  {said}{'' if held else ': MISSED'}")
    return sum(1 for held, _ in bars if not held)


def _fill(url: str) -> list[Recording]:
    """Make an archive with long recordings."""
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    chance = np.random.default_rng(1)
    minute = (2000 * chance.standard_normal(60 * _RATE)).astype("<i2").tobytes()
    with Archive(url) as archive:
        return [archive.add(minute * 60 * _HOURS, _RATE, source=f"long-{number}") for number in range(_LONG)]


def _write_files(url: str, recordings: list[Recording], folder: Path) -> None:
    folder.mkdir()
    with Archive(url) as archive:
        for recording in recordings:
            with archive.open(recording.id) as file, (folder / f"{recording.id.hex}.flac").open("wb") as out:
                shutil.copyfileobj(file, out, 1 << 20)


@contextlib.contextmanager
def _recorders(url: str, folder: Path) -> Iterator[list[str]]:
    """Record, each source in a process of its own, and yield their names."""
    sources = [f"source-{number}" for number in range(SOURCES)]
    with contextlib.ExitStack() as running:
        for source in sources:
            command = [sys.executable, "-m", "phonobase", "record", "--db", url, "--source", source]
            command += ["--input", "tone", "--samplerate", "48000"]
            if not url.startswith("sqlite"):
                command += ["--spool", str(folder / f"{source}.db")]
            running.enter_context(started(command, signal.SIGINT))
        yield sources


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[tuple[int, str]]:
    """Serve the folder with the files, and yield the process and its address."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)
    program = shutil.which("nginx") or sys.exit("nginx is missing: sudo apt-get install nginx-light")
    with started([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], signal.SIGTERM) as pid:
        wait_for(port)
        yield pid, f"http://127.0.0.1:{port}"


def _all_committed(url: str, sources: list[str]) -> dict[str, datetime]:
    """Wait until every source has committed something, and return when each began."""
    give_up_s = time.monotonic() + _PATIENCE_S
    with Archive(url) as archive:
        while True:
            began = {recording.source: recording.started_at for recording in archive.find(limit=None)}
            if set(sources) <= began.keys():
                return began
            if time.monotonic() > give_up_s:
                sys.exit(f"{len(began) - _LONG} of {len(sources)} sources have begun")
            time.sleep(0.2)


def _listened(
    files: list[tuple[int, str]], listeners: int, seconds: float, pause_s: float, server: int
) -> Measured:
    command = [sys.executable, seeking.__file__, str(seconds), str(listeners), str(pause_s)]
    command += [f"{size}={url}" for size, url in files]
    # First its threads and connections come to be, and what they keep.
    warm = [*command[:2], str(seconds / 2), *command[3:]]
    subprocess.run(warm, stdout=subprocess.DEVNULL, check=True, timeout=seconds + 2 * _PATIENCE_S)
    before = _memory_mib(server)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, timeout=seconds + 2 * _PATIENCE_S
    )
    after = _memory_mib(server)
    heard = json.loads(done.stdout)
    p50, p99 = np.percentile(heard["first_byte_ms"], [50, 99])
    return Measured(
        p50_ms=float(p50),
        p99_ms=float(p99),
        per_second=len(heard["first_byte_ms"]) / heard["seconds"],
        mib_per_second=heard["bytes"] / heard["seconds"] / 1024**2,
        failures=heard["failures"],
        memory_mib=(before, after),
    )


def _memory_mib(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    statuses = [Path(f"/proc/{each}/status").read_text() for each in pids]
    return sum(int(status.split("VmRSS:")[1].split()[0]) for status in statuses) / 1024


def main() -> None:
    """Measure; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=LISTENERS, help="how many seek")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each server is asked")
    parser.add_argument("--pause", type=float, default=PAUSE_S, help="how long each listens, on average")
    asked = parser.parse_args()
    with PostgresServer() as postgres:
        missed = measure_listeners(postgres, asked.listeners, asked.seconds, asked.pause)
    if missed:
        sys.exit(f"{missed} bars missed; on a machine that does other work too, measure again")


if __name__ == "__main__":
    main()
