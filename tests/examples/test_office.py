from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
import soundfile
from fastapi.testclient import TestClient

from examples.fastapi_office import create_app
from phonobase import Archive
from tests.store.judge import flac_pcm, frames_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PCM = random_pcm(24_000, 1, "int16")
ANNA, BEN, CHIEF = ({"X-Remote-User": name} for name in ("anna", "ben", "chief"))


@pytest.fixture
def office(archive_url: str) -> Iterator[TestClient]:
    """The office's program, running, with a recording of desk-1 and one of desk-3."""
    with Archive(archive_url) as archive:
        for number in (1, 3):
            archive.add(PCM, 8000, source=f"desk-{number}", title=f"desk {number}")
    with TestClient(create_app(archive_url)) as running:
        yield running


def _titles(office: TestClient, headers: dict[str, str]) -> list[str]:
    found = office.get("/recordings/api/recordings", headers=headers).json()["recordings"]
    return sorted(each["title"] for each in found)


def test_the_office_says_who_asks(office: TestClient) -> None:
    """Each sees the desks they look after, the chief all of them, and a stranger nothing."""
    assert office.get("/desks").json() == {"desks": ["desk-1", "desk-2", "desk-3"]}
    assert (_titles(office, ANNA), _titles(office, BEN)) == (["desk 1"], ["desk 3"])
    assert _titles(office, CHIEF) == ["desk 1", "desk 3"]
    stranger = office.get("/recordings/api/recordings", headers={"X-Remote-User": "nobody"})
    assert (stranger.status_code, stranger.json()["status"]) == (401, 401)
    assert office.get("/recordings/api/me", headers=ANNA).json() == {
        "name": "anna",
        "scope": "write",
        "sources": ["desk-1", "desk-2"],
        "session": False,
    }
    assert office.get("/recordings/api/metrics", headers=ANNA).status_code == 403
    assert "phonobase_http_requests" in office.get("/recordings/api/metrics", headers=CHIEF).text


def test_everything_lies_below_where_it_is_mounted(office: TestClient, tmp_path: Path) -> None:
    """The page, its files, what the API says of itself and where uploads went lead to the mounted archive."""
    page = office.get("/recordings/", headers=ANNA)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'src="/' not in page.text
    assert 'href="/' not in page.text
    description = office.get("/recordings/api/openapi.json", headers=ANNA).json()
    assert [server["url"] for server in description["servers"]] == ["/recordings"]
    assert "/api/recordings" in description["paths"]
    assert "/recordings/api/recordings" not in office.get("/openapi.json").json()["paths"]
    file = io.BytesIO()
    soundfile.write(file, frames_of(PCM, 1, "int16"), 8000, format="WAV")
    place = "/recordings/api/recordings"
    sent = office.post(
        place, headers=ANNA, data={"source": "desk-2"}, files={"file": ("a.wav", file.getvalue())}
    )
    assert sent.status_code == 201, sent.text
    added = urljoin(place, sent.headers["location"])
    assert office.get(added, headers=ANNA).json() == sent.json()
    audio = office.get(f"{added}/audio", headers=ANNA)
    (tmp_path / "back.flac").write_bytes(audio.content)
    assert flac_pcm(tmp_path / "back.flac") == PCM
    assert office.get(f"{added}/audio", headers=BEN).status_code == 404


def test_the_offices_problems_stay_its_own(office: TestClient) -> None:
    """What is wrong below the place is a problem; what is wrong beside it is answered by the host."""
    assert office.get("/nothing").json() == {"detail": "Not Found"}
    answer = office.get("/recordings/api/nothing", headers=ANNA)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
