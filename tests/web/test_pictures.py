from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from phonobase.audio.decode import decode
from phonobase.store import spectrogram as spectrograms
from phonobase.web import pictures
from tests.store.judge import wait_until
from tests.support.prs import noise

if TYPE_CHECKING:
    import numpy.typing as npt
    from fastapi.testclient import TestClient

    from phonobase import Archive, Recording

RATE, HEIGHT = 8000, 128


def _sine(seconds: float, row: int, amplitude: float, rate: int = RATE) -> npt.NDArray[np.int16]:
    """Returns a sine at the lower edge of a row of so many."""
    phase = np.pi * row / HEIGHT * np.arange(int(seconds * rate))
    sine: npt.NDArray[np.int16] = np.rint(amplitude * 32767 * np.sin(phase)).astype(np.int16)
    return sine


def _spectrogram(client: TestClient, recording: Recording, **asked: int) -> npt.NDArray[np.uint8]:
    """Returns what a spectrogram shows, the lowest frequency first."""
    url = f"/api/recordings/{recording.id}/spectrogram"
    answer = client.get(url, params={"height": HEIGHT, **asked})
    assert answer.headers["content-type"] == "image/png", answer.text
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.mode == "L"
        return np.asarray(image)[::-1]


def test_peaks(archive: Archive, client: TestClient) -> None:
    """Peaks say of which frames they are, and for each channel the least and the largest of every column."""
    signal = noise(9000, 2)
    recording = archive.add(signal.tobytes(), RATE, 2, source="desk-3")
    url = f"/api/recordings/{recording.id.hex}/peaks"
    answer = client.get(url, params={"start": 100, "stop": 1100, "width": 10}).json()
    assert {name: answer[name] for name in ("start", "stop", "sample_rate", "channels", "width")} == {
        "start": 100,
        "stop": 1100,
        "sample_rate": RATE,
        "channels": 2,
        "width": 10,
    }
    columns = signal[100:1100].reshape(10, 100, 2) / 32768
    both = np.stack([columns.min(axis=1), columns.max(axis=1)], axis=1)
    assert answer["peaks"] == [both[..., channel].ravel().tolist() for channel in (0, 1)]


def test_peaks_of_all(archive: Archive, client: TestClient) -> None:
    """Without more ado all of a recording is drawn; of fewer frames than columns each is a column."""
    recording = archive.add(noise(700).tobytes(), RATE, source="desk-3")
    answer = client.get(f"/api/recordings/{recording.id}/peaks").json()
    assert (answer["start"], answer["stop"], answer["width"], len(answer["peaks"][0])) == (0, 700, 700, 1400)
    answer = client.get(f"/api/recordings/{recording.id}/peaks", params={"width": 8, "stop": 10**15}).json()
    assert (answer["stop"], answer["width"]) == (700, 8)


@pytest.mark.parametrize("picture", ["peaks", "spectrogram"])
def test_what_is_not_drawn(archive: Archive, client: TestClient, picture: str) -> None:
    """What no recording is, and what cannot be drawn, is refused in words."""
    recording = archive.add(noise(700).tobytes(), RATE, source="desk-3")
    assert client.get(f"/api/recordings/{'0' * 32}/{picture}").status_code == 404
    url = f"/api/recordings/{recording.id}/{picture}"
    for asked in ({"start": 700}, {"start": 5, "stop": 5}, {"start": -1}, {"width": 0}, {"width": 8193}):
        answer = client.get(url, params=asked)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), (
            asked
        )


@pytest.mark.parametrize("picture", ["peaks", "spectrogram"])
def test_a_picture_that_was_drawn_otherwise_is_not_kept(
    archive: Archive, client: TestClient, monkeypatch: pytest.MonkeyPatch, picture: str
) -> None:
    """A release that draws the same sound in another way is asked for it again."""
    recording = archive.add(noise(RATE).tobytes(), RATE, source="desk-3")
    url = f"/api/recordings/{recording.id}/{picture}"
    tag = client.get(url).headers["etag"]
    monkeypatch.setattr(pictures, "_DRAWING", 2)
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("picture", ["peaks", "spectrogram"])
def test_a_picture_is_kept_until_there_is_more(archive: Archive, client: TestClient, picture: str) -> None:
    """A browser that has a picture gets no second one, until the recording goes on."""
    with archive.writer(RATE, source="desk-3", encoding="pcm") as writer:
        writer.write(noise(3 * RATE))
        url = f"/api/recordings/{writer.id}/{picture}"
        wait_until(lambda: client.get(url).status_code == 200)
        first = client.get(url)
        again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        writer.write(noise(3 * RATE))
        wait_until(lambda: client.get(url).headers["etag"] != first.headers["etag"])
        more = client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (more.status_code, more.content == first.content) == (200, False)
        assert client.get(url, headers={"If-Match": first.headers["etag"]}).status_code == 412
        assert "private" in more.headers["cache-control"]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("most", [1 << 25, 0])
