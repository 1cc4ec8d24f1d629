"""Exported files against their manifest: no database is asked.

What is proved: the file is, byte for byte and sample for sample, what the manifest says; the chunks it was
made of are links of one chain that begins with what each recording is; where their bytes are in the file,
these are the ones that were recorded; and every microsecond of the period is either sound in the files or
listed as a gap. What is not: that the manifest is the one that export wrote. Whoever changes a file may write
another manifest; against that its hash must be kept elsewhere.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from phonobase.audio import flac
from phonobase.audio.kinds import Kind
from phonobase.audio.renumber import renumbered, split
from phonobase.audio.samples import samples
from phonobase.errors import CorruptRecording, InvalidAudio, ProofFailed
from phonobase.pcm import SampleFormat, to_bytes
from phonobase.store.accounting import check_manifest, format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phonobase.store.manifest import ChunkEntry, FileEntry, Manifest, PartEntry

_READ_BYTES = 1 << 20
_PACKET = flac.FRAMES_PER_PACKET


def prove(path: Path, manifest: Manifest, on_bytes: Callable[[int], None] = lambda _bytes: None) -> FileEntry:
    """Check a file against the manifest that was exported with it, and return what that says of it.

    Args:
        path: Of the file; it may have another name by now, where it is the only one of its manifest.
        manifest: As ``load`` returns it.
        on_bytes: Called with the number of bytes that were read since the last call.

    Raises:
        ProofFailed: Something is not as it was exported; the message says what.
    """
    check_manifest(manifest)
    entry = _entry(path, manifest)
    try:
        _check_bytes(path, entry, on_bytes)
        _check_kind(path, entry)
        if entry.pcm_sha256 is not None:
            _check_samples(path, entry)
        for first_frame, part in _placed(entry):
            if part.copied:
                _check_copies(path, entry, part, first_frame)
    except OSError as error:
        raise ProofFailed(f"{path} cannot be read: {error.strerror}; name the exported file") from error
    except (ValueError, OverflowError) as error:
        raise ProofFailed(f"the manifest says what cannot be of {path}: {error}") from error
    return entry


def _entry(path: Path, manifest: Manifest) -> FileEntry:
    named = [entry for entry in manifest.files if entry.name == path.name]
    if not named and len(manifest.files) > 1:
        names = ", ".join(entry.name for entry in manifest.files)
        raise ProofFailed(f"the manifest names no {path.name}, but {names}; give the file its name back")
    return (named or manifest.files)[0]


def _check_bytes(path: Path, entry: FileEntry, on_bytes: Callable[[int], None]) -> None:
    size = path.stat().st_size
    if size != entry.bytes:
        raise ProofFailed(f"{path} has {size} bytes, and {entry.bytes} were exported")
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            sha256.update(data)
            on_bytes(len(data))
    if sha256.hexdigest() != entry.sha256:
        raise ProofFailed(
            f"{path} was changed: its sha256 is another than that of the file that was exported"
        )


def _check_kind(path: Path, entry: FileEntry) -> None:
    """Check that a file is of its kind, and where its sound begins."""
    try:
        with path.open("rb") as file:
            found = Kind(entry.kind).header_bytes(file)
    except InvalidAudio as error:
        raise ProofFailed(f"{path}: {error}") from error
    if found != entry.header_bytes:
        raise ProofFailed(f"the manifest has the sound of {path} at another place than the file")


def _check_samples(path: Path, entry: FileEntry) -> None:
    """Decode a file and compare what is in it; what stands for time without sound must be silent."""
    sha256, place = hashlib.sha256(), 0
    sample_format = SampleFormat(entry.sample_format)
    silences = [(first, first + part.frame_count) for first, part in _placed(entry) if part.recording is None]
    try:
        for frames in samples(path, sample_format):
            sha256.update(to_bytes(frames, sample_format))
            end = place + len(frames)
            while silences and silences[0][1] <= place:
                del silences[0]
            for first, last in silences:
                if first >= end:
                    break
                if frames[max(0, first - place) : last - place].any():
                    raise ProofFailed(f"{path} holds sound where the manifest says that nothing was heard")
            place = end
    except InvalidAudio as error:
        raise ProofFailed(str(error)) from error
    if place != entry.frame_count:
        raise ProofFailed(f"{path} holds {place} frames, and {entry.frame_count} were exported")
    if sha256.hexdigest() != entry.pcm_sha256:
        raise ProofFailed(f"{path} was changed: its samples are not those that were exported")


def _check_copies(path: Path, entry: FileEntry, part: PartEntry, first_frame: int) -> None:
    """Compare the bytes of the chunks that a file holds with the hashes that the chain binds."""
    pieces = _flac_pieces if entry.kind == Kind.FLAC else _pcm_pieces
    try:
        for chunk, data in pieces(path, entry, part, first_frame):
            if hashlib.sha256(data).hexdigest() != chunk.sha256:
                raise ProofFailed(
                    f"{path} was changed: chunk {chunk.seq} in it is not the one that was recorded"
                )
    except CorruptRecording as error:
        raise ProofFailed(f"{path}: {error}") from error


def _pcm_pieces(
    path: Path, entry: FileEntry, part: PartEntry, first_frame: int
) -> Iterator[tuple[ChunkEntry, bytes]]:
    """Yield the chunks that are wholly in a part, with their bytes."""
    form = format_of(entry)
    with path.open("rb") as file:
        for chunk in _whole(part):
            place = first_frame + chunk.first_frame - part.first_frame
            file.seek(entry.header_bytes + place * form.frame_bytes)
            yield chunk, file.read(chunk.byte_count)


def _flac_pieces(
    path: Path, entry: FileEntry, part: PartEntry, first_frame: int
) -> Iterator[tuple[ChunkEntry, bytes]]:
    """Yield likewise; the FLAC frames count from where the recording has them."""
    del first_frame  # a file of copied FLAC has one part
    with path.open("rb") as file:
        file.seek(entry.header_bytes)
        frames = enumerate(split(file.read, 0))
        at = part.first_frame
        for chunk in _whole(part):
            data = b""
            while at < chunk.first_frame + chunk.frame_count:
                number, frame = next(frames, (0, b""))
                if not frame:
                    break
                if at >= chunk.first_frame:
                    data += renumbered(frame, number, at // _PACKET)
                at += _PACKET
            yield chunk, data


def _whole(part: PartEntry) -> Iterator[ChunkEntry]:
    end = part.first_frame + part.frame_count
    for chunk in part.chunks:
        if part.first_frame <= chunk.first_frame and chunk.first_frame + chunk.frame_count <= end:
            yield chunk


def _placed(entry: FileEntry) -> Iterator[tuple[int, PartEntry]]:
    """Yield the parts of a file, each with the frames before it."""
    place = 0
    for part in entry.parts:
        yield place, part
        place += part.frame_count
