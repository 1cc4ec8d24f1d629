from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from phonobase import Archive
from phonobase.web import Scope, create_app
from tests.store.judge import flac_pcm
from tests.web.guests import door, guest
from tests.web.open_recording import leave_open
from tests.web.visitors import asking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.judge import Program
    from tests.support.postgres import PostgresServer

LOUD, QUIET = b"\xff\x7f" * 8192, b"\x21\x00" * 8192


def test_status(archive: Archive, client: TestClient, program: Program) -> None:
    """What is recorded now is listed with how far behind it is and the level of its newest chunk."""
    assert client.get("/api/status").json() == {"sources": []}
    archive.add(LOUD, 8000, source="done")
    recording_id = leave_open(archive, "desk-3", LOUD, QUIET)
    before = datetime.now(UTC)
    (said,) = client.get("/api/status").json()["sources"]
    until = datetime.fromisoformat(said.pop("heard_until"))
    behind = said.pop("behind_seconds")
    assert (before - until).total_seconds() <= behind <= (datetime.now(UTC) - until).total_seconds()
    assert (until - datetime.fromisoformat(said.pop("started_at"))).total_seconds() == 2.048
    row = program.value("SELECT peak_dbfs FROM phono_chunk ORDER BY captured_at DESC, seq DESC LIMIT 1")
    assert said.pop("peak_dbfs") == pytest.approx(float(row), rel=1e-12)
    assert -60 < said.pop("rms_dbfs") < -59
    assert said == {"source": "desk-3", "recording_id": recording_id.hex, "recording": True}


def test_silence_has_no_level(archive: Archive, client: TestClient) -> None:
    """The newest chunk of a muted source has null for its levels."""
    leave_open(archive, "desk-3", LOUD, bytes(16_384))
    (said,) = client.get("/api/status").json()["sources"]
    assert (said["peak_dbfs"], said["rms_dbfs"]) == (None, None)


def test_health(archive: Archive, program: Program) -> None:
    """The service is well while its tables are those of this version; nobody has to say who asks."""

    async def nobody(_request: object, /) -> None:
        return None

    with TestClient(create_app(archive, authenticate=nobody)) as client:
        assert client.get("/api/status").status_code == 401
        assert (client.get("/api/health").status_code, client.get("/api/health").json()) == (
            200,
            {"status": "ok"},
        )
        program.run_script("UPDATE phono_alembic_version SET version_num = 'phonobase_0001'")
        answer = client.get("/api/health")
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    assert answer.json()["detail"] == "the archive cannot answer this now; the service's log says why"


def test_a_database_that_is_gone(own_postgres: PostgresServer) -> None:
    """Where the database does not answer, the service is not well, and tells nothing of where that is."""
    own_postgres.create_database("gone")
    url = own_postgres.url("gone")
    from phonobase.store import schema  # noqa: PLC0415
    from phonobase.store.engine import create_engine  # noqa: PLC0415

    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    with Archive(url) as archive, TestClient(create_app(archive)) as client:
        assert client.get("/api/health").status_code == 200
        own_postgres.stop()
        for path in ("health", "sources", "recordings", "status"):
            answer = client.get(f"/api/{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.json()["detail"] in (
                "the archive cannot answer this now; the service's log says why",
                "nothing is given while the log of access cannot be written",
            )


def test_metrics(archive: Archive, client: TestClient, tmp_path: Path) -> None:
    """Requests, their first byte and the bytes that were sent are counted for each action."""
    recording = archive.add(QUIET, 8000)
    leave_open(archive, "desk-3", LOUD)
    audio = client.get(f"/api/recordings/{recording.id.hex}/audio").content
    (tmp_path / "sent.flac").write_bytes(audio)
    assert flac_pcm(tmp_path / "sent.flac") == QUIET
    client.get("/api/recordings/" + "0" * 32)
    client.get("/api/nothing")
    answer = client.get("/api/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["phonobase_http_requests_total", "get_audio", "200"] == 1
    assert found["phonobase_http_requests_total", "get_recording", "404"] == 1
    assert found["phonobase_http_requests_total", "unknown", "404"] == 1
    assert found["phonobase_http_sent_bytes_total", "get_audio"] == len(audio)
    assert found["phonobase_http_first_byte_seconds_count", "get_audio"] == 1
    assert found["phonobase_http_requests_in_progress",] == 1
    assert found["phonobase_recordings_open",] == 1


def test_metrics_are_for_who_looks_after_the_service(archive: Archive) -> None:
    """Who may read and write has no metrics, nor who may know of some sources only: they tell of all."""
    for scope, status in ((Scope.READ, 403), (Scope.WRITE, 403), (Scope.ADMIN, 200)):
        with door(archive) as client:
            shows = guest(archive, scope).shows
            assert client.get("/api/metrics", headers=shows).status_code == status
        limited = asking(archive, "desk-3", scope=scope).get("/api/metrics")
        assert limited.status_code == 403
        assert "phonobase_" not in limited.text
