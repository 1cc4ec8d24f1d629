from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from examples.flask_orders import create_app
from phonobase import Archive
from tests.store.judge import Program, flac_pcm, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

PCM = random_pcm(24_000, 2, "int16")


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """What records the calls: another program than the shop."""
    with Archive(archive_url) as opened:
        yield opened


@pytest.fixture
def client(archive_url: str) -> Iterator[FlaskClient]:
    """The shop, running."""
    app = create_app(archive_url)
    yield app.test_client()
    app.extensions["archive"].engine.dispose()


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_it_makes_its_tables(database: str, request: pytest.FixtureRequest) -> None:
    """On an empty database the shop makes phonobase's tables and its own, and takes orders."""
    url = request.getfixturevalue(database)
    app = create_app(url)
    _place(app.test_client(), "A-1")
    app.extensions["archive"].engine.dispose()
    counts = "SELECT (SELECT count(*) FROM shop_order), (SELECT count(*) FROM phono_recording)"
    assert Program(url).lines(counts) == ["1|0"]


def _place(client: FlaskClient, number: str, call_id: str | None = None) -> None:
    order = {"number": number, "desk": "desk-3", "call_id": call_id}
    assert client.post("/orders", json=order).status_code == 201


def _shown(client: FlaskClient, number: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(client.get(f"/orders/{number}").data)
    return shown


def test_a_call_is_found_from_its_order(client: FlaskClient, archive: Archive, archive_url: str) -> None:
    """By the telephone system's name for the call, where there is one, or by desk and moment."""
    now = datetime.now(UTC)
    call = archive.add(PCM, 8000, 2, source="telephone", external_id="call-4711", started_at=now)
    archive.add(PCM, 8000, 2, source="desk-3", started_at=now - timedelta(hours=1))
    archive.add(PCM, 8000, 2, source="desk-4", started_at=now)
    hour = archive.add(
        bytes(2 * 3600), 1, source="desk-3", started_at=now - timedelta(minutes=10), encoding="pcm"
    )
    _place(client, "A-1", "call-4711")
    _place(client, "A-2")
    _place(client, "A-3", "call-4712")

    assert _shown(client, "A-1")["recording"] == call.id.hex
    found = _shown(client, "A-2")
    assert (found["recording"], found["seconds"], found["state"]) == (hour.id.hex, 3600.0, "complete")
    assert 600 <= found["placed_at_second"] < 660
    assert client.get("/orders/A-3").status_code == client.get("/orders/A-4").status_code == 404
    joined = "SELECT o.number, c.source FROM shop_order o JOIN phono_clips c ON c.external_id = o.call_id"
    assert Program(archive_url).lines(joined) == ["A-1|telephone"]


def test_a_call_is_heard(client: FlaskClient, archive: Archive, tmp_path: Path) -> None:
    """The call comes back as it was recorded, whole, in parts, and not again while it is the same."""
    archive.add(PCM, 8000, 2, source="telephone", external_id="call-4711")
    _place(client, "A-1", "call-4711")
    whole = client.get("/orders/A-1/call")
    assert (whole.status_code, whole.mimetype) == (200, "audio/flac")
    assert whole.headers["Content-Length"] == str(len(whole.data))
    (tmp_path / "call.flac").write_bytes(whole.data)
    assert flac_pcm(tmp_path / "call.flac") == PCM
    for asked, start, stop in (("0-99", 0, 100), ("40000-", 40_000, None), ("-7", -7, None)):
        part = client.get("/orders/A-1/call", headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.data) == (206, whole.data[start:stop])
    again = client.get("/orders/A-1/call", headers={"If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    refused = client.get("/orders/A-1/call", headers={"Range": "bytes=999999999-"})
    assert refused.status_code == 416
