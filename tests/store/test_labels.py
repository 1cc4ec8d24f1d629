"""What is said of a take: annotations, placed in its frames, clipped, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase.audio.labels import Label
from phonobase.store.labels import labels_of
from phonobase.store.take import Silence, Sound, Take
from tests.store.judge import random_pcm

if TYPE_CHECKING:
    from phonobase import Archive, Recording

RATE = 8000


@pytest.fixture
def said(archive: Archive) -> list[Recording]:
    """Two recordings of a second, of which things are said."""
    made = [archive.add(random_pcm(RATE, 1, "int16", seed=n), RATE) for n in range(2)]
    for first, count, kind in ((1000, 2000, "a"), (2500, 0, "moment"), (2000, 6000, "b"), (8000, 0, "end")):
        archive.annotate(made[0].id, first, count, kind, f"{kind} said", 0.5, author="ann")
    archive.annotate(made[1].id, 0, 8000, "c", author="ann")
    return made


def take(recording: Recording, *parts: Sound | Silence) -> Take:
    """Returns a take of parts."""
    return Take(recording.source, recording.format, recording.started_at, parts)


def placed(labels: list[Label]) -> list[tuple[int, int, str]]:
    """Returns where labels begin, how long they are, and of which kind."""
    return [(label.first_frame, label.frame_count, label.kind) for label in labels]


def test_of_a_whole_recording(archive: Archive, said: list[Recording]) -> None:
    """Of a whole recording all is said as it was, the first to begin first, with text and score."""
    labels = labels_of(archive, Take.of(said[0]))
    assert placed(labels) == [(1000, 2000, "a"), (2000, 6000, "b"), (2500, 0, "moment"), (8000, 0, "end")]
    assert labels[0] == Label(1000, 2000, "a", "a said", 0.5)


def test_of_parts(archive: Archive, said: list[Recording]) -> None:
    """In parts of recordings, with silence between, every stretch is where its frames are, and no longer."""
    one, other = said
    parts = take(one, Sound(other, 7000, 1000), Silence(500), Sound(one, 2500, 1500), Sound(other, 10, 5))
    assert placed(labels_of(archive, parts)) == [
        (0, 1000, "c"),
        (1500, 0, "moment"),
        (1500, 500, "a"),
        (1500, 1500, "b"),
        (3000, 5, "c"),
    ]


def test_what_goes_on_is_one(archive: Archive, said: list[Recording]) -> None:
    """A stretch that goes on in the next part is one label; one that is interrupted is two."""
    one = said[0]
    whole = take(one, Sound(one, 0, 2500), Sound(one, 2500, 100), Sound(one, 2600, 5400))
    assert placed(labels_of(archive, whole)) == placed(labels_of(archive, Take.of(one)))
    broken = take(one, Sound(one, 0, 2500), Silence(1), Sound(one, 2500, 5500))
    assert placed(labels_of(archive, broken)) == [
        (1000, 1500, "a"),
        (2000, 500, "b"),
        (2501, 0, "moment"),
        (2501, 500, "a"),
        (2501, 5500, "b"),
        (8001, 0, "end"),
    ]


def test_at_random_places(archive: Archive, said: list[Recording]) -> None:
    """Every frame of a cut is labelled as the annotations have it, wherever it is cut."""
    one, random = said[0], np.random.default_rng(1)
    for _ in range(50):
        first, end = sorted(random.integers(0, RATE + 1, 2))
        if first == end:
            continue
        frames = np.zeros((RATE, 2), dtype=bool)
        frames[1000:3000, 0] = frames[2000:8000, 1] = True
        found = np.zeros((end - first, 2), dtype=bool)
        for label in labels_of(archive, take(one, Sound(one, int(first), int(end - first)))):
            if label.frame_count:
                found[label.first_frame : label.end_frame, "ab".index(label.kind)] = True
        assert np.array_equal(found, frames[first:end])


def test_of_nothing_said(archive: Archive) -> None:
    """Of a take that nobody speaks of there are no labels."""
    recording = archive.add(random_pcm(RATE, 1, "int16"), RATE)
    assert labels_of(archive, Take.of(recording)) == []
