from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

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
        answer = client.get(paths[number % len(paths)])
        assert answer.status_code == 200, answer.text
        assert "/audio" not in str(answer.url) or answer.content == whole

    together = httpx.Limits(max_connections=ASKING, max_keepalive_connections=0)
    with (
        httpx.Client(base_url=f"{address}/api/", timeout=60, limits=together) as client,
        ThreadPoolExecutor(ASKING) as pool,
    ):
        list(pool.map(ask, range(EACH * ASKING)))

    async def threads() -> float:
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    # One more writes the log of access.
    assert len(opened) <= anyio.run(threads) + 1
