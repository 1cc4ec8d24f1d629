"""The smallest piece an encoder hands over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packet:
    """Encoded bytes that stand for a whole number of frames.

    Attributes:
        frame_count: Frames in it.
        data: The bytes, to be joined with those of the packets before and after.
    """

    frame_count: int
    data: bytes
