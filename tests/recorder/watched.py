"""The program `phonobase`, saying after every block how many frames are written, cut and committed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from phonobase.audio.cut import Cut, Cutter
from phonobase.cli import main
from phonobase.store.writer import RecordingWriter

if TYPE_CHECKING:
    import numpy.typing as npt

    from phonobase.pcm import Frames

_write, _cut = RecordingWriter.write, Cutter.write
_frames_cut = 0


def _cut_and_count(self: Cutter, frames: Frames, captured_at_us: int | None = None) -> list[Cut]:
    global _frames_cut  # noqa: PLW0603 - of the one recording that the program makes
    cuts = _cut(self, frames, captured_at_us)
    _frames_cut += sum(len(cut.frames) for cut in cuts)
    return cuts


def _write_and_say(self: RecordingWriter, frames: npt.ArrayLike, captured_at_us: int | None = None) -> None:
    _write(self, frames, captured_at_us)
    os.write(1, f"{self.frames_written} {_frames_cut} {self.frames_committed}\n".encode())


if __name__ == "__main__":
    Cutter.write = _cut_and_count  # type: ignore[method-assign]
    RecordingWriter.write = _write_and_say  # type: ignore[method-assign]
    main()
