"""What is logged does not depend on where a host mounts the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from phonobase.web import create_app
from tests.web.guests import door, logged

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program

on_sqlite = pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)


@on_sqlite
@pytest.mark.parametrize("root_path", ["", "/", "/a", "/ap", "/api", "/x", "/x/"])
def test_what_is_given_is_logged_wherever_it_is_mounted(
    archive: Archive, program: Program, root_path: str
) -> None:
    """A server that names a path where the application stands, be it there or not, hides nothing."""
    recording = archive.add(b"\0\1" * 800, 8000, source="desk")
    with TestClient(create_app(archive), root_path=root_path) as client:
        asked = [client.get("/api/sources"), client.get(f"/api/recordings/{recording.id.hex}/audio")]
        public = [client.get("/api/health"), client.get("/"), client.get("/api/openapi.json")]
    given = [
        name for name, one in zip(["list_sources", "get_audio"], asked, strict=True) if one.status_code == 200
    ]
    assert logged(program, "action") == given
    assert given or root_path == "/api"
    assert {one.status_code for one in public} <= {200, 404}


@on_sqlite
@pytest.mark.parametrize("root_path", ["/", "/a", "/sound"])
def test_what_a_host_mounts_is_logged(archive: Archive, program: Program, root_path: str) -> None:
    """So it is where the host that mounts it is itself said to stand there."""
    host = FastAPI()
    host.mount("/", create_app(archive))
    with TestClient(host, root_path=root_path) as client:
        assert client.get("/api/sources").status_code == 200
        assert client.get("/api/nothing").status_code == 404
    assert logged(program, "action") == ["list_sources"]


@on_sqlite
@pytest.mark.parametrize("path", ["/api/recordings/", "/api/sources/", "/api/session/"])
def test_a_slash_too_many_is_another_path(
    archive: Archive, program: Program, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """It is not there, for whoever asks, and neither log has anything to say of it."""
    with door(archive) as strangers, door(archive, open_here=True) as client:
        for method in ("GET", "POST"):
            assert strangers.request(method, path).status_code == 404
            assert client.request(method, path).status_code == 404
    assert logged(program) == []
    assert not [record for record in caplog.records if record.name.startswith("phonobase")]
