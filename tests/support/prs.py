"""A signal in which every frame tells its position: nothing lost or repeated goes unseen."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[Any]

_WINDOW = 16  # frames: no stretch this long occurs twice in a pseudo-random signal


@dataclass(frozen=True)
class Fault:
    """A place where a recording departs from the signal.

    A recorder that puts silence where it lost sound makes faults with as many foreign as lost
    frames: what follows is in its place.
    """

    at: int  # the first frame of the recording that is not the signal's
    lost: int  # how many frames of the signal are missing; negative: how many came twice
    foreign: int  # how many frames stand there that are not the signal

    def __str__(self) -> str:
        change = f"{self.lost} lost" if self.lost >= 0 else f"{-self.lost} repeated"
        return f"frame {self.at}: {change}, {self.foreign} foreign"


def noise(
    frames: int,
    channels: int = 1,
    *,
    dtype: Literal["int16", "int32", "float32"] = "int16",
    seed: int = 1,
) -> Frames:
    """Returns white noise of shape (frames, channels) without a single zero: silence is foreign."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.uniform(0.001, 1, (frames, channels)).astype(np.float32)
    limit = np.iinfo(dtype)
    values = random.integers(limit.min, limit.max, (frames, channels), dtype=dtype)
    values[values == 0] = 1
    return values


def locate(recorded: Frames, signal: Frames) -> int:
    """Returns the offset for which `recorded[i]` is `signal[i + offset]` where the sound begins.

    The offset is negative if silence was recorded before the signal began.
    """
    start, position = _Matches(_shaped(recorded, signal), signal).at_or_after(0)
    return position - start


def faults(recorded: Frames, signal: Frames) -> list[Fault]:
    """Finds every place where frames were lost, repeated or altered.

    Silence before the signal and after its end is no fault; nor is it one that the recording starts
    or stops amid the signal.
    """
    recorded = _shaped(recorded, signal)
    matches = _Matches(recorded, signal)
    found = []
    at = _silence(recorded)
    offset = -at if at else locate(recorded, signal)  # after silence the first frame must come
    while (at := _difference(recorded, signal, at, offset)) < len(recorded):
        start, position = matches.at_or_after(at)
        if start == len(recorded) and at + offset == len(signal) and not recorded[at:].any():
            break  # nothing but silence after the signal's end
        found.append(Fault(at=at, lost=position - (at + offset), foreign=start - at))
        at, offset = start, position - start
    return found


def assert_contiguous(recorded: Frames, signal: Frames) -> int:
    """Fails with every lost, repeated or altered frame; returns what `locate` returns."""
    found = faults(recorded, signal)
    assert not found, "; ".join(str(fault) for fault in found[:20])
    return locate(recorded, signal)


class _Matches:
    """Where stretches of the recording stand in the signal."""

    def __init__(self, recorded: Frames, signal: Frames) -> None:
        self._ends = len(recorded), len(signal)
        keys, wanted = _keys(signal), _keys(recorded)
        order = keys.argsort()
        nearest = order[keys[order].searchsorted(wanted).clip(max=len(keys) - 1)]
        self._starts = np.flatnonzero(keys[nearest] == wanted)
        self._positions = nearest[self._starts]
        if not len(self._starts):
            raise AssertionError(f"nothing of the signal in {len(recorded)} recorded frames")

    def at_or_after(self, frame: int) -> tuple[int, int]:
        """Returns the next frame that is the signal's and its position there, or both ends."""
        index = self._starts.searchsorted(frame)
        if index == len(self._starts):
            return self._ends
        return int(self._starts[index]), int(self._positions[index])


def _keys(frames: Frames) -> npt.NDArray[np.uint64]:
    """Returns a hash of the window that begins at each frame."""
    words = frames.view(f"u{frames.itemsize}").astype(np.uint64)
    factors = np.random.default_rng(2).integers(2**64, size=frames.shape[1], dtype=np.uint64)
    mixed = (words * factors).sum(axis=1, dtype=np.uint64)
    keys = np.zeros(max(len(frames) - _WINDOW + 1, 0), np.uint64)
    for first in range(_WINDOW):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + mixed[first : first + len(keys)]
    return keys


def _shaped(recorded: Frames, signal: Frames) -> Frames:
    assert recorded.dtype == signal.dtype, f"{recorded.dtype} recorded, {signal.dtype} played"
    return np.ascontiguousarray(recorded).reshape(-1, signal.shape[1])


def _silence(recorded: Frames) -> int:
    """Returns the number of silent frames at the start."""
    return int(recorded.any(axis=1).argmax())


def _difference(recorded: Frames, signal: Frames, at: int, offset: int) -> int:
    """Returns the first frame of the recording, from `at` on, that is not the signal's."""
    expected = signal[at + offset :]
    length = min(len(recorded) - at, len(expected))
    different = (recorded[at : at + length] != expected[:length]).any(axis=1)
    return at + (int(different.argmax()) if different.any() else length)
