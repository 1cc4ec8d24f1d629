"""Float samples that are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phonobase.pcm import Frames


def finite_frames(frames: Frames) -> int:
    """Return the number of frames before the first one that holds NaN or infinity."""
    if frames.dtype.kind != "f":
        return len(frames)
    finite = np.isfinite(frames).all(axis=1)
    return len(frames) if finite.all() else int(finite.argmin())
