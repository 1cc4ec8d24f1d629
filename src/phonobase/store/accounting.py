"""Whether a manifest is true to itself: the chain of what was heard, and the account of what was not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from phonobase.audio import chain, flac
from phonobase.audio.encoding import Encoding
from phonobase.audio.kinds import Kind
from phonobase.errors import PhonobaseError, ProofFailed
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.columns import from_us
from phonobase.store.manifest import text_to_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phonobase.store.manifest import FileEntry, GapEntry, Manifest, PartEntry, RecordingEntry

_SECOND_US = 1_000_000
_MILLISECOND_US = 1_000


def check_manifest(manifest: Manifest) -> None:
    """Check all in a manifest that follows from what else is in it.

    Raises:
        ProofFailed: Something does not; the message says what.
    """
    try:
        _check_names(manifest)
        for entry in manifest.files:
            _check_kind(entry)
            _check_parts(entry)
            for part in entry.parts:
                if part.recording is not None:
                    _check_chain(manifest.source, entry, part, part.recording)
                    _check_losses(manifest, entry, part, part.recording)
        _check_account(manifest)
    except ProofFailed:
        raise
    except (PhonobaseError, ValueError, IndexError, OverflowError, struct.error) as error:
        raise ProofFailed(f"the manifest says what cannot be: {error}") from error


def format_of(entry: FileEntry) -> AudioFormat:
    """Return the format of what went into a file."""
    return AudioFormat(entry.sample_rate, entry.channels, SampleFormat(entry.sample_format))


def holds_chunks(entry: FileEntry, part: PartEntry) -> bool:
    """Whether a file has the bytes of a part's chunks: of PCM every WAV, of FLAC what is nothing else."""
    recording = part.recording
    if recording is None:
        return False
    if Encoding(recording.encoding) is Encoding.PCM:
        return Kind(entry.kind) in (Kind.WAV, Kind.BWF)
    end = part.first_frame + part.frame_count
    begins_with_one = part.first_frame % flac.FRAMES_PER_PACKET == 0
    ends_with_one = end % flac.FRAMES_PER_PACKET == 0 or end == recording.frame_count
    return Kind(entry.kind) is Kind.FLAC and len(entry.parts) == 1 and begins_with_one and ends_with_one


def losses(
    gaps: Sequence[GapEntry], form: AudioFormat, recording: RecordingEntry, first_frame: int, frame_count: int
) -> tuple[tuple[int, int], ...]:
    """Return which frames of a part stand for time that is listed as a gap.

    Args:
        gaps: All that are listed.
        form: Of the recording.
        recording: Whose frames.
        first_frame: Frames of it before the part.
        frame_count: Frames in the part.

    Returns:
        Frames of the recording before each loss, and how many it is; none, where nobody knows.
    """
    started_us, end_frame = text_to_us(recording.started_at), first_frame + frame_count
    found = []
    for gap in gaps:
        bounds_us = (text_to_us(gap.started_at), text_to_us(gap.ended_at))
        first, end = (
            min(max(_nearest(form, time_us - started_us), first_frame), end_frame) for time_us in bounds_us
        )
        if first < end:
            found.append((first, end - first))
        elif gap.recording == recording.id and gap.first_frame is not None and not gap.frame_count:
            found += [(gap.first_frame, 0)] if first_frame <= gap.first_frame <= end_frame else []
    return tuple(found)


def _check_names(manifest: Manifest) -> None:
    names = [entry.name for entry in manifest.files]
    if len(set(names)) < len(names):
        raise ProofFailed("the manifest has two files of one name")


def _check_kind(entry: FileEntry) -> None:
    """Check that no more, and no less, is to be looked at in a file than its kind demands."""
    if Kind(entry.kind).is_lossy is not (entry.pcm_sha256 is None):
        raise ProofFailed(
            f"the manifest has {entry.name} as {entry.kind}, and not the hash that goes with it"
        )
    for part in entry.parts:
        if part.copied is not holds_chunks(entry, part):
            raise ProofFailed(f"the manifest is wrong in whether {entry.name} holds the chunks' own bytes")


def _check_parts(entry: FileEntry) -> None:
    """Check that the frames of a file are those of its parts, each at its time."""
    form, start_us, place = format_of(entry), text_to_us(entry.started_at), 0
    if not any(part.recording for part in entry.parts):
        raise ProofFailed(f"the manifest has {entry.name} without sound")
    for number, part in enumerate(entry.parts, 1):
        if part.frame_count < 1:
            raise ProofFailed(f"the manifest has a part of {entry.name} without a frame")
        if part.recording is not None:
            # Recordings that follow each other within half a frame are joined without silence between.
            late_us = _instant(form, part, part.recording, 0) - start_us - form.microseconds(place)
            if abs(late_us) > number * _two_frames_us(form):
                raise ProofFailed(
                    f"the manifest has frame {place} of {entry.name} at another time than its recording has"
                )
        place += part.frame_count
    if place != entry.frame_count:
        raise ProofFailed(
            f"the manifest has {place} frames in the parts of {entry.name}, not its frame_count"
        )


