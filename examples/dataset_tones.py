"""Learn from an archive: clips of it in a Parquet file, opened by Hugging Face datasets.

What each recording is, a tag says; a clip that nobody has tagged is told by what it is nearest to.
It needs ``pip install 'phonobase[arrow]' datasets``; run it with ``python examples/dataset_tones.py sqlite:///clips.db``.
"""

import io
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Unpack

import datasets
import numpy as np
import numpy.typing as npt
import soundfile

from phonobase import Archive, Conditions, Query
from phonobase.store.dataset import write_dataset

Clip = dict[str, Any]

CLIP_SECONDS = Fraction(1, 2)


def open_dataset(archive: Archive, folder: Path, **conditions: Unpack[Conditions]) -> datasets.Dataset:
    """Return the recordings that meet the conditions as a dataset of half-second clips."""
    path = folder / "clips.parquet"
    with path.open("wb") as out:
        write_dataset(archive, replace(Query(limit=None), **conditions), out, CLIP_SECONDS)
    clips = datasets.Dataset.from_parquet(str(path), cache_dir=str(folder / "cache"))
    # The bytes are whole FLAC files; soundfile decodes them without torchcodec.
    return clips.cast_column("audio", datasets.Audio(decode=False))


def features(clip: Clip) -> npt.NDArray[np.float64]:
    """Return how a clip sounds: the share of its power in its strongest band, and how high that band is."""
    samples, _ = soundfile.read(io.BytesIO(clip["audio"]["bytes"]), always_2d=True)
    power = np.abs(np.fft.rfft(samples[:, 0], 1024)) ** 2
    bands = power[1:].reshape(16, -1).sum(axis=1)
    whole = bands.sum() or 1.0  # of digital silence there is no share
    return np.array([bands.max() / whole, bands.argmax() / len(bands)])


def learn(clips: Iterable[Clip], name_of: Callable[[Clip], str]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the middle of all clips of each name; ``name_of`` tells a clip's."""
    seen = defaultdict(list)
    for clip in clips:
        seen[name_of(clip)].append(features(clip))
    return {name: np.mean(found, axis=0) for name, found in seen.items()}


def tell(middles: dict[str, npt.NDArray[np.float64]], clip: Clip) -> str:
    """Return the name whose clips are nearest to one."""
    here = features(clip)
    return min(middles, key=lambda name: float(np.linalg.norm(middles[name] - here)))


def main() -> None:
    """Learn the sources of an archive by their sound, and say how often that tells them apart."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the address
        sys.exit("usage: python examples/dataset_tones.py DATABASE_URL")
    with Archive(sys.argv[1], create=False) as archive, tempfile.TemporaryDirectory() as folder:
        clips = open_dataset(archive, Path(folder))
        middles = learn(clips, lambda clip: clip["source"])
        right = sum(tell(middles, clip) == clip["source"] for clip in clips)
        names = ", ".join(sorted(middles))
        print(f"{len(clips)} clips of half a second, from {len(middles)} sources: {names}")
        print(f"the sound alone tells the right source of {right} of them")


if __name__ == "__main__":
    main()