def test_a_sine_is_where_it_belongs(
    archive: Archive, client: TestClient, monkeypatch: pytest.MonkeyPatch, most: int, dtype: str
) -> None:
    """A tone is in the row of its frequency with the shade of its level, in stretches of any length."""
    monkeypatch.setattr(spectrograms, "WHOLE_SAMPLES", most)
    low, high = _sine(8, 20, 0.5), _sine(8, 100, 0.05)
    sound = np.concatenate([low, high])
    pcm = sound.tobytes() if dtype == "int16" else (sound / 32768).astype(np.float32).tobytes()
    recording = archive.add(pcm, RATE, 1, dtype, source="desk-3")
    grey = _spectrogram(client, recording, width=40)
    assert grey.shape == (HEIGHT, 40)
    for columns, row, amplitude in ((slice(2, 16), 20, 0.5), (slice(24, 38), 100, 0.05)):
        shade = 255 * (1 + 20 * np.log10(amplitude) / 120)
        assert (grey[:, columns].argmax(axis=0) == row).all()
        assert abs(grey[row, columns] - shade).max() < 1
        beside = np.ones(HEIGHT, np.bool_)
        beside[row - 2 : row + 3] = False
        assert grey[beside, columns].max() < shade - 80


@pytest.mark.parametrize("most", [1 << 25, 0])
def test_silence_is_black(
    archive: Archive, client: TestClient, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Digital silence is 0 everywhere, however few frames there are."""
    monkeypatch.setattr(spectrograms, "WHOLE_SAMPLES", most)
    for frames in (1, 100, 50_000):
        recording = archive.add(bytes(2 * frames), RATE, source="desk-3")
        assert not _spectrogram(client, recording, width=33).any()


def test_full_scale_is_white(archive: Archive, client: TestClient) -> None:
    """A sine at full scale is 255 in its row."""
    recording = archive.add(_sine(2, 64, 1).tobytes(), RATE, source="desk-3")
    assert (_spectrogram(client, recording, width=9)[64, 1:-1] == 255).all()


def test_a_stretch_is_what_the_whole_shows_there(archive: Archive, client: TestClient) -> None:
    """A stretch looks as the same columns of a longer one: at its ends it is not cut off."""
    recording = archive.add(noise(64_000).tobytes(), RATE, source="desk-3")
    whole = _spectrogram(client, recording, width=64)
    part = _spectrogram(client, recording, start=16_000, stop=48_000, width=32)
    assert (part == whole[:, 16:48]).all()


def test_a_long_stretch_reads_little(
    archive: Archive, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long stretch no more frames are decoded than its columns have, however long it is."""
    monkeypatch.setattr(spectrograms, "WHOLE_SAMPLES", 0)
    decoded = []

    def counted(data: bytes, frame_count: int, *rest: Any) -> Any:  # noqa: ANN401 - as decode
        decoded.append(frame_count)
        return decode(data, frame_count, *rest)

    monkeypatch.setattr("phonobase.store.spectrogram.decode", counted)
    recording = archive.add(noise(2_000_000).tobytes(), RATE, source="desk-3")
    _spectrogram(client, recording, width=10)
    assert decoded == [4096] * 10


def test_others_wait_for_a_while(
    archive: Archive, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one spectrogram is made others wait, and whoever waits too long is told when to come again."""
    begun, go_on = threading.Event(), threading.Event()
    painted = pictures._painted

    def slowly(*asked: Any) -> bytes:  # noqa: ANN401 - as what it stands for
        begun.set()
        go_on.wait()
        return painted(*asked)

    monkeypatch.setattr(pictures, "_painted", slowly)
    recording = archive.add(noise(8000).tobytes(), RATE, source="desk-3")
    url = f"/api/recordings/{recording.id}/spectrogram"
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(client.get(url)))
    first.start()
    try:
        assert begun.wait(30)
        clock = time.monotonic
        with monkeypatch.context() as patched:
            patched.setattr("phonobase.web.turns.time.monotonic", lambda: clock() * 1000)
            refused = client.get(url)
    finally:
        go_on.set()
        first.join()
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    assert [answer.status_code for answer in answers] == [200]
    assert client.get(url).status_code == 200
