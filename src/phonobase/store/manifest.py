"""What goes along with exported files, so that they can be proved without the archive.

A manifest is JSON in one form only, with a hash over all of it: a file in which any byte was changed is none.
Times are UTC to the microsecond, hashes SHA-256 in hexadecimal digits, numbers whole.
"""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from phonobase.errors import ProofFailed
from phonobase.store.columns import from_us, to_us

VERSION = 1


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """A chunk of a recording that sound in a file is from, as ``phono_chunk`` has it."""

    seq: int
    first_frame: int
    frame_count: int
    byte_count: int
    sha256: str
    chain: str


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording that sound in a file is from.

    Its source is the manifest's, its format the file's; with these the first four are what its chain begins
    with.

    Attributes:
        id: 32 digits.
        started_at: At its first frame.
        encoding: Of its audio rows.
        state: Where it stood when it was exported.
        frame_count: Frames it had then.
        chunk_count: Chunks it had then.
        chain_head: The chain of the last of them.
    """

    id: str
    started_at: str
    encoding: str
    state: str
    frame_count: int
    chunk_count: int
    chain_head: str


@dataclass(frozen=True, slots=True)
class PartEntry:
    """Frames of a file that follow each other in a recording; silence, where there is none.

    Attributes:
        frame_count: How many.
        recording: Which; None for silence.
        first_frame: Frames of the recording before them.
        losses: Where they stand for time that is listed as a gap: frames of the recording before, and how
            many, or none where nobody knows.
        copied: Whether the file holds the chunks' own bytes, and not only their samples.
        chain_before: The chain before the first of the chunks.
        chunks: All that the frames are from.
    """

    frame_count: int
    recording: RecordingEntry | None = None
    first_frame: int = 0
    losses: tuple[tuple[int, int], ...] = ()
    copied: bool = False
    chain_before: str = ""
    chunks: tuple[ChunkEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file.

    Attributes:
        name: As it was called.
        kind: flac, wav, bwf or opus.
        bytes: Its size.
        sha256: Of all of it.
        header_bytes: What stands before the sound.
        started_at: At its first frame.
        sample_rate: Of what went into it, as the next three.
        channels: Samples in a frame.
        sample_format: int16, int24, int32 or float32.
        frame_count: Frames.
        pcm_sha256: Of the PCM that it decodes to, little-endian, interleaved; None where the kind is lossy.
        parts: What it is made of, in its order.
    """

    name: str
    kind: str
    bytes: int
    sha256: str
    header_bytes: int
    started_at: str
    sample_rate: int
    channels: int
    sample_format: str
    frame_count: int
    pcm_sha256: str | None
    parts: tuple[PartEntry, ...]


@dataclass(frozen=True, slots=True)
class GapEntry:
    """A stretch of the period that was not heard, as ``phono_gap`` has it, clipped to the period."""

    started_at: str
    ended_at: str
    cause: str
    recording: str | None
    first_frame: int | None
    frame_count: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was exported.

    Attributes:
        phonobase_manifest: The version of this form.
        made_at: When.
        made_by: Programs and their versions.
        source: Whose time.
        since: The beginning of the period.
        until: Its end.
        policy: What was made of time without sound.
        heard_us: Microseconds of the period that were heard; with the gaps they are all of it.
        gaps: What was not heard, the first to begin first.
        files: The files.
    """

    phonobase_manifest: int
    made_at: str
    made_by: tuple[tuple[str, str], ...]
    source: str
    since: str
    until: str
    policy: str
    heard_us: int
    gaps: tuple[GapEntry, ...]
    files: tuple[FileEntry, ...]


def to_text(moment: datetime) -> str:
    """Return a moment as a manifest has it."""
    return from_us(to_us(moment)).isoformat(timespec="microseconds")


def text_to_us(text: str) -> int:
    """Return a moment in a manifest, in microseconds since 1970-01-01 UTC.

    Raises:
        ProofFailed: It is none.
    """
    try:
        time_us = to_us(datetime.fromisoformat(text))
    except ValueError as error:
        raise ProofFailed(f"the manifest has {text!r} for a time, which is none") from error
    return time_us


def dump(manifest: Manifest) -> bytes:
    """Return a manifest as the bytes of its file."""
    plain = asdict(manifest)
    return _text(plain | {"sha256": hashlib.sha256(_text(plain)).hexdigest()})


def load(data: bytes) -> Manifest:
    """Return the manifest that bytes hold.

    Raises:
        ProofFailed: They hold none, or one in which something was changed.
    """
    try:
        document = json.loads(data)
        plain = {name: value for name, value in document.items() if name != "sha256"}
        unchanged = hashlib.sha256(_text(plain)).hexdigest() == document.get("sha256")
        if not unchanged or _text(document) != data:
            raise ProofFailed("the manifest was changed: its sha256 is another than that of what it says")
        if plain["phonobase_manifest"] != VERSION:
            raise ProofFailed("the manifest is of another version; verify it with a newer phonobase")
        manifest: Manifest = _as(Manifest, plain)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProofFailed(
            "that is no manifest of phonobase; name the .manifest.json that export wrote"
        ) from error
    return manifest


def _text(plain: dict[str, Any]) -> bytes:
    return (json.dumps(plain, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _as(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type, and a value of it
    """Return a JSON value as a value of a type; TypeError or KeyError where it is none."""
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        if value.keys() != hints.keys():
            raise TypeError(f"{kind.__name__}: {sorted(value)}")
        return kind(**{name: _as(hint, value[name]) for name, hint in hints.items()})
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)
        each = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_as(one, item) for one, item in zip(each, value, strict=True))
    if get_origin(kind) is types.UnionType:
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return None if value is None else _as(inner, value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind}")
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
