from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread
import httpx
from sqlalchemy import event

if TYPE_CHECKING:
    from phonobase import Archive

PCM = bytes(range(256)) * 200
ASKING, EACH = 200, 2


def test_two_hundred_at_once_share_the_connections(archive: Archive, address: str) -> None:
    """Each of two hundred who ask at once is answered, by no more connections than there are threads."""
    recording = archive.add(PCM, 8000, source="desk-3")
    whole = httpx.get(f"{address}/api/recordings/{recording.id.hex}/audio").content
    opened: list[object] = []
    event.listen(archive.engine, "connect", lambda connection, _record: opened.append(connection))
    paths = ["sources", "recordings?source=desk-3", f"recordings/{recording.id.hex}/audio", "status", "gaps"]

    def ask(number: int) -> None:
        path = paths[number % len(paths)]
        with closing(HTTPConnection(urlsplit(address).netloc, timeout=60)) as wire:
            wire.request("GET", f"/api/{path}")
            answer = wire.getresponse()
            content = answer.read()
        assert answer.status == 200, content
        assert not path.endswith("/audio") or content == whole

    with ThreadPoolExecutor(ASKING) as pool:
        list(pool.map(ask, range(EACH * ASKING)))

    async def threads() -> float:
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    # One more writes the log of access.
    assert len(opened) <= anyio.run(threads) + 1
