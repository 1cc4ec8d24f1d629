from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from phonobase.store.models import SourceRow
from phonobase.web import create_app
from tests.store.bulk import add_many
from tests.store.watched import Watched
from tests.web.open_recording import leave_open
from tests.web.visitors import asking

if TYPE_CHECKING:
    from phonobase import Archive
    from tests.store.judge import Program, Raw

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PCM = b"\0\1" * 800
MANY = 20_000
LAST_CHUNKS = """
INSERT INTO phono_chunk (recording_id, seq, first_frame, frame_count, first_byte, byte_count, captured_at,
    peak_dbfs, rms_dbfs, peaks, sha256, chain)
SELECT id, chunk_count - 1, 0, 1, 0, 1, started_at, -1.0, -2.0, header, header_sha256, header_sha256
FROM phono_recording
"""


def _said(client: TestClient, what: str = "sources") -> list[dict[str, Any]]:
    answer = client.get(f"/api/{what}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sources"]
    return found


def test_sources(archive: Archive, client: TestClient) -> None:
    """Every source is listed with what it heard first and last, also one that heard nothing yet."""
    assert _said(client) == []
    for seconds, source in ((5, "reef-north"), (0, "desk-3"), (9, "desk-3")):
        archive.add(PCM, 8000, source=source, started_at=NOON + seconds * SECOND)
    with archive.session(writes=True) as session, session.begin():
        session.add(SourceRow(name="Zoë's", description="by the window", created_at=NOON))
    found = {each.pop("name"): each for each in _said(client)}
    closed = {"recording_id": None, "recording": False}
    assert found == {
        "desk-3": {
            "description": None,
            "first_heard_at": "2026-03-01T12:00:00Z",
            "last_heard_at": "2026-03-01T12:00:09.100000Z",
        }
        | closed,
        "reef-north": {
            "description": None,
            "first_heard_at": "2026-03-01T12:00:05Z",
            "last_heard_at": "2026-03-01T12:00:05.100000Z",
        }
        | closed,
        "Zoë's": {"description": "by the window", "first_heard_at": None, "last_heard_at": None} | closed,
    }


def test_a_source_that_is_recorded_names_the_recording(
    archive: Archive, client: TestClient, program: Program
) -> None:
    """A source has an open recording until that is closed, and is recorded while sound comes to it."""
    recording_id = leave_open(archive, "desk-3", PCM)
    (said,) = _said(client)
    assert (said["recording_id"], said["recording"]) == (recording_id.hex, True)
    ago = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-2 minutes')"
    ago = ago if program.is_sqlite else "now() - interval '2 minutes'"
    program.run_script(f"UPDATE phono_recording SET committed_at = {ago}")
    (said,) = _said(client)
    assert (said["recording_id"], said["recording"]) == (recording_id.hex, False)
    archive.close_as_stored(recording_id)
    (said,) = _said(client)
    assert (said["recording_id"], said["recording"]) == (None, False)


def test_a_visitor_sees_their_sources_only(archive: Archive) -> None:
    """Sources that are not theirs are not listed, whether they are recorded now or not."""
    archive.add(PCM, 8000, source="theirs")
    recording_id = leave_open(archive, "another", PCM)
    for what, names in (("sources", ["theirs"]), ("status", [])):
        client = asking(archive, "theirs", "never-heard")
        assert [each.get("name", each.get("source")) for each in _said(client, what)] == names
    (said,) = _said(asking(archive, "another"), "status")
    assert said["recording_id"] == recording_id.hex


@pytest.fixture
def many(archive: Archive, raw: Raw) -> Watched:
    """An archive of twenty thousand recordings, of which some are open."""
    add_many(raw, MANY)
    raw.run("UPDATE phono_recording SET state = 'recording' WHERE external_id IN ('case-3', 'case-19000')")
    raw.run(LAST_CHUNKS)
    raw.run("ANALYZE")
    return Watched(archive)


@pytest.mark.parametrize(
    ("what", "indices", "names"),
    [
        ("sources", ["ix_phono_recording_source_started_at", "ix_phono_recording_open"], ["often", "rare"]),
        ("status", ["ix_phono_recording_open"], ["often", "rare"]),
    ],
)
def test_it_is_looked_up(many: Watched, what: str, indices: list[str], names: list[str]) -> None:
    """However much was recorded, the sources and what is recorded now are a few looks into an index."""
    with TestClient(create_app(many.archive)) as client:
        many.forget()
        assert [each.get("name", each.get("source")) for each in _said(client, what)] == names
    plan = many.plan
    assert [index for index in indices if index not in plan] == []
    assert many.work < 400
