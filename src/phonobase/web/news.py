"""What is being heard now: an archive is followed once for all who want to know.

One thread follows it, for as long as anybody wants to know; whoever does waits in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import cast

import numpy as np
import sqlalchemy as sa
from sqlalchemy import bindparam, select

from phonobase.audio.level import dbfs
from phonobase.audio.peaks import FRAMES_PER_POINT, points
from phonobase.errors import DatabaseUnavailable, PhonobaseError
from phonobase.store.archive import Archive
from phonobase.store.engine import FETCHES_AUDIO
from phonobase.store.follow import Part, follow, position_now
from phonobase.store.models import ChunkRow
from phonobase.store.recording import MAX_SECONDS, Recording

_STEP_S = 0.1
_LATE_S = 60
"""Of sound that comes late, as from a recorder that was cut off for long, only the newest is told."""

_WAITING_AT_MOST = 500
"""News that wait for somebody who takes none."""

_AWAY_AT_MOST_S = 30.0
"""How long the database may be away until whoever wants to know has to come again."""
_AGAIN_AFTER_S = 0.5

_POINT_SCALE = 128

_CHUNK = cast("sa.Table", ChunkRow.__table__).c
_NEW_CHUNKS = (
    select(_CHUNK.first_frame, _CHUNK.frame_count, _CHUNK.peak_dbfs, _CHUNK.rms_dbfs, _CHUNK.peaks)
    .where(
        _CHUNK.recording_id == bindparam("id"),
        _CHUNK.first_frame >= bindparam("first"),
        _CHUNK.first_frame < bindparam("end"),
    )
    .order_by(_CHUNK.first_frame)
    .execution_options(**{FETCHES_AUDIO: True})  # bytes, on either database
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Began:
    """A recording has its first chunk."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Ended:
    """A recording is closed."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Heard:
    """A chunk of an open recording was committed.

    Attributes:
        recording: As it is since then, or is by now.
        first_frame: Frames of it before the chunk.
        frame_count: Frames in the chunk.
        peak_dbfs: Its largest magnitude; -inf for digital silence.
        rms_dbfs: Its root mean square.
        step_frames: Frames in each step of a tenth of a second, about; the last may have fewer.
        steps_dbfs: The peak in each step, rounded up to a 128th of full scale.
    """

    recording: Recording
    first_frame: int
    frame_count: int
    peak_dbfs: float
    rms_dbfs: float
    step_frames: int
    steps_dbfs: tuple[float, ...]


Item = Began | Heard | Ended


class Reader:
    """Somebody who is told what comes; used in the event loop alone.

    Args:
        knows: Which sources they are told of.
    """

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self._waiting: asyncio.Queue[Item | None] = asyncio.Queue(_WAITING_AT_MOST)

    def tell(self, item: Item) -> None:
        """Tell them of something that they may know of; who took nothing for long is told no more."""
        if not self._knows(item.recording.source):
            return
        if self._waiting.full():
            self.end()
        else:
            self._waiting.put_nowait(item)

    def end(self) -> None:
        """Tell them that no more comes."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def next(self) -> Item | None:
        """Wait for what comes and return it; None at the end."""
        return await self._waiting.get()


class _Following:
    """An archive that is followed in a thread, until all readers have left.

    Attributes:
        begun: Set once nothing that comes is missed any more.
        is_over: Whether nobody may join.
    """

    def __init__(self, archive: Archive) -> None:
        self.begun = asyncio.Event()
        self.is_over = False
        self._archive = archive
        self._readers: set[Reader] = set()
        self._left = threading.Event()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="phonobase-news", daemon=True).start()

    def join(self, reader: Reader) -> None:
        self._readers.add(reader)

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self.is_over = True
            self._left.set()

    def _run(self) -> None:
        try:
            self._follow_patiently()
        except PhonobaseError as error:
            _log.warning("nobody is told any more what is being heard: %s", error)
        finally:
            self._in_loop(self._finish)

    def _follow_patiently(self) -> None:
        """Follow, and go on behind what was told where the database was away for a while.

        Raises:
            PhonobaseError: It is away for too long, or something else is wrong.
        """
        position = position_now(self._archive, None)
        lost_s: float | None = None
        while True:
            begun_s = time.monotonic()
            try:
                for part in self._parts(position):
                    self._in_loop(self._tell, list(_items(self._archive, part)))
                    position = part.position
            except DatabaseUnavailable as error:
                now_s = time.monotonic()
                if lost_s is None or now_s - begun_s > _AWAY_AT_MOST_S:  # it worked in between
                    lost_s = now_s
                if now_s - lost_s > _AWAY_AT_MOST_S:
                    raise
                _log.warning("what is being heard is told once the database is there again: %s", error)
                if self._left.wait(_AGAIN_AFTER_S):
                    return
            else:
                return

    def _parts(self, position: str) -> Iterator[Part]:
        parts = follow(
            self._archive,
            None,
            position,
            idle_seconds=None,
            part_seconds=MAX_SECONDS,
            is_left=self._left.is_set,
        )
        self._in_loop(self.begun.set)
        with closing(parts):
            yield from parts

    def _in_loop(self, call: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it who waited there
            self._loop.call_soon_threadsafe(call, *values)

    def _tell(self, items: Iterable[Item]) -> None:
        for item in items:
            for reader in self._readers:
                reader.tell(item)

    def _finish(self) -> None:
        self.is_over = True
        self.begun.set()
        for reader in self._readers:
            reader.end()


class News:
    """What is being heard, for all who want to know, in one event loop.

    Args:
        archive: Where it is stored.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._following: _Following | None = None

    @asynccontextmanager
    async def reader(self, knows: Callable[[str], bool]) -> AsyncGenerator[Reader]:
        """Give a reader that is told what comes from now on.

        Args:
            knows: Which sources it is of.
        """
        if self._following is None or self._following.is_over:
            self._following = _Following(self._archive)
        following, reader = self._following, Reader(knows)
        following.join(reader)
        try:
            await following.begun.wait()
            yield reader
        finally:
            following.leave(reader)


def _items(archive: Archive, part: Part) -> Iterator[Item]:
    """Yield what is told of a part."""
    recording = part.recording
    # What comes as a whole, as an import does, is not being heard.
    if not (part.ends and part.first_frame == 0):
        if part.first_frame == 0:
            yield Began(recording)
        yield from _heard(archive, part)
    if part.ends:
        yield Ended(recording)


def _heard(archive: Archive, part: Part) -> Iterator[Heard]:
    recording = part.recording
    form = recording.format
    first = max(part.first_frame, part.end_frame - _LATE_S * form.sample_rate)
    with archive.session() as session:
        rows = session.execute(_NEW_CHUNKS, {"id": recording.id, "first": first, "end": part.end_frame}).all()
    points_per_step = max(1, round(_STEP_S * form.sample_rate / FRAMES_PER_POINT))
    for first_frame, frame_count, peak_dbfs, rms_dbfs, outline in rows:
        magnitudes = np.abs(points(outline, form.channels).astype(np.int16)).max(axis=(1, 2))
        steps = np.maximum.reduceat(magnitudes, np.arange(0, len(magnitudes), points_per_step))
        yield Heard(
            recording,
            first_frame,
            frame_count,
            peak_dbfs,
            rms_dbfs,
            points_per_step * FRAMES_PER_POINT,
            # A point is rounded up, but nothing is louder than the loudest sample.
            tuple(min(peak_dbfs, dbfs(step / _POINT_SCALE)) for step in steps.tolist()),
        )
