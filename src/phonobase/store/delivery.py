"""A cut as files: its sound, what is said of it beside them, and the manifest that proves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from phonobase.audio import encoding as encodings
from phonobase.audio.kinds import Kind
from phonobase.audio.labels import audacity, webvtt
from phonobase.store.accounting import check_manifest
from phonobase.store.evidence import Written, manifest_of
from phonobase.store.export import write_take
from phonobase.store.labels import labels_of
from phonobase.store.manifest import dump
from phonobase.store.names import moment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from phonobase.store.archive import Archive
    from phonobase.store.cut import Cut
    from phonobase.store.take import Take

BESIDE = {"vtt": webvtt, "txt": audacity}
"""The formats of files with annotations that stand beside those with the sound."""
CUES = "cues"
"""Stands for annotations within those."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that is to be.

    Attributes:
        path: Where.
        kind: Of which kind.
        take: What goes into it.
    """

    path: Path
    kind: Kind
    take: Take


class Place(Protocol):
    """Where files go."""

    def writing(self, path: Path, /) -> AbstractContextManager[BinaryIO]:
        """Give a file to write, which can seek unless it has no manifest."""

    def unnamed(self, path: Path, /) -> Path:
        """Return where a file is, once it is written."""


class Progress(Protocol):
    """Somebody who is told how far a file has come."""

    def __call__(self, plan: Plan, /) -> AbstractContextManager[Callable[[int], None]]:
        """Give what is called with the number of frames that were written since the last call."""


def own_kind(take: Take) -> Kind:
    """Return the kind of file that a take becomes where nobody wishes for another."""
    return Kind.of(encodings.choose(take.format))


def deliver(
    archive: Archive,
    cut: Cut,
    plans: Sequence[Plan],
    place: Place,
    progress: Progress,
    *,
    labels: frozenset[str] = frozenset(),
    manifest: bool = False,
) -> list[Path]:
    """Write all files of a cut, and return their paths.

    Args:
        archive: Where the recordings are.
        cut: What is written.
        plans: A file for each of its takes.
        place: Where they go.
        progress: Who is told how far they have come.
        labels: How the annotations go along: names of BESIDE, and CUES.
        manifest: Whether what proves the files goes along.

    Raises:
        UnsupportedFormat: A kind cannot hold a format, or the labels.
        CorruptRecording: Chunks are missing, changed, or do not decode.
    """
    paths = []
    for plan in plans:
        said = labels_of(archive, plan.take) if labels else []
        with place.writing(plan.path) as out, progress(plan) as done:
            write_take(archive, plan.take, plan.kind, out, done, said if CUES in labels else [])
        paths.append(plan.path)
        for name in sorted(labels - {CUES}):
            paths.append(beside(plan.path, name))
            with place.writing(paths[-1]) as out:
                out.write(BESIDE[name](said, plan.take.format.sample_rate).encode())
    if manifest:
        written = [Written(plan.path.name, place.unnamed(plan.path), plan.kind, plan.take) for plan in plans]
        document = manifest_of(archive, cut, written)
        check_manifest(document)
        paths.append(_manifest_path(cut, plans))
        with place.writing(paths[-1]) as out:
            out.write(dump(document))
    return paths


def beside(path: Path, suffix: str) -> Path:
    """Return where something goes that belongs to a file."""
    return path.with_name(f"{path.name}.{suffix}")


def _manifest_path(cut: Cut, plans: Sequence[Plan]) -> Path:
    """Return where a manifest goes: beside its file, or called by the period where there are several."""
    first = plans[0].path
    if len(plans) == 1:
        return beside(first, "manifest.json")
    return first.with_name(moment_name(cut.source, cut.since, ".manifest.json"))
