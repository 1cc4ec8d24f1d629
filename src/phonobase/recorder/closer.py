"""Ends, in the background, what an earlier recorder could not end: sound must not wait for that."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from phonobase.errors import CorruptRecording, RecordingClosed, RecordingNotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from phonobase.store.archive import Archive
    from phonobase.store.recording import Recording

_RETRY_S = 5.0
_log = logging.getLogger("phonobase.recorder")


class Closer:
    """Closes recordings as they are stored, one after the other, until each is.

    Args:
        archive: Where they are.
        on_recording: Called with each that was closed.
    """

    def __init__(self, archive: Archive, on_recording: Callable[[Recording], None]) -> None:
        self._archive = archive
        self._on_recording = on_recording
        self._waiting: queue.Queue[UUID | None] = queue.Queue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="phonobase-closer", daemon=True)
        self._thread.start()

    def close(self, recording_id: UUID) -> None:
        """Have a recording closed soon."""
        self._waiting.put(recording_id)

    def stop(self, timeout_s: float) -> None:
        """Wait a while for what is left; what is then still open, the next recorder closes."""
        self._waiting.put(None)
        self._thread.join(timeout_s)
        self._stopped.set()

    def _work(self) -> None:
        while (recording_id := self._waiting.get()) is not None:
            while not self._close(recording_id) and not self._stopped.wait(_RETRY_S):
                pass

    def _close(self, recording_id: UUID) -> bool:
        """Try it; return whether there is nothing more to do."""
        try:
            recording = self._archive.close_as_stored(recording_id)
        except (RecordingNotFound, RecordingClosed):
            return True  # nothing of it was stored, or somebody else was quicker
        except CorruptRecording:
            _log.exception("recording cannot be closed", extra={"recording": recording_id.hex})
            return True
        except StoreError:
            return False
        self._on_recording(recording)
        return True
