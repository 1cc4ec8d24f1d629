"""Many sources at once: what each costs, beside encoding its sound and nothing else.

    python benchmarks/sources.py [SOURCES]

A service records them for a while, each in a process of its own, and forwards them to a PostgreSQL server.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.loop import BLOCK_S, PLUGIN, listen, sound
from phonobase import Archive
from phonobase.audio.flac import FlacEncoder
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.recorder.state import StateFolder
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCES = 32
FORMAT = AudioFormat(48_000, 1, SampleFormat.INT16)

_MEASURED_S = 15.0
_PACED_S = 3.0
_PATIENCE_S = 120.0
_ENCODED_S = 60
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parent.parent


def measure_sources(postgres: PostgresServer, count: int = SOURCES) -> int:
    """Run a service of so many sources, print what it costs, and return how many bars are missed."""
    at_once, paced = _encoding_alone(), _encoding_as_it_comes()
    postgres.create_database("sources")
    url = postgres.url("sources")
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    with tempfile.TemporaryDirectory(prefix="phonobase-bench-") as folder:
        each = _run(Path(folder), url, count, postgres.pid)
    with Archive(url) as archive:
        recordings, gaps = archive.find(limit=None), archive.gaps()
    postgres.drop_database("sources")
    there = {recording.source for recording in recordings if recording.state == "complete"}
    lost = sorted({f"{gap.source}: {gap.cause}" for gap in gaps})
    print(f"  encoding alone, all at once         {at_once:7.3%} of a core, each")
    print(f"  encoding alone, as sound comes      {paced:7.3%} of a core, each")
    print(f"  recording / encoding all at once    {each / at_once:7.1f}")
    print(f"  recording / encoding as it comes    {each / paced:7.1f}")
    print(f"  complete in the archive             {len(there):7} of {count}")
    print(f"  gaps, which should be none          {len(gaps):7} {', '.join(lost[:5])}")
    return (len(there) != count) + bool(gaps)


def _run(folder: Path, url: str, count: int, postgres: int) -> float:
    """Run it; return what share of a core one recorder takes."""
    file = folder / "service.toml"
    names = "".join(f'[[source]]\nname = "s{number:02}"\n' for number in range(count))
    file.write_text(
        f'archive = "{url}"\nspool = "spool.db"\n'
        f'[defaults]\ninput = "{PLUGIN}"\nsamplerate = {FORMAT.sample_rate}\n{names}'
    )
    state = StateFolder(folder / "spool.db")
    began_s = time.monotonic()
    command = [sys.executable, "-m", "phonobase", "run", str(file)]
    log = (folder / "log").open("wb")
    with log, subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(_ROOT)}, stderr=log) as service:
        try:
            _wait_for_all(state, count)
            started_s = time.monotonic() - began_s
            children = _children(service.pid)
            forwarder = next(pid for pid in children if b"push" in _command(pid))
            recorders = [pid for pid in children if pid != forwarder]
            starting_s = _used_s(recorders) / count
            groups = {
                "recorders": recorders,
                "forwarder": [forwarder],
                "supervisor": [service.pid],
                "PostgreSQL": [postgres, *_children(postgres)],
            }
            before = {name: _used_s(pids) for name, pids in groups.items()}
            from_s = time.monotonic()
            time.sleep(_MEASURED_S)
            passed_s = time.monotonic() - from_s
            used = {name: (_used_s(pids) - before[name]) / passed_s for name, pids in groups.items()}
            forwarding = state.forwarder()
        finally:
            service.terminate()
    behind_s = forwarding.backlog_us / 1e6 / count if forwarding else float("nan")
    print(f"\n{count} sources, each {FORMAT}, in a service on {os.cpu_count()} cores")
    print(f"  until each has committed            {started_s:7.1f} s")
    print(f"  starting one takes about            {starting_s:7.2f} s cpu")
    for name, share in used.items():
        print(f"  {name:<36}{share:7.1%} of a core")
    print(f"  a recorder                          {used['recorders'] / count:7.3%} of a core")
    print(f"  the archive is behind by            {behind_s:7.1f} s")
    return used["recorders"] / count


def _encoding_alone() -> float:
    """Return what share of a core encoding takes, where all sound is there and nobody else is."""
    heard, block = sound(FORMAT), round(BLOCK_S * FORMAT.sample_rate)
    encoder = FlacEncoder(FORMAT)
    used_s, encoded = time.process_time(), 0
    while encoded < _ENCODED_S * FORMAT.sample_rate:
        first = encoded % len(heard)
        encoder.write(heard[first : first + block])
        encoded += block
    return (time.process_time() - used_s) / _ENCODED_S


def _encoding_as_it_comes() -> float:
    """Return the same where it is encoded when it comes: then caches are cold, and waking up costs too."""
    encoder, input_ = FlacEncoder(FORMAT), listen(FORMAT)
    used_s = time.process_time()
    for block in itertools.islice(input_.blocks(), round(_PACED_S / BLOCK_S)):
        encoder.write(block.frames)
    return (time.process_time() - used_s) / _PACED_S


def _wait_for_all(state: StateFolder, count: int) -> None:
    ends_s = time.monotonic() + _PATIENCE_S
    while True:
        said = state.sources()
        if len(said) == count and all(status.committed_us for status in said):
            return
        if time.monotonic() > ends_s:
            sys.exit(f"{len(said)} of {count} sources have begun after {_PATIENCE_S:.0f} s")
        time.sleep(0.2)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _used_s(pids: Iterable[int]) -> float:
    """Return the processor seconds that processes have used so far; one that has ended counts as none."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def main() -> None:
    """Measure; exit 1 where sound was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=int, nargs="?", default=SOURCES, help="how many")
    count = parser.parse_args().sources
    with PostgresServer() as postgres:
        if measure_sources(postgres, count):
            sys.exit("sound was lost, or is not in the archive")


if __name__ == "__main__":
    main()
