"""A follower that remembers what came, and is asked whether that was everything, once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from phonobase.errors import CorruptRecording, RecordingNotFound
from phonobase.store.position import START

if TYPE_CHECKING:
    from uuid import UUID

    from phonobase import Archive
    from phonobase.store.follow import Part


class Followed:
    """What came of an archive up to a position, its frames included."""

    def __init__(self, archive: Archive, after: str = START, source: str | None = None) -> None:
        self._archive, self._source = archive, source
        self.position = after
        self.parts: list[tuple[UUID, int, int, bool]] = []
        self._sound: dict[UUID, list[Any]] = defaultdict(list)

    def take(self, part: Part) -> None:
        """Remembers a part, as a program does that is done with it."""
        before = sum(len(frames) for frames in self._sound[part.recording.id])
        assert part.first_frame == before, "frames were missed, or came again"
        try:
            frames = part.read()
        except CorruptRecording:
            with pytest.raises(RecordingNotFound):
                self._archive.get(part.recording.id)
            frames = np.zeros((part.frame_count, 1))  # it was deleted just now
        assert len(frames) == part.frame_count
        self._sound[part.recording.id].append(frames)
        self.parts.append((part.recording.id, part.first_frame, part.end_frame, part.ends))
        self.position = part.position

    def catch_up(self, at_most: int | None = None, part_seconds: float = 60) -> int:
        """Takes what is there, or so many parts of it, and returns how many parts came."""
        following = self._archive.follow(
            self._source, self.position, idle_seconds=0, part_seconds=part_seconds
        )
        count = 0
        for part in following:
            self.take(part)
            count += 1
            if count == at_most:
                break
        following.close()
        return count

    def spans(self) -> list[tuple[int, int, bool]]:
        """Returns where the parts began and ended, and whether they were the last."""
        return [(first, end, ends) for _, first, end, ends in self.parts]

    def assert_whole(self, *ids: UUID) -> None:
        """Fails unless every frame of these came, as the archive holds it, and all others are gone."""
        assert self._sound.keys() >= set(ids)
        for other in self._sound.keys() - set(ids):
            with pytest.raises(RecordingNotFound):
                self._archive.get(other)
        for one in ids:
            frames = np.concatenate(self._sound[one])
            assert np.array_equal(frames, self._archive.read(one)), one
