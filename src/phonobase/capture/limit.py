"""So many frames of an input and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phonobase.capture.block import Block


def limited(blocks: Iterable[Block], frame_count: int) -> Iterator[Block]:
    """Yield blocks up to exactly ``frame_count`` frames; the last one is cut.

    Where the sound ends earlier, so does this. No block is asked for once the count is reached.
    """
    left = frame_count
    if left <= 0:
        return
    for block in blocks:
        size = len(block.frames)
        yield block if size <= left else replace(block, frames=block.frames[:left])
        left -= size
        if left <= 0:
            return
