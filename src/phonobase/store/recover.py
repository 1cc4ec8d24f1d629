"""Closing what a recorder that died left open."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonobase.audio import encoding as encodings
from phonobase.audio.level import Level, measure
from phonobase.pcm import to_bytes
from phonobase.store.recording import comments
from phonobase.store.rows import header_row

if TYPE_CHECKING:
    from phonobase.pcm import Frames
    from phonobase.store.chunks import StoredChunks
    from phonobase.store.recording import Recording, State

SILENT_FOR = timedelta(seconds=60)
"""A recorder elsewhere that committed within this time may be alive."""

WHOLE_OR_NOTHING = "whole_or_nothing"
"""The name, among the facts of capture, that marks a recording to be taken back where it is not completed."""

_START_TIME = 22
"""The place of a process's start time in its stat file, counted from 1 (proc(5))."""


def recorder_facts() -> dict[str, str | int | None]:
    """Return what tells later whether this process still lives, to be kept with a recording."""
    pid = os.getpid()
    return {"host": platform.node(), "pid": pid, "process": _birth(pid)}


def may_be_live(recording: Recording, now: datetime | None = None) -> bool:
    """Whether somebody may still be writing an open recording.

    Where the recorder ran on this machine, and in this container, its process tells. Elsewhere it may be
    alive as long as it committed something within the last minute.
    """
    pid, process = recording.capture.get("pid"), str(recording.capture.get("process"))
    here = recording.capture.get("host") == platform.node() and process.startswith(_world())
    if here and isinstance(pid, int):
        return bool(lives(pid, process))
    return (now or datetime.now(UTC)) - recording.committed_at < SILENT_FOR


def is_half_an_import(recording: Recording) -> bool:
    """Whether an open recording is what an import left that was killed: whole or not at all, it promised."""
    return bool(recording.capture.get(WHOLE_OR_NOTHING))


@dataclass(frozen=True, slots=True)
class Closing:
    """What is written of a recording when it is closed, told by its sound.

    Attributes:
        header: Its last header.
        pcm_sha256: SHA-256 of its PCM.
        level: How loud it is.
    """

    header: bytes
    pcm_sha256: bytes
    level: Level

    def values(self, state: State, drift_ppm: float | None = None) -> dict[str, Any]:
        """Return the columns of a recording that becomes closed, with what was measured of its clock."""
        drift = {} if drift_ppm is None else {"drift_ppm": drift_ppm}
        return (
            drift
            | {
                "state": state,
                "pcm_sha256": self.pcm_sha256,
                "peak_dbfs": self.level.peak_dbfs,
                "rms_dbfs": self.level.rms_dbfs,
                "clipped_frames": self.level.clipped_frames,
            }
            | header_row(self.header)
        )


def closing(stored: StoredChunks) -> Closing:
    """Return what closes a recording as it stands in the database.

    Its level is measured anew: the row may speak of more sound than came as far as here.

    Raises:
        CorruptRecording: Chunks are missing or do not decode.
    """
    recording = stored.recording
    form = recording.format.sample_format
    sha256, md5, level = hashlib.sha256(), hashlib.md5(usedforsecurity=False), Level()

    def take(frames: Frames) -> Level:
        pcm = to_bytes(frames, form)
        sha256.update(pcm)
        md5.update(pcm)
        return measure(frames, form)

    for frames in stored.frames():
        level += stored.compute(take, frames)
    header = encodings.header(
        recording.encoding,
        recording.format,
        recording.frame_count,
        md5.digest(),
        comments(recording),
    )
    return Closing(header, sha256.digest(), level)


def lives(pid: int, process: str | None) -> bool | None:
    """Return whether the process of this number is still the one of which recorder_facts() told.

    None, where that cannot be known: it is in another container, or the system does not tell.
    """
    if process is None or not process.startswith(_world()):
        return None
    return process == _birth(pid)


def _birth(pid: int) -> str | None:
    """Return what tells a process from others that had its number before, or have it after a restart.

    None, where it is gone, or where the system does not say: only Linux does.
    """
    try:
        # Behind the name, which may hold anything, stand the fields from the third on.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return f"{_world()}{pid}/{fields[_START_TIME - 3]}" if fields[0] != "Z" else None


def _world() -> str:
    """Return what numbers of processes are told apart by: the machine's start, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/"
    except OSError:
        return "unknown/"
