"""What recorders on this machine say of themselves, and what they are told: small files in one folder.

The folder stands beside the SQLite file that the recorders write, so whoever knows that file finds them.
No database is needed to pause a recorder or to see whether it lives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from phonobase.errors import RecorderError, RecorderRunning
from phonobase.recorder.lock import Lock, holder
from phonobase.recorder.plausible import plausible
from phonobase.recorder.private import make_folder, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX = "-recorders"
_FORWARDER = "forwarder.json"
_PAUSES_KEPT = 100
_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG_CHARACTERS = 40

Said = TypeVar("Said", "Pause", "SourceStatus", "ForwarderStatus")


@dataclass(frozen=True, slots=True)
class Pause:
    """That a source is not to be heard.

    Attributes:
        source: Which.
        reason: Why, for whoever reads the gap.
        since_us: When it was asked for, in microseconds since 1970-01-01 UTC.
        until_us: When the source was resumed; None while it is paused.
    """

    source: str
    reason: str
    since_us: int
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a recorder is doing; it says so every second. Times are microseconds since 1970-01-01 UTC.

    Attributes:
        source: What it records.
        pid: Its process.
        process: What tells that process from others with its number, as recover.recorder_facts has it.
        state: ``recording``, or why nothing is recorded: ``starting``, ``quiet``, ``paused``,
            ``device-lost``, ``disk-full``, ``database-down``, ``stopped``.
        detail: More of that, for people.
        state_since_us: Since when.
        updated_us: When this was said.
        run_id: The run, in hexadecimal; empty before the first frame.
        sample_rate: In Hz.
        frames_heard: Frames that arrived since the recorder started, recorded or not.
        heard_until_us: When the last of them was heard; None before the first.
        peak_dbfs: Of the last second; None where nothing came, or only digital silence.
        rms_dbfs: Likewise.
        zeros_since_us: Since when there are only zeros, as from a muted or forbidden microphone.
        committed_us: When something was committed last.
        committed_bytes: Bytes that were committed since the recorder started.
        started_us: When the recorder started.
        drift_ppm: The sample clock against the system's: positive where it is fast; None until known.
        gaps: Gaps that were listed since the recorder started.
        free_bytes: Room for more sound, on this disk.
        floor_bytes: Room below which nothing more is recorded.
    """

    source: str
    pid: int
    process: str | None
    state: str
    detail: str
    state_since_us: int
    updated_us: int
    run_id: str
    sample_rate: int
    frames_heard: int
    heard_until_us: int | None
    peak_dbfs: float | None
    rms_dbfs: float | None
    zeros_since_us: int | None
    committed_us: int | None
    committed_bytes: int
    started_us: int
    drift_ppm: float | None
    gaps: int
    free_bytes: int
    floor_bytes: int


@dataclass(frozen=True, slots=True)
class ForwarderStatus:
    """How forwarding is doing. Times are microseconds since 1970-01-01 UTC.

    Attributes:
        pid: Its process.
        process: What tells that process from others with its number.
        to: Where it forwards to, without the password.
        state: ``forwarding``, or ``waiting`` while the archive cannot be reached.
        detail: Why it waits, for people.
        state_since_us: Since when.
        updated_us: When this was said.
        forwarded_us: When the archive last acknowledged something.
        backlog_us: How much sound the archive does not have yet.
        backlog_bytes: Its size.
        conflicts: What the archive holds otherwise, a line each: a person must look.
    """

    pid: int
    process: str | None
    to: str
    state: str
    detail: str
    state_since_us: int
    updated_us: int
    forwarded_us: int | None
    backlog_us: int
    backlog_bytes: int
    conflicts: list[str] = field(default_factory=list)


