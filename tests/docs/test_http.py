from __future__ import annotations

import re
import shlex
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from phonobase import Archive
from phonobase.web import create_app
from phonobase.web.tokens import Tokens
from tests.docs.pages import blocks, text
from tests.store.judge import flac_pcm, random_pcm
from tests.support.require import require
from tests.web.serving import served

if TYPE_CHECKING:
    from pathlib import Path


PAGE = "docs/http.md"
PLACE = "http://127.0.0.1:8123"
ID = UUID("0199f2b1c0de70008000000000000001")
OPERATION = re.compile(r"`(GET|POST|PATCH|DELETE|HEAD) (/api/[^`]*)`")


def _calls() -> list[list[str]]:
    """Returns the words of every call of curl on the page."""
    lines = "".join(block.code for block in blocks(PAGE, "console")).splitlines()
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ curl")]


def test_every_operation_is_on_the_page(sqlite_url: str) -> None:
    """The page lists all that the API says of itself, and nothing else."""
    with Archive(sqlite_url) as archive:
        paths = create_app(archive, authenticate=Tokens(archive)).openapi()["paths"]
    said = {path: {method.upper() for method in methods} for path, methods in paths.items()}
    listed = {(method, path) for method, path in OPERATION.findall(text(PAGE))}
    beside = {("HEAD", "/api/recordings/{recording_id}/audio"), ("DELETE", "/api/session")}
    assert listed | beside == {(method, path) for path, methods in said.items() for method in methods}


def test_every_call_on_the_page_is_answered(sqlite_url: str, tmp_path: Path) -> None:
    """Each call of curl that the page shows succeeds, and gets or leaves what it says."""
    pcm = random_pcm(80_000, 1, "int16")
    (tmp_path / "call.pcm").write_bytes(pcm)
    began = datetime(2026, 3, 1, 13, 2, 55, tzinfo=UTC)
    with Archive(sqlite_url) as archive:
        stored = archive.add(
            pcm, 8000, source="desk-3", started_at=began, tags={"queue": "billing", "new": 1}
        )
        with served(create_app(archive)) as address:
            for call in _calls():
                words = [word.replace(PLACE, address).replace(ID.hex, stored.id.hex) for word in call]
                command = [require("curl"), "--fail", "--silent", "--show-error", *words[1:]]
                done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
                assert (done.returncode, done.stderr) == (0, ""), words
                assert '"recordings":[]' not in done.stdout
        assert archive.get(stored.id).title == "Complaint"
        assert archive.get(stored.id).tags == {"queue": "billing"}
        added = {archive.read(each.id).tobytes() for each in archive.find() if each.id != stored.id}
    assert added == {pcm, pcm[80_000:]}
    assert flac_pcm(tmp_path / "call.flac") == pcm[80_000:]
