"""Listening to what is being recorded: the database is asked once for all who listen.

One thread is woken by every commit, for as long as anybody listens, fetches what is new of the recordings
that are listened to, and hands it to the event loops that the listeners wait in.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from phonobase.audio.endless import Endless, Stretch, stretches
from phonobase.audio.flac import FRAMES_PER_PACKET
from phonobase.errors import PhonobaseError, StoreError
from phonobase.store.alarm import alarm
from phonobase.store.archive import Archive
from phonobase.store.chunks import StoredChunk
from phonobase.store.recording import Recording, State, comments
from phonobase.store.runs import continuing, current

_LOOK_EVERY_S = 1.0
"""How often the database is looked at where nobody wakes anybody up, and how long nobody is waited for."""
_GOES_ON_WITHIN_S = 5.0
"""How soon the next recording of a run has sound, behind the end of one."""
_SPARE_S = 0.5
"""How much longer than a chunk the sound is that a listener begins with: what comes next is a little late."""
_WAITING_AT_MOST_S = 30
"""How much sound waits for somebody who takes none."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class TooSlow(StoreError):
    """Somebody takes sound more slowly than it comes."""


@dataclass(slots=True)
class _Run:
    """A run that is listened to.

    Attributes:
        recording: The recording that was looked at last, as it was then.
        chunks_told: How many of its chunks the listeners were told of.
        frames_told: The frames in them.
        ended_s: Since when it is closed, by the monotonic clock; None where it is not.
        listeners: Who listens.
    """

    recording: Recording
    chunks_told: int
    frames_told: int
    ended_s: float | None = None
    listeners: set[Listener] = field(default_factory=set)

    @classmethod
    def of(cls, recording: Recording) -> _Run:
        return cls(recording, recording.chunk_count, recording.frame_count)


class Listener:
    """Somebody who waits in an event loop for what comes.

    Attributes:
        recording: What they begin with, as it was when they came.
        frames: The frames of it that were there then; what comes is behind them.
    """

    def __init__(self, recording: Recording, frames: int) -> None:
        self.recording, self.frames = recording, frames
        self._loop = asyncio.get_running_loop()
        self._news: deque[list[Stretch]] = deque()
        self._waiting_frames = 0
        self._most_frames = _WAITING_AT_MOST_S * recording.format.sample_rate
        self._end: PhonobaseError | None = None
        self._ended = False
        self._rung = asyncio.Event()

    def tell(self, news: list[Stretch]) -> None:
        """Hand over what came; in any thread."""
        self._in_loop(self._take, news)

    def end(self, error: PhonobaseError | None = None) -> None:
        """Say that nothing comes any more, and what is wrong, if something is; in any thread."""
        self._in_loop(self._finish, error)

    async def news(self) -> AsyncGenerator[list[Stretch]]:
        """Yield what comes, as it comes.

        Raises:
            TooSlow: It was not taken for too long.
            PhonobaseError: What else ended it before its time.
        """
        while True:
            await self._rung.wait()
            self._rung.clear()
            while self._news:
                came = self._news.popleft()
                self._waiting_frames -= _frames(came)
                yield came
            if self._ended:
                if self._end is not None:
                    raise self._end
                return

    def _in_loop(self, call: Callable[[_T], None], value: _T) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it who waited there
            self._loop.call_soon_threadsafe(call, value)

    def _take(self, news: list[Stretch]) -> None:
        if self._ended:
            return
        self._waiting_frames += _frames(news)
        if self._waiting_frames > self._most_frames:
            self._news.clear()
            self._finish(TooSlow(f"nothing was taken for {_WAITING_AT_MOST_S} s; listen again"))
        else:
            self._news.append(news)
            self._rung.set()

    def _finish(self, error: PhonobaseError | None) -> None:
        if not self._ended:
            self._ended, self._end = True, error
            self._rung.set()


