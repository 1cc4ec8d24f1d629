"""A server of uploads in a process of its own, what it runs and holds, and who sends to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.store.judge import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).with_name("upload_server.py")
_PATIENCE_S = 60


@dataclass(frozen=True)
class UploadServer:
    """A server that may be killed.

    Attributes:
        process: It.
        client: Who asks it, by any number of threads.
        folder: Where it may put what nobody shall see.
        log: What it said of each process that decoded: how it ended, and its memory in KiB.
    """

    process: subprocess.Popen[str]
    client: httpx.Client
    folder: Path
    log: Path

    def post(self, content: bytes, **fields: str) -> httpx.Response:
        """Sends a file."""
        return self.post_file("sound", content, fields)

    def post_file(self, name: str, content: bytes, fields: dict[str, str]) -> httpx.Response:
        """Sends a file that has a name."""
        data = {"source": "desk", **fields}
        return self.client.post("/api/recordings", files={"file": (name, content)}, data=data)

    def program(self) -> int | None:
        """Returns the process that others come from which decode; None, where there is none."""
        found = children(self.process.pid)
        assert len(found) <= 1
        return found[0] if found else None

    def decoding(self) -> list[int]:
        """Returns the processes that decode."""
        program = self.program()
        return [] if program is None else children(program)

    def memory_kib(self) -> int:
        """Returns the most memory that the server itself has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def unnamed_files(self) -> list[str]:
        """Returns the files that the server has open although they have no name."""
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(str(descriptor.readlink()))
        return [name for name in found if name.startswith(str(self.folder))]

    def assert_idle(self) -> None:
        """Fails unless nothing of any upload is left, neither a file nor a process."""
        wait_until(lambda: not self.decoding())
        wait_until(lambda: not self.unnamed_files())
        assert list(self.folder.iterdir()) == []


@contextlib.contextmanager
def upload_server(url: str, folder: Path, **limits: int) -> Iterator[UploadServer]:
    """Serves an archive in a process of its own, which is killed at the end unless it has ended."""
    files, log = folder / "files", folder / "decoders.log"
    files.mkdir(exist_ok=True)
    given = [f"{name}={most}" for name, most in limits.items()]
    command = [sys.executable, str(SERVER), url, str(log), *given]
    environment = os.environ | {"TMPDIR": str(files), "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the server does not start"
        with httpx.Client(base_url=address, timeout=_PATIENCE_S, trust_env=False) as client:
            try:
                yield UploadServer(process, client, files, log)
            finally:
                process.kill()


def children(pid: int) -> list[int]:
    """Returns the processes that a process has started and that have not ended."""
    try:
        told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [number for number in map(int, " ".join(told).split()) if runs(number)]


def runs(pid: int) -> bool:
    """Tells whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
