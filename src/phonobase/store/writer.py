"""Sound into the archive while it is being heard."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import numpy as np

from phonobase.errors import InvalidAudio, StoreError, UnsupportedFormat
from phonobase.pcm import as_frames
from phonobase.store.draft import CHUNK_SECONDS, Draft
from phonobase.store.recording import MAX_SECONDS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from uuid import UUID

    import numpy.typing as npt

    from phonobase.audio.cut import Cut
    from phonobase.audio.seal import Chunk
    from phonobase.store.recording import NewRecording, Recording
    from phonobase.store.repository import RecordingRepository

_CUTS_WAITING = 6
"""Cuts that may wait for the committing thread before write() does."""

_CHUNKS_TOGETHER = 8
_COMMIT_EVERY_S = 0.1
"""Sound that comes faster than it was made is committed so many chunks at once, or so often; live sound,
whose chunks come seconds apart, at once."""


class RecordingWriter:
    """Writes one recording, and commits a chunk of it every few seconds.

    Encoding happens in the caller's thread; hashing, measuring and committing in a thread of the writer's
    own, so that both cores work and a slow commit does not hold up the sound. Several threads may write; each
    block stays whole.

    As a context manager it closes the recording: ``complete`` where the block ends, ``interrupted``, with
    everything that was written, where it raises.

    Args:
        new: What to write.
        transaction: Gives a repository in a transaction that commits when it is left.
        chunk_seconds: How much sound is committed at once.
    """

    def __init__(
        self,
        new: NewRecording,
        transaction: Callable[[], AbstractContextManager[RecordingRepository]],
        chunk_seconds: float = CHUNK_SECONDS,
    ) -> None:
        self.new = new
        self.frames_written = 0
        self.frames_committed = 0
        self._draft = Draft(new, chunk_seconds)
        self._transaction = transaction
        self._cuts: queue.Queue[Cut | None] = queue.Queue(_CUTS_WAITING)
        self._gaps: deque[tuple[int, str, str]] = deque()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._broken = False
        self._ended = False
        self._last_cut_taken = False
        self._committed_s = -_COMMIT_EVERY_S
        self._closed: Recording | None = None
        self._committer = threading.Thread(
            target=self._commit_all, name=f"phonobase-commit-{new.id.hex[-8:]}", daemon=True
        )
        self._committer.start()

    @property
    def id(self) -> UUID:
        """The recording's id; it is in the database from the first commit on."""
        return self.new.id

    @property
    def frames_left(self) -> int:
        """Frames that still fit: a recording is no longer than a day."""
        return MAX_SECONDS * self.new.format.sample_rate - self.frames_written

    def write(self, frames: npt.ArrayLike, captured_at_us: int | None = None) -> None:
        """Add frames. They are copied, so the array may be used again.

        Args:
            frames: Shape (frames, channels), or (frames,) for one channel, in the recording's dtype.
            captured_at_us: Wall clock at the first of them, in microseconds since 1970-01-01 UTC, where
                that is known better than by counting frames.

        Raises:
            UnsupportedFormat: Shape or dtype are not the recording's, or it would be longer than a day.
            InvalidAudio: A sample is NaN or infinite.
            StoreError: What was written earlier could not be committed.
        """
        with self._lock:
            if self._ended:
                raise StoreError(f"recording {self.id.hex} is closed; start a new one")
            self._raise_error()
            if self._broken:
                raise StoreError(f"writing {self.id.hex} was interrupted before; close it, start a new one")
            block = as_frames(np.array(frames), self.new.format)
            if len(block) > self.frames_left:
                raise UnsupportedFormat("a recording holds 24 hours at most; go on in a new one")
            with self._whole_or_broken():
                self.frames_written += len(block)
                for cut in self._draft.cut(block, captured_at_us):
                    self._hand_over(cut)

    def note_gap(self, cause: str, detail: str) -> None:
        """List a loss of unknown length at the place that is written next, or at the end.

        Args:
            cause: Why, in a word, as ``overflow``.
            detail: More, for people.
        """
        self._gaps.append((self.frames_written, cause, detail))

    def close(self, state: State = State.COMPLETE) -> Recording:
        """Commit what is left, close the recording and return it; once closed, only return it.

        Raises:
            InvalidAudio: No frame was written, so there is no recording.
            StoreError: Something could not be committed. What was committed before is safe, and playable.
        """
        with self._lock:
            if self._closed is not None:
                return self._closed
            try:
                if not self._ended and not self._broken:
                    with self._whole_or_broken():
                        for cut in self._draft.finish():
                            self._hand_over(cut)
            finally:
                self._end()
            self._raise_error()
            if not self.frames_committed:
                raise InvalidAudio("no frame was recorded, so nothing was stored")
            with self._transaction() as repository:
                self._list_gaps(repository, before_frame=self.frames_written + 1)
                if self._broken:
                    self._closed = repository.close_as_stored(self.id)
                else:
                    self._closed = repository.close(self._draft, state)
            return self._closed

    def discard(self) -> None:
        """Take back what was committed: the recording leaves no trace."""
        with self._lock:
            self._end()
            with self._transaction() as repository:
                repository.discard(self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        if kind is None:
            self.close()
            return
        if self._error is None and self.frames_written:
            with contextlib.suppress(InvalidAudio):  # nothing came as far as the database
                self.close(State.INTERRUPTED)
        self._end()

    @contextlib.contextmanager
    def _whole_or_broken(self) -> Iterator[None]:
        """Encode and hand over all of it, or never write behind the place where that was interrupted."""
        try:
            yield
        except BaseException:
            self._broken = True
            raise

    def _hand_over(self, cut: Cut) -> None:
        """Pass a cut to the committing thread, waiting while it is busy and for as long as it works."""
        while True:
            self._raise_error()
            try:
                return self._cuts.put(cut, timeout=0.2)
            except queue.Full:
                continue

    def _end(self) -> None:
        self._ended = True
        while self._committer.is_alive():
            try:
                self._cuts.put(None, timeout=0.2)
            except queue.Full:
                continue
            self._committer.join()

    def _commit_all(self) -> None:
        try:
            while chunks := self._next_chunks():
                committed = self._draft.totals.frame_count
                with self._transaction() as repository:
                    repository.append(self._draft, chunks)
                    self._list_gaps(repository, committed)
                self.frames_committed = committed
                self._committed_s = time.monotonic()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error

    def _next_chunks(self) -> list[Chunk]:
        """Wait for cuts and return the chunks to commit together; none, once the sound has ended."""
        chunks: list[Chunk] = []
        due_s = self._committed_s + _COMMIT_EVERY_S
        while not self._last_cut_taken and len(chunks) < _CHUNKS_TOGETHER:
            try:
                cut = self._cuts.get(timeout=max(0.0, due_s - time.monotonic()) if chunks else None)
            except queue.Empty:
                break
            if cut is None:
                self._last_cut_taken = True
            else:
                chunks.append(self._draft.seal(cut))
        return chunks

    def _list_gaps(self, repository: RecordingRepository, before_frame: int) -> None:
        """List the gaps that lie before a frame; the recording must be there for them to lie in it."""
        while self._gaps and self._gaps[0][0] < before_frame:
            first_frame, cause, detail = self._gaps.popleft()
            moment = self.new.started_at + timedelta(microseconds=self.new.format.microseconds(first_frame))
            repository.add_gap(
                self.new.source,
                moment,
                moment,
                cause,
                detail=detail,
                recording=self.new,
                first_frame=first_frame,
                frame_count=0,
            )

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