class Listening:
    """All who listen to an archive.

    Args:
        archive: What they listen to.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._runs: dict[UUID, _Run] = {}
        self._thread: threading.Thread | None = None

    async def listen(self, recording: Recording) -> AsyncGenerator[bytes]:
        """Yield a file of what is recorded from about now on, as it is committed, until nothing follows.

        Where the next recording of the same run goes on in the same format, so does the file.

        Args:
            recording: One that is open.

        Raises:
            PhonobaseError: It ended before its time.
        """
        listener = self._join(recording)
        try:
            form = listener.recording.format
            file = Endless(listener.recording.encoding, form, comments(listener.recording))
            yield file.header
            if begin := await run_in_threadpool(self._newest, listener.recording, listener.frames):
                yield file.add(begin)
            async for news in listener.news():
                if not file.can_go_on:
                    return
                yield file.add(news)
        finally:
            self._leave(listener, recording.run_id)

    def _join(self, recording: Recording) -> Listener:
        with self._lock:
            run = self._runs.setdefault(recording.run_id, _Run.of(recording))
            listener = Listener(run.recording, run.frames_told)
            run.listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="phonobase-listening", daemon=True)
                self._thread.start()
        return listener

    def _leave(self, listener: Listener, run_id: UUID) -> None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is not None:
                run.listeners.discard(listener)
                if not run.listeners:
                    del self._runs[run_id]

    def _newest(self, recording: Recording, frames: int) -> list[Stretch]:
        """Return the newest of so many frames of a recording: so much that it lasts until more comes."""
        form = recording.format
        lasts_s = recording.seconds / recording.chunk_count + _SPARE_S
        ago = datetime.now(UTC) - timedelta(seconds=lasts_s) - recording.started_at
        # By this machine's clock, but where that is another than the recorder's, by the sound.
        wished = max(int(ago.total_seconds() * form.sample_rate), frames - int(lasts_s * form.sample_rate))
        first = max(0, wished) // FRAMES_PER_PACKET * FRAMES_PER_PACKET
        if first >= frames:
            return []
        found = [
            one
            for run in self._archive.stored(recording).runs(first, frames)
            for one in _stretches(recording, run)
        ]
        return [one for one in found if one.first_frame >= first]

    def _watch(self) -> None:
        try:
            with alarm(self._archive.engine) as wait:
                while self._look():
                    wait(_LOOK_EVERY_S)
        except PhonobaseError as error:
            _log.warning("nobody can listen any more: %s", error)
            self._end_all(error)
        except BaseException:
            self._end_all(StoreError("listening failed"))
            raise

    def _look(self) -> bool:
        """Tell everyone what is new; return whether anybody is there."""
        with self._lock:
            runs = list(self._runs.items())
            if not runs:
                self._thread = None
                return False
        with self._archive.session() as session:
            now = current(session, [run.recording.id for _, run in runs])
        for run_id, run in runs:
            self._advance(run_id, run, now.get(run.recording.id))
        return True

    def _advance(self, run_id: UUID, run: _Run, recording: Recording | None) -> None:
        if recording is None:  # it was deleted
            self._end(run_id, run)
            return
        try:
            self._tell_new(run, recording)
        except PhonobaseError as error:
            _log.warning("nobody can listen to %s any more: %s", recording.id.hex, error)
            self._end(run_id, run, error)
            return
        if recording.state is State.RECORDING:
            run.ended_s = None
            return
        with self._archive.session() as session:
            follows = continuing(session, recording)
        if follows is not None and _are_alike(recording, follows):
            with self._lock:
                run.recording, run.chunks_told, run.frames_told, run.ended_s = follows, 0, 0, None
            self._advance(run_id, run, follows)
            return
        run.ended_s = run.ended_s or time.monotonic()
        if follows is not None or time.monotonic() - run.ended_s > _GOES_ON_WITHIN_S:
            self._end(run_id, run)

    def _tell_new(self, run: _Run, recording: Recording) -> None:
        """Tell those who listen to a run of the chunks that its recording has now."""
        stored = self._archive.stored(recording)
        while run.chunks_told < recording.chunk_count:
            chunks = stored.fetch(run.chunks_told, stored.rows_per_batch)
            news = list(_stretches(recording, chunks))
            with self._lock:
                run.recording = recording
                run.chunks_told += len(chunks)
                run.frames_told = chunks[-1].first_frame + chunks[-1].frame_count
                listeners = list(run.listeners)
                for listener in listeners:
                    listener.tell(news)

    def _end(self, run_id: UUID, run: _Run, error: PhonobaseError | None = None) -> None:
        with self._lock:
            if self._runs.get(run_id) is run:
                del self._runs[run_id]
            for listener in run.listeners:
                listener.end(error)

    def _end_all(self, error: PhonobaseError) -> None:
        with self._lock:
            self._thread = None
            runs, self._runs = self._runs, {}
            for run in runs.values():
                for listener in run.listeners:
                    listener.end(error)


def _stretches(recording: Recording, chunks: Iterable[StoredChunk]) -> Iterator[Stretch]:
    for chunk in chunks:
        yield from stretches(recording.encoding, chunk.first_frame, chunk.frame_count, chunk.data)


def _frames(news: Iterable[Stretch]) -> int:
    return sum(one.frame_count for one in news)


def _are_alike(one: Recording, other: Recording) -> bool:
    return one.format == other.format and one.encoding is other.encoding
