"""Serves an archive in a process of its own, so that it can be killed, and says what decoding took.

Run as a program: the archive's address, a file for what is logged, and limits by name.
"""

from __future__ import annotations

import logging
import socket
import sys
from dataclasses import replace
from typing import Any

import uvicorn

from phonobase import Archive
from phonobase.web import Limits, create_app


def main(url: str, log: str, *limits: str) -> None:
    """Serves at a free port and prints where."""
    told = logging.getLogger("phonobase.decoders")
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(status)d %(peak_kib)d"))
    told.addHandler(handler)
    told.setLevel(logging.DEBUG)
    given: dict[str, Any] = {name: int(value) for name, value in (each.split("=") for each in limits)}
    with Archive(url) as archive, socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        app = create_app(archive, limits=replace(Limits(), **given))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
