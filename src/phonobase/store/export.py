"""A take into a file."""

from __future__ import annotations

import hashlib
import io
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO

from phonobase.audio import bext, cues, flac, wav
from phonobase.audio import encoding as encodings
from phonobase.audio.encoding import Encoding
from phonobase.audio.kinds import Kind
from phonobase.audio.opus import OpusEncoder
from phonobase.audio.renumber import renumbered, split
from phonobase.errors import CorruptRecording, UnsupportedFormat
from phonobase.pcm import silence, to_bytes
from phonobase.store.chunks import decode_run
from phonobase.store.columns import to_us
from phonobase.store.cut import Cut, GapPolicy
from phonobase.store.cutting import Hole, Piece, cut_up, unheard, unmeasured
from phonobase.store.take import Silence, Sound, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from phonobase.audio.labels import Label
    from phonobase.pcm import Frames
    from phonobase.store.archive import Archive
    from phonobase.store.chunks import StoredChunk
    from phonobase.store.recording import Recording

_PACKET = flac.FRAMES_PER_PACKET
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US


def write_take(
    archive: Archive,
    take: Take,
    kind: Kind,
    out: BinaryIO,
    on_frames: Callable[[int], None] = lambda _frames: None,
    labels: Sequence[Label] = (),
) -> None:
    """Write a take as a file of a kind, in memory that does not grow with its length.

    Where the kind is the encoding that its frames are stored in, and they begin and end as FLAC frames do,
    stored bytes are copied, otherwise samples are; a whole recording keeps its header, too. Every chunk's
    hash is checked before it is used.

    Args:
        archive: Where the recordings are.
        take: What to write; some of it is sound.
        kind: As what.
        out: Where to. Where it cannot seek, FLAC that is not a whole recording goes without its MD5.
        on_frames: Called with the number of frames that were written since the last call.
        labels: What is said of the take, to be written into the file.

    Raises:
        UnsupportedFormat: The kind cannot hold the format, or the labels.
        CorruptRecording: Chunks are missing, changed, or do not decode.
    """
    _check(take, kind, labels)
    if is_whole(take) and Kind.of(take.sounds[0].recording.encoding) is kind and not labels:
        _copy_whole(archive, take.sounds[0], out, on_frames)
    elif kind is Kind.OPUS:
        _encode_opus(archive, take, out, on_frames)
    else:
        out.write(_header(take, kind, labels))
        copied = kind is Kind.FLAC and holds_stored_flac(take)
        md5 = (_copy_flac if copied else _encode)(archive, take, kind, out, on_frames)
        if kind is Kind.FLAC and out.seekable():
            out.seek(0)
            out.write(_header(take, kind, labels, md5))


def as_cut(archive: Archive, recording: Recording) -> Cut:
    """Return a whole recording, as far as it goes, as the cut that it is, with the losses in it."""
    since, until = recording.started_at, recording.ended_at
    gaps = [gap for gap in archive.gaps(recording.source, since, until) if gap.recording_id == recording.id]
    items = cut_up([recording], gaps, to_us(since), to_us(until))
    holes = [item for item in items if isinstance(item, Hole)]
    lost = [
        *unheard(holes, [recording], gaps, recording.source),
        *unmeasured([item.sound for item in items if isinstance(item, Piece)], gaps),
    ]
    return Cut(
        source=recording.source,
        since=since,
        until=until,
        policy=GapPolicy.SILENCE,
        takes=(Take.of(recording),),
        gaps=tuple(sorted(lost, key=attrgetter("started_at"))),
    )


def is_whole(take: Take) -> bool:
    """Whether a take is one recording from its first frame to its last."""
    part = take.parts[0]
    return len(take.parts) == 1 and isinstance(part, Sound) and part.frame_count == part.recording.frame_count


def holds_stored_flac(take: Take) -> bool:
    """Whether a take is a run of stored FLAC frames."""
    part = take.parts[0]
    if len(take.parts) > 1 or isinstance(part, Silence) or part.recording.encoding is not Encoding.FLAC:
        return False
    ends_with_one = part.end_frame % _PACKET == 0 or part.end_frame == part.recording.frame_count
    return part.first_frame % _PACKET == 0 and ends_with_one


def _check(take: Take, kind: Kind, labels: Sequence[Label]) -> None:
    try:
        kind.check(take.format)
    except UnsupportedFormat as error:
        raise UnsupportedFormat(
            f"the sound of {take.source} is {take.format}, which {kind.upper()} cannot hold; "
            "name a file that ends in .wav"
        ) from error
    if labels and kind is Kind.OPUS:
        raise UnsupportedFormat(f"{kind.upper()} has no place for labels; write them to a file of their own")


