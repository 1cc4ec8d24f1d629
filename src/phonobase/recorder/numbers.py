"""Samples that are none: NaN and infinity, which a broken driver gives among others."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phonobase.recorder.timeline import Loss, Sound

if TYPE_CHECKING:
    import numpy.typing as npt

    from phonobase.pcm import AudioFormat

INVALID = "invalid"


def numbers_only(sound: Sound, audio_format: AudioFormat) -> list[Sound | Loss]:
    """Return sound with a loss in the place of the frames that hold a sample which is no number.

    Args:
        sound: What was heard.
        audio_format: Of its frames.
    """
    if sound.frames.dtype.kind != "f" or np.isfinite(sound.frames).all():
        return [sound]
    good: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(sound.frames), axis=1)
    edges = [0, *(np.flatnonzero(good[1:] != good[:-1]) + 1).tolist(), len(good)]
    parts: list[Sound | Loss] = []
    for first, end in itertools.pairwise(edges):
        if good[first]:
            at_us = sound.captured_at_us + audio_format.microseconds(first)
            parts.append(replace(sound, frames=sound.frames[first:end], captured_at_us=at_us))
        else:
            parts.append(Loss(end - first, INVALID, "the device gave samples that are no numbers"))
    return parts
