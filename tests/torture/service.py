"""A service that records the world, the processes that it consists of, and what they left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from phonobase import Archive
from phonobase.recorder.state import StateFolder
from tests.cli.program import PATIENCE_S, Program
from tests.store.both_ends import rows
from tests.store.judge import Program as Database
from tests.support.accounts import Account, account
from tests.support.world import environment
from tests.torture.listener import HANDED_OVER, PLUGIN, handed_over

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from typing import TypeVar

    Found = TypeVar("Found")

FACTOR = float(os.environ.get("TORTURE", "1"))
"""How much more than in a usual run of the tests is done: kills, and seconds without an archive."""

ALL_IS_KEPT = "1h"
FORWARDER, SUPERVISOR = "forwarder", "supervisor"

_SERVICE = """
archive = "{url}"
spool = "spool.db"
grace = "{grace}"
[defaults]
input = "{plugin}"
samplerate = {rate}
channels = 1
chunk = "0.5s"
rollover = "5s"
"""
_FLAC_FRAME = 4096
_TABLES = ("phono_source", "phono_recording", "phono_chunk", "phono_audio", "phono_gap")


class Service:
    """A service whose parts may be killed.

    Args:
        folder: Where its file, its spool and its log are.
        url: Its archive, on a server.
        sources: What it records, each in a process.
        rate: In Hz.
        grace: How long the spool keeps what the archive has.
    """

    def __init__(
        self, folder: Path, url: str, sources: Sequence[str], rate: int, grace: str = ALL_IS_KEPT
    ) -> None:
        self.url, self.spool_url = url, f"sqlite:///{folder / 'spool.db'}"
        self.sources, self.rate, self.grace = sources, rate, grace
        self.state = StateFolder(folder / "spool.db")
        self._notes = folder / "handed-over"
        self._notes.mkdir()
        self._program = Program(url, folder, **environment(), **{HANDED_OVER: str(self._notes)})
        self._file = folder / "service.toml"
        tables = "".join(f'[[source]]\nname = "{name}"\n' for name in sources)
        self._file.write_text(_SERVICE.format(url=url, plugin=PLUGIN, rate=rate, grace=grace) + tables)
        self._log = folder / "log"
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def chunk_frames(self) -> int:
        """Frames in a chunk: whole FLAC frames, half a second at least."""
        return -(-self.rate // 2 // _FLAC_FRAME) * _FLAC_FRAME

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs it for as long as the block lasts; it has ended cleanly then, unless the block failed."""
        self.start()
        try:
            self.until(lambda: all(map(self._commits, self.sources)))
            yield
            assert self._stop() == 0, self.log()
        except BaseException:
            print(self.log()[-5000:])
            raise
        finally:
            self._leave_nothing_running()

    def start(self) -> None:
        """Starts the supervisor."""
        with self._log.open("ab") as log:
            self._supervisor = self._program.start("run", self._file, stdout=log, stderr=log)

    def processes(self) -> dict[str, int]:
        """Returns what runs now: the supervisor, its forwarder, and the recorder of each source."""
        assert self._supervisor is not None
        pid = self._supervisor.pid
        found = {SUPERVISOR: pid}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = _command(int(child))
            if "--only" in words:
                found[words[words.index("--only") + 1]] = int(child)
            elif "--follow" in words:
                found[FORWARDER] = int(child)
        return found

    def at_work(self) -> list[str]:
        """Returns the sources whose recorders hear something."""
        processes, handed = self.processes(), handed_over(self._notes)
        return [source for source in self.sources if handed.get(processes.get(source, 0))]

    def kill(self, name: str) -> int:
        """Kills a process, once it runs, as a crash would; returns its id.

        The supervisor is started again.
        """
        self.until(lambda: name in self.processes())
        pid = self.processes()[name]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if name == SUPERVISOR:
            assert self._supervisor is not None
            self._supervisor.wait()
            self.start()
        return pid

    def settle(self) -> None:
        """Waits until every source is stored again, and the archive has what is in the spool by then."""
        now_us = time.time_ns() // 1000
        self.until(lambda: all(self._commits(source, now_us) for source in self.sources))
        frames, reached = self.frames(self.spool_url), self._reached(self.spool_url)
        self.until(lambda: self.frames(self.url) >= frames)
        self.until(lambda: self._reached(self.url) >= reached)

    def frames(self, url: str) -> int:
        """Returns how many frames an archive holds, by `sqlite3` or `psql`."""
        return int(Database(url).value("SELECT coalesce(sum(frame_count), 0) FROM phono_chunk"))

    def log(self) -> str:
        """Returns what its processes have logged."""
        return self._log.read_text(errors="replace")

    def until(self, true: Callable[[], Found], patience_s: float = PATIENCE_S) -> Found:
        """Waits until something holds, and returns it."""
        ends = time.monotonic() + patience_s
        while not (found := true()):
            assert time.monotonic() < ends, self.log()[-5000:]
            assert self._supervisor is None or self._supervisor.poll() is None, self.log()[-5000:]
            time.sleep(0.05)
        return found

    def judged(self) -> dict[str, Account]:
        """Returns what the archive holds of each source.

        Fails unless both ends are undamaged, closed and the same, but for what has left the spool.
        """
        here, there = rows(self.spool_url), rows(self.url)
        for table in _TABLES:
            assert Database(self.url).value(f"SELECT count(*) FROM {table}") == str(len(there[table]))
            assert set(here[table]) <= set(there[table]), table
            if self.grace == ALL_IS_KEPT:
                assert len(here[table]) == len(there[table]), table
        for url in (self.spool_url, self.url):
            assert Database(url).lines("SELECT id FROM phono_recording WHERE state = 'recording'") == []
            with Archive(url) as archive:
                faults = [archive.verify(recording.id).faults for recording in archive.find(limit=None)]
            assert faults == [()] * len(faults)
        with Archive(self.url) as archive:
            return {source: account(archive, source) for source in self.sources}

    def lost(self) -> dict[int, int]:
        """Returns how many of the frames that each recorder was given are not in the archive, by process."""
        stored: Counter[int] = Counter()
        with Archive(self.url) as archive:
            by_id = {recording.id: recording for recording in archive.find(limit=None)}
            pids = {id_: int(recording.capture["pid"] or 0) for id_, recording in by_id.items()}
            for id_, recording in by_id.items():
                stored[pids[id_]] += recording.frame_count
            for gap in archive.gaps():
                if gap.recording_id is not None:
                    stored[pids[gap.recording_id]] -= gap.frame_count or 0
        return {pid: handed - stored[pid] for pid, handed in handed_over(self._notes).items()}

    def _reached(self, url: str) -> datetime:
        """Returns until when an archive holds every source."""
        with Archive(url) as archive:
            return min(filter(None, map(archive.accounted_until, self.sources)))

    def _commits(self, source: str, since_us: int = 0) -> bool:
        said = self.state.said(source)
        return said is not None and (said.committed_us or 0) > since_us

    def _stop(self) -> int:
        assert self._supervisor is not None
        self._supervisor.send_signal(signal.SIGTERM)
        return self._supervisor.wait(PATIENCE_S)

    def _leave_nothing_running(self) -> None:
        """Ends what a test that failed has left: whatever was called with a file of this service."""
        mine = str(self._file.parent)
        for process in Path("/proc").glob("[0-9]*"):
            if any(mine in word for word in _command(int(process.name))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process.name), signal.SIGKILL)
        if self._supervisor is not None:
            self._supervisor.wait()


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