def _header(take: Take, kind: Kind, labels: Sequence[Label], md5: bytes = flac.UNKNOWN_MD5) -> bytes:
    if kind is Kind.FLAC:
        said = _comments(take) | cues.chapters(labels, take.format.sample_rate)
        return flac.header(take.format, take.frame_count, md5, said)
    more = cues.cue_chunks(labels)
    if kind is Kind.BWF:
        said = _comments(take)
        what = f"{said['SOURCE']}, {said['DATE']}"
        marks = bext.chunk(
            take.format, take.started_at, _time_reference(take), what, said["PHONOBASE_RECORDING"]
        )
        more = marks + more
    return wav.header(take.format, take.frame_count, more)


def _comments(take: Take) -> dict[str, str]:
    """Return what the file says of itself; where its sound is of several recordings, the first is named."""
    return {
        "SOURCE": take.source,
        "DATE": take.started_at.isoformat(timespec="microseconds"),
        "PHONOBASE_RECORDING": take.sounds[0].recording.id.hex,
    }


def _time_reference(take: Take) -> int:
    """Return the frames since midnight UTC before the first of a take.

    They are counted from where its recording began, and only that is rounded, to the nearest frame: a take's
    own beginning is in whole microseconds, which begin no frame.
    """
    sound = take.sounds[0]
    silent = sum(part.frame_count for part in take.parts[: take.parts.index(sound)])
    midnight_us = to_us(take.started_at) // _DAY_US * _DAY_US
    late = (to_us(sound.recording.started_at) - midnight_us) * take.format.sample_rate
    nearest = (2 * late + _SECOND_US) // (2 * _SECOND_US)
    return max(0, nearest + sound.first_frame - silent)


def _copy_whole(archive: Archive, sound: Sound, out: BinaryIO, on_frames: Callable[[int], None]) -> None:
    out.write(sound.recording.header)
    for run in _runs(archive, sound):
        out.writelines(chunk.data for chunk in run)
        on_frames(sum(chunk.frame_count for chunk in run))


def _copy_flac(
    archive: Archive, take: Take, kind: Kind, out: BinaryIO, on_frames: Callable[[int], None]
) -> bytes:
    """Write stored FLAC frames under new numbers, and return the MD5 of their sound."""
    del kind
    md5 = hashlib.md5(usedforsecurity=False)
    (sound,) = take.sounds
    first, end = sound.first_frame // _PACKET, -(-sound.end_frame // _PACKET)
    for run in _runs(archive, sound):
        number = run[0].first_frame // _PACKET
        for frame in split(io.BytesIO(b"".join(chunk.data for chunk in run)).read, number):
            if first <= number < end:
                out.write(renumbered(frame, number, number - first))
            number += 1
        frames = _within(sound, run)
        md5.update(to_bytes(frames, take.format.sample_format))
        on_frames(len(frames))
    return md5.digest()


def _encode(
    archive: Archive, take: Take, kind: Kind, out: BinaryIO, on_frames: Callable[[int], None]
) -> bytes:
    """Write what follows the header, and return the MD5 of the sound, where the kind has a place for it."""
    encoder = encodings.encoder(Encoding.FLAC if kind is Kind.FLAC else Encoding.PCM, take.format)
    for frames in _frames(archive, take):
        out.writelines(packet.data for packet in encoder.write(frames))
        on_frames(len(frames))
    out.writelines(packet.data for packet in encoder.finish())
    return encoder.md5


def _encode_opus(archive: Archive, take: Take, out: BinaryIO, on_frames: Callable[[int], None]) -> None:
    said = _comments(take)
    comment = f"phonobase {said['PHONOBASE_RECORDING']}"
    encoder = OpusEncoder(take.format, {"title": said["SOURCE"], "date": said["DATE"], "comment": comment})
    for frames in _frames(archive, take):
        out.write(encoder.write(frames))
        on_frames(len(frames))
    out.write(encoder.finish())


def _frames(archive: Archive, take: Take) -> Iterator[Frames]:
    """Yield the frames of a take, each from a chunk whose hash is right."""
    for part in take.parts:
        if isinstance(part, Silence):
            yield from silence(part.frame_count, take.format)
        else:
            for run in _runs(archive, part):
                yield _within(part, run)


def _within(sound: Sound, run: Sequence[StoredChunk]) -> Frames:
    """Return those frames of consecutive chunks that belong to the sound."""
    first = run[0].first_frame
    return decode_run(sound.recording, run)[max(0, sound.first_frame - first) : sound.end_frame - first]


def _runs(archive: Archive, sound: Sound) -> Iterator[list[StoredChunk]]:
    """Yield the chunks that hold the sound, some at a time.

    Raises:
        CorruptRecording: One is missing, or its bytes are not those that were recorded.
    """
    for run in archive.stored(sound.recording).runs(sound.first_frame, sound.end_frame):
        for chunk in run:
            if hashlib.sha256(chunk.data).digest() != chunk.sha256:
                raise CorruptRecording(
                    f"recording {sound.recording.id.hex}: chunk {chunk.seq} is not as it was recorded, so it "
                    f"is not exported; see all that is wrong with: phonobase verify {sound.recording.id.hex}"
                )
        yield run
