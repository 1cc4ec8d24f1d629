from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from phonobase import Archive


def test_sources(archive: Archive, client: TestClient) -> None:
    """All sources are listed, by name."""
    for source in ("reef-north", "desk-3"):
        archive.add(b"\0\1" * 800, 8000, source=source)
    names = [source["name"] for source in client.get("/api/sources").json()["sources"]]
    assert names == ["desk-3", "reef-north"]
