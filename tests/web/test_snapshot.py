from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.draft import Draft
from phonobase.store.recording import State, new_recording
from tests.store.judge import ffmpeg_pcm, flac_pcm, frames_of, random_pcm

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from phonobase import Archive

_RATE = 8_192
_CHUNK_BYTES = 2 * _RATE


@pytest.mark.parametrize("encoding", ["flac", "pcm"])
def test_a_file_that_stays_as_it_is(
    archive: Archive, client: TestClient, tmp_path: Path, encoding: str
) -> None:
    """What had so many frames is the same file while the recording goes on and when it has ended."""
    pcm = random_pcm(3 * _RATE, 1, "int16")
    new = new_recording(AudioFormat(_RATE, 1, SampleFormat.INT16), source="desk", encoding=encoding)
    draft = Draft(new, chunk_seconds=1)
    chunks = [draft.seal(cut) for cut in [*draft.cut(frames_of(pcm, 1, "int16")), *draft.finish()]]
    assert len(chunks) == 3
    url = f"/api/recordings/{new.id.hex}/audio"
    seen = []
    for count in range(1, 4):
        with archive.writing() as repository:
            repository.append(draft, chunks[count - 1 : count])
        seen.append(client.get(url, params={"frames": _RATE}))
    with archive.writing() as repository:
        repository.close(draft, State.COMPLETE)
    seen.append(client.get(url, params={"frames": _RATE}))

    assert {answer.status_code for answer in seen} == {200}
    (content,) = {answer.content for answer in seen}
    (tag,) = {answer.headers["etag"] for answer in seen}
    assert "last-modified" not in seen[-1].headers
    file = tmp_path / f"then.{encoding}"
    file.write_bytes(content)
    assert ffmpeg_pcm(file, "int16") == pcm[:_CHUNK_BYTES]
    if encoding == "flac":
        assert flac_pcm(file) == pcm[:_CHUNK_BYTES]

    part = client.get(url, params={"frames": _RATE}, headers={"Range": "bytes=100-299", "If-Range": tag})
    assert (part.status_code, part.content) == (206, content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(content)}"
    assert client.get(url).headers["etag"] != tag


@pytest.mark.parametrize("frames", [1, _RATE - 1, _RATE + 1, 3 * _RATE, 2**63 - 1])
def test_what_a_recording_never_was(archive: Archive, client: TestClient, frames: int) -> None:
    """Where no commit ended there is no such file, and the answer says which there is."""
    with archive.writer(samplerate=_RATE, channels=1, chunk_seconds=1) as writer:
        writer.write(frames_of(random_pcm(2 * _RATE, 1, "int16"), 1, "int16"))
    answer = client.get(f"/api/recordings/{writer.id.hex}/audio", params={"frames": frames})
    assert answer.status_code == 422
    assert f"never had {frames} frames" in answer.json()["detail"]