class StateFolder:
    """The folder in which the recorders of one SQLite file meet those who ask for them.

    Args:
        database: That file.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + _SUFFIX)

    @contextlib.contextmanager
    def lock(self, source: str) -> Iterator[Lock]:
        """Be the only recorder of a source, for as long as the block lasts or the process lives.

        Ask ``is_held`` of it now and then: somebody may remove the folder.

        Raises:
            RecorderRunning: Another one is at it.
            RecorderError: The folder cannot be written to.
        """
        path = self._file(source, "lock")
        running = f"{source} is being recorded already, by process {{}}; stop that, or name another source"
        with self._only_one(path, running) as lock:
            self._clear_away(source)
            yield lock

    @contextlib.contextmanager
    def lock_service(self, file: Path) -> Iterator[Lock]:
        """Be the only supervisor of a service, as ``lock`` does for a source.

        Raises:
            RecorderRunning: Another one is at it.
            RecorderError: The folder cannot be written to.
        """
        path = self._file(f"service {file.absolute()}", "service")
        with self._only_one(path, f"{file} is run already, by process {{}}; stop that first") as lock:
            yield lock

    @contextlib.contextmanager
    def _only_one(self, path: Path, running: str) -> Iterator[Lock]:
        with self._writable():
            try:
                lock = Lock(path)
            except BlockingIOError:
                raise RecorderRunning(running.format(holder(path))) from None
        try:
            yield lock
        finally:
            lock.let_go()

    def pause(self, pause: Pause) -> None:
        """Ask for a source not to be heard, now and after a restart, until it is resumed.

        Raises:
            RecorderError: The folder cannot be written to.
        """
        with self._writable():
            _write(self._file(pause.source, "pause.json", make=True), pause, lasting=True)

    def resume(self, source: str, now_us: int) -> None:
        """Ask for a source to be heard again; what was heard before is not.

        Raises:
            RecorderError: The folder cannot be written to.
        """
        pause = self.paused(source)
        if pause is None:
            return
        ended = dataclasses.replace(pause, until_us=max(now_us, pause.since_us))
        with self._writable():
            # In this order: a crash between the two leaves it paused.
            _append(self._file(source, "pauses.jsonl"), json.dumps(dataclasses.asdict(ended)))
            self._file(source, "pause.json").unlink(missing_ok=True)

    def pauses(self, source: str) -> list[Pause]:
        """Return the last pauses of a source, the present one behind those that have ended."""
        lines: list[bytes] = []
        with contextlib.suppress(OSError):
            lines = self._file(source, "pauses.jsonl").read_bytes().splitlines()[-_PAUSES_KEPT:]
        ended = [pause for pause in (plausible(Pause, line) for line in lines) if pause]
        present = self.paused(source)
        return [*ended, present] if present else ended

    def pauses_changed(self, source: str) -> object:
        """Return something that is another one whenever ``pauses`` would be: this is cheap to ask."""
        return [_stamp(self._file(source, kind)) for kind in ("pause.json", "pauses.jsonl")]

    def paused(self, source: str) -> Pause | None:
        """Return what was asked by ``pause``."""
        # What cannot be read counts as well: better no sound than sound that nobody may keep.
        path = self._file(source, "pause.json")
        pause = _read(path, Pause)
        return pause or (Pause(source, "a pause that cannot be read", 0) if _may_exist(path) else None)

    def say(self, status: SourceStatus) -> None:
        """Tell how a source is doing."""
        _write(self._file(status.source, "status.json", make=True), status)

    def said(self, source: str) -> SourceStatus | None:
        """Return what its recorder said last of a source."""
        return _read(self._file(source, "status.json"), SourceStatus)

    def sources(self) -> list[SourceStatus]:
        """Return what was said last of every source that was recorded here, by name.

        Raises:
            RecorderError: The folder cannot be read.
        """
        with self._readable():
            next(self.path.iterdir(), None)  # glob finds nothing where it may not look
        found = (_read(path, SourceStatus) for path in self.path.glob("*.status.json"))
        return sorted((status for status in found if status), key=lambda status: status.source)

    def forget(self, source: str) -> bool:
        """Forget what was said of a source that is recorded no more; return whether there was something."""
        path = self._file(source, "status.json")
        known = path.exists()
        path.unlink(missing_ok=True)
        return known

    def say_forwarder(self, status: ForwarderStatus) -> None:
        """Tell how forwarding is doing."""
        make_folder(self.path)
        _write(self.path / _FORWARDER, status)

    def forwarder(self) -> ForwarderStatus | None:
        """Return what the forwarder said last."""
        return _read(self.path / _FORWARDER, ForwarderStatus)

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecorderError(
                f"{self.path}: {error.strerror}; make it a folder that this user may write to"
            ) from error

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            pass  # nothing was recorded here yet
        except OSError as error:
            raise RecorderError(
                f"{self.path}: {error.strerror}; ask as the user that records, or as root"
            ) from error

    def _file(self, source: str, kind: str, *, make: bool = False) -> Path:
        if make:  # whoever only reads leaves nothing behind
            make_folder(self.path)
        # A name may hold anything; its hash tells those apart that look alike once made plain.
        slug = _SLUG.sub("-", source.lower())[:_SLUG_CHARACTERS].strip("-")
        return self.path / f"{slug}.{_digest(source)}.{kind}"

    def _clear_away(self, source: str) -> None:
        """Remove what a recorder that was killed had begun to write of its status."""
        for path in self.path.glob(f".{self._file(source, 'status.json').name}.*"):
            path.unlink(missing_ok=True)


def _digest(source: str) -> str:
    # Also of a name that no source can have: whoever asks for it learns that there is none.
    return hashlib.sha256(source.encode(errors="surrogatepass")).hexdigest()[:8]


def _may_exist(path: Path) -> bool:
    """Whether a file is there, or may be, for all that can be seen."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _write(path: Path, said: Pause | SourceStatus | ForwarderStatus, *, lasting: bool = False) -> None:
    """Replace a file whole: nobody reads half of it."""
    text = json.dumps(dataclasses.asdict(said)).encode()
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)  # a beginning must not take the last bytes of a disk
        if error.errno != errno.ENOSPC or lasting:
            raise
        _overwrite(path, text)
    if lasting:
        _keep_name(path.parent)


def _append(path: Path, line: str) -> None:
    """Add a line to a file, and let it be there also after a power failure."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as file:
        file.write(f"\n{line}\n".encode())  # on a line of its own, whatever a crash left of the one before
        file.flush()
        os.fsync(file.fileno())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _overwrite(path: Path, text: bytes) -> None:
    """Write over a file, in the room that it has: that its disk is full is just what must be told then.

    Whoever reads it at the same moment may find nothing, and finds it a moment later.
    """
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, text.ljust(os.fstat(descriptor).st_size), 0)
    finally:
        os.close(descriptor)


def _keep_name(folder: Path) -> None:
    """Let the names in a folder outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, kind: type[Said]) -> Said | None:
    """Return what a file says; None where it is not there, or says what cannot be."""
    try:
        return plausible(kind, path.read_bytes())
    except OSError:
        return None
