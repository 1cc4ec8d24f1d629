"""Sound into the archive while it is being heard."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import numpy as np

from phonobase.errors import InvalidAudio, StoreError, UnsupportedFormat
from phonobase.pcm import as_frames, silence
from phonobase.store.draft import CHUNK_SECONDS, Draft
from phonobase.store.gaps import check_cause
from phonobase.store.recording import MAX_SECONDS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType
    from uuid import UUID

    import numpy.typing as npt

    from phonobase.audio.cut import Cut
    from phonobase.audio.seal import Chunk
    from phonobase.pcm import Frames
    from phonobase.store.recording import NewRecording, Recording
    from phonobase.store.repository import RecordingRepository

_CUTS_WAITING = 6
"""Cuts that may wait for the committing thread before write() does."""

_CHUNKS_TOGETHER = 8
_COMMIT_EVERY_S = 0.1
"""Sound that comes faster than it was made is committed so many chunks at once, or so often; live sound,
whose chunks come seconds apart, at once."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """Sound of a recording that was lost; a place alone, where nobody knows how much it was."""

    first_frame: int
    frame_count: int
    cause: str
    detail: str

    @property
    def end(self) -> int:
        return self.first_frame + self.frame_count

    @property
    def is_place(self) -> bool:
        return not self.frame_count


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
        self.bytes_committed = 0
        """Encoded bytes in the committed chunks."""
        self.committed_at_us: int | None = None
        """Wall clock at the newest commit, in microseconds since 1970-01-01 UTC; None before the first."""
        self._draft = Draft(new, chunk_seconds)
        self._transaction = transaction
        self._cuts: queue.Queue[Cut | None] = queue.Queue(_CUTS_WAITING)
        self._losses: deque[_Loss] = deque()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._broken = False
        self._abandoned = False
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
            self._raise_unless_open()
            block = as_frames(np.array(frames), self.new.format)
            self._raise_unless_fits(len(block))
            with self._whole_or_broken():
                self._encode(block, captured_at_us)

    def lose(self, frame_count: int, cause: str, detail: str, captured_at_us: int | None = None) -> None:
        """Write silence for sound that was lost, and list it as a gap.

        The gap is listed with the chunks that hold its silence, in parts where there are several: at no
        commit is one there without the other.

        Args:
            frame_count: How much was lost; 0 where that is not known: then the place alone is listed.
            cause: Why, in a word, as ``overflow``.
            detail: More, for people.
            captured_at_us: Wall clock at its beginning, as for ``write``.

        Raises:
            UnsupportedFormat: It would be longer than a day, or frame_count is negative.
            InvalidDetails: There is no cause, or a text holds what cannot be stored.
            StoreError: What was written earlier could not be committed.
        """
        if frame_count < 0:
            raise UnsupportedFormat(f"{frame_count} frames cannot be lost; pass 0 or more")
        check_cause(cause, detail)
        form = self.new.format
        with self._lock:
            self._raise_unless_open()
            self._raise_unless_fits(frame_count)
            # Listed before it is written: the committing thread may be fast.
            self._losses.append(_Loss(self.frames_written, frame_count, cause, detail))
            with self._whole_or_broken():
                start = 0
                for block in silence(frame_count, form):
                    at_us = None if captured_at_us is None else captured_at_us + form.microseconds(start)
                    self._encode(block, at_us)
                    start += len(block)

    def close(self, state: State = State.COMPLETE, drift_ppm: float | None = None) -> Recording:
        """Commit what is left, close the recording and return it; once closed, only return it.

        Args:
            state: Its last state.
            drift_ppm: Its sample clock against the system's, in parts per million, where it was measured.

        Raises:
            InvalidAudio: No frame was written, so there is no recording.
            StoreError: Something could not be committed. What was committed before is safe, and playable.
        """
        with self._lock:
            if self._closed is not None:
                return self._closed
            self._raise_if_abandoned()
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
                self._list_losses(repository, self.frames_committed, at_end=True)
                if self._broken:
                    closed = repository.close_as_stored(self.id, drift_ppm)
                else:
                    closed = repository.close(self._draft, state, drift_ppm)
            self._closed = closed
            return closed

    def abandon(self) -> None:
        """Stop writing and touch the database no more, as after a StoreError; once done, do nothing.

        What was not committed is lost; ``recover`` closes the rest. A commit that is under way is waited for.
        """
        self._abandoned = True
        with self._lock:
            self._end()

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
            self._raise_if_abandoned()
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
            while (chunks := self._next_chunks()) and not self._abandoned:
                totals = self._draft.totals
                with self._transaction() as repository:
                    repository.append(self._draft, chunks)
                    self._list_losses(repository, totals.frame_count)
                self._forget_losses(totals.frame_count)
                self.frames_committed, self.bytes_committed = totals.frame_count, totals.byte_count
                self.committed_at_us = time.time_ns() // 1000
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

    def _list_losses(self, repository: RecordingRepository, behind: int, *, at_end: bool = False) -> None:
        """List what was lost from the committed frames on to those that are committed now.

        A loss without frames lies before the next frame, and at the end behind the last one.
        """
        for loss in list(self._losses):
            first, end = max(loss.first_frame, self.frames_committed), min(loss.end, behind)
            if first < end or (loss.is_place and first <= end and (first < behind or at_end)):
                repository.add_gap(
                    self.new.source,
                    self._moment(first),
                    self._moment(end),
                    loss.cause,
                    detail=loss.detail,
                    recording=self.new,
                    first_frame=first,
                    frame_count=end - first,
                )

    def _forget_losses(self, behind: int) -> None:
        """Let go of what was listed to its end."""
        while self._losses and self._losses[0].end <= behind and self._losses[0].first_frame < behind:
            self._losses.popleft()

    def _moment(self, frame: int) -> datetime:
        return self.new.started_at + timedelta(microseconds=self.new.format.microseconds(frame))

    def _encode(self, block: Frames, captured_at_us: int | None) -> None:
        self.frames_written += len(block)
        for cut in self._draft.cut(block, captured_at_us):
            self._hand_over(cut)

    def _raise_if_abandoned(self) -> None:
        if self._abandoned:
            raise StoreError(f"recording {self.id.hex} was abandoned; recover closes it, start a new one")

    def _raise_unless_open(self) -> None:
        self._raise_if_abandoned()
        if self._ended:
            raise StoreError(f"recording {self.id.hex} is closed; start a new one")
        self._raise_error()
        if self._broken:
            raise StoreError(f"writing {self.id.hex} was interrupted before; close it, start a new one")

    def _raise_unless_fits(self, frame_count: int) -> None:
        if frame_count > self.frames_left:
            raise UnsupportedFormat("a recording holds 24 hours at most; go on in a new one")

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
