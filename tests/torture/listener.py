"""Listens to the world, and notes how much was handed over: what a kill cost is known to the frame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.capture.block import Block
    from phonobase.pcm import AudioFormat

PLUGIN = "plugin:tests.torture.listener:listen"
"""The name of the input; its process must have HANDED_OVER."""

HANDED_OVER = "HANDED_OVER"
"""The variable that names the folder of the notes: a file for every process."""

_BYTES = 8


class Listener(World):
    """The world; a note of what it gave outlives the process."""

    def blocks(self) -> Iterator[Block]:
        """Yield what is heard from now on."""
        handed = 0
        with _note(os.getpid()).open("wb", buffering=0) as note:
            for block in super().blocks():
                handed += len(block.frames)
                os.pwrite(note.fileno(), handed.to_bytes(_BYTES, "little"), 0)
                yield block


def listen(audio_format: AudioFormat) -> Listener:
    """Return an input; this is what PLUGIN names."""
    return Listener(audio_format)


def handed_over(folder: Path) -> dict[int, int]:
    """Returns how many frames the recorder in each process was given."""
    return {int(note.name): int.from_bytes(note.read_bytes(), "little") for note in folder.iterdir()}


def _note(pid: int) -> Path:
    return Path(os.environ[HANDED_OVER]) / str(pid)