def _check_chain(source: str, entry: FileEntry, part: PartEntry, recording: RecordingEntry) -> None:
    """Check that the chunks of a part follow each other, hold its frames, and are linked."""
    where = f"recording {recording.id}"
    first, last = part.chunks[0], part.chunks[-1]
    end = part.first_frame + part.frame_count
    if not (first.first_frame <= part.first_frame and end <= last.first_frame + last.frame_count):
        raise ProofFailed(f"{where}: the manifest lacks chunks that the file's frames are from")
    genesis = chain.genesis(
        UUID(recording.id),
        text_to_us(recording.started_at),
        format_of(entry),
        Encoding(recording.encoding),
        source,
    )
    head, seq, frame = bytes.fromhex(part.chain_before), first.seq, first.first_frame
    if (seq == 0 or frame == 0) and (seq, frame, head) != (0, 0, genesis):
        raise ProofFailed(f"{where}: its chain does not begin with what the manifest says it is")
    for chunk in part.chunks:
        if (chunk.seq, chunk.first_frame) != (seq, frame):
            raise ProofFailed(f"{where}: the manifest lacks a chunk before chunk {chunk.seq}")
        head = chain.link(head, seq, frame, chunk.frame_count, bytes.fromhex(chunk.sha256))
        if head.hex() != chunk.chain:
            raise ProofFailed(f"{where}: the chain differs at chunk {seq}: it, or its place, was changed")
        seq, frame = seq + 1, frame + chunk.frame_count
    is_end = seq == recording.chunk_count
    if is_end is not (frame == recording.frame_count) or (is_end and head.hex() != recording.chain_head):
        raise ProofFailed(f"{where}: its chain does not end as the manifest says")


def _check_losses(manifest: Manifest, entry: FileEntry, part: PartEntry, recording: RecordingEntry) -> None:
    """Check that what a part says was lost in it and the gaps are the same."""
    gaps = manifest.gaps
    if part.losses != losses(gaps, format_of(entry), recording, part.first_frame, part.frame_count):
        raise ProofFailed(f"the gaps within recording {recording.id} are not all listed, or too many are")


def _check_account(manifest: Manifest) -> None:
    """Check that what was heard and the gaps are the period."""
    since_us, until_us = text_to_us(manifest.since), text_to_us(manifest.until)
    gaps = [(text_to_us(gap.started_at), text_to_us(gap.ended_at)) for gap in manifest.gaps]
    if manifest.heard_us + sum(end_us - start_us for start_us, end_us in gaps) != until_us - since_us:
        raise ProofFailed("what was heard and the gaps are not the whole period: a gap is missing, or added")
    heard = [
        (*stretch, _two_frames_us(format_of(entry))) for entry in manifest.files for stretch in _heard(entry)
    ]
    place_us, before_us = since_us, 0
    for start_us, end_us, frames_us in sorted([*heard, *((*gap, 0) for gap in gaps if gap[0] < gap[1])]):
        # Two that meet leave open what is too short for a frame of one of them.
        if abs(start_us - place_us) > max(_MILLISECOND_US, before_us, frames_us):
            raise ProofFailed(
                f"what was heard and the gaps do not meet from {_shown(min(place_us, start_us))} to "
                f"{_shown(max(place_us, start_us))}"
            )
        place_us, before_us = end_us, frames_us
    if abs(until_us - place_us) > max(_MILLISECOND_US, before_us):
        raise ProofFailed(f"what was heard and the gaps end at {_shown(place_us)}, not at {_shown(until_us)}")


def _heard(entry: FileEntry) -> Iterator[tuple[int, int]]:
    """Yield the stretches of time that a file holds sound of, without what was lost within recordings."""
    form = format_of(entry)
    for part in entry.parts:
        if part.recording is None:
            continue
        place = 0
        for first_frame, frame_count in part.losses:
            if not frame_count:  # it lasted for nobody knows how long
                continue
            if place < first_frame - part.first_frame:
                yield _stretch(form, part, part.recording, place, first_frame - part.first_frame)
            place = max(place, first_frame + frame_count - part.first_frame)
        if place < part.frame_count:
            yield _stretch(form, part, part.recording, place, part.frame_count)


def _stretch(
    form: AudioFormat, part: PartEntry, recording: RecordingEntry, first: int, end: int
) -> tuple[int, int]:
    return _instant(form, part, recording, first), _instant(form, part, recording, end)


def _instant(form: AudioFormat, part: PartEntry, recording: RecordingEntry, frame: int) -> int:
    """Return when a frame of a part begins."""
    return text_to_us(recording.started_at) + form.microseconds(part.first_frame + frame)


def _nearest(form: AudioFormat, time_us: int) -> int:
    """Return the frame that begins nearest to a time."""
    return (2 * time_us * form.sample_rate + _SECOND_US) // (2 * _SECOND_US)


def _two_frames_us(form: AudioFormat) -> int:
    """Return how long two frames are, in microseconds, rounded up.

    So far apart may be what follows each other: where a recording ends and another goes on, neither may have
    a frame that begins just then.
    """
    return -(-2 * _SECOND_US // form.sample_rate) + 1


def _shown(time_us: int) -> str:
    return from_us(time_us).isoformat(timespec="microseconds")
