"""Programs that run while something is measured, and the address of those that listen."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S = 60
_ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def started(command: list[str], ends_with: signal.Signals) -> Iterator[int]:
    """Run a program and yield its number; at the end it gets a signal, and time to end."""
    environment = os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.send_signal(ends_with)
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def served(url: str) -> Iterator[tuple[int, str]]:
    """Serve an archive, and yield the process and its address."""
    port = free_port()
    command = [sys.executable, "-m", "phonobase", "serve", "--db", url, "--port", str(port)]
    with started([*command, "--requests-per-minute", "1000000"], signal.SIGTERM) as pid:
        wait_for(port)
        yield pid, f"http://127.0.0.1:{port}"


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until somebody listens at a port."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > give_up_s:
                sys.exit("a server does not start")
            time.sleep(0.1)
        else:
            return
