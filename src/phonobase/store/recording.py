"""What the archive says of a recording, as plain values that outlive any session."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_args

from phonobase.audio import encoding as encodings
from phonobase.errors import InvalidDetails, UnsupportedFormat
from phonobase.pcm import AudioFormat, parse_sample_format
from phonobase.store.columns import to_us, with_zone
from phonobase.store.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from phonobase.audio.encoding import Encoding

DEFAULT_SOURCE = "default"
MAX_SECONDS = 86_400
"""No recording is longer than a day, so that a search by time knows how far back to look."""
LONGEST = timedelta(seconds=MAX_SECONDS)

Word = Literal["title", "notes", "external_id"]
WORDS: tuple[Word, ...] = get_args(Word)

_CHARACTERS: Mapping[Word, int] = {"title": 1_000, "notes": 65_536, "external_id": 500}
"""How long each may be: every list of recordings has them, and an index row holds no longer external_id."""

TAGS_BYTES = 65_536
"""How long tags may be, all together, as JSON in UTF-8: every list has them, too."""

_LEVELS = 100
"""How deep tags may be nested: programs that read JSON have limits of their own, not much higher."""

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
_SOURCE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")


class State(StrEnum):
    """Where a recording stands."""

    RECORDING = "recording"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording; the fields are the columns of ``phono_recording``, described in docs/schema.md.

    Attributes:
        format: sample_rate, channels and sample_format.
    """

    id: UUID
    source: str
    run_id: UUID
    run_index: int
    started_at: datetime
    ended_at: datetime
    format: AudioFormat
    encoding: Encoding
    media_type: str
    header: bytes = field(repr=False)
    header_sha256: bytes = field(repr=False)
    state: State
    frame_count: int
    byte_count: int
    chunk_count: int
    peak_dbfs: float
    rms_dbfs: float
    clipped_frames: int
    pcm_sha256: bytes | None = field(repr=False)
    chain_head: bytes = field(repr=False)
    committed_at: datetime
    title: str | None
    notes: str | None
    tags: Mapping[str, Any]
    external_id: str | None
    capture: Mapping[str, Any]
    drift_ppm: float | None

    @property
    def seconds(self) -> float:
        """The duration in seconds, for people; ``frame_count`` is exact."""
        return self.frame_count / self.format.sample_rate

    @property
    def file_bytes(self) -> int:
        """The size of ``header || audio`` in bytes."""
        return len(self.header) + self.byte_count


class Details(TypedDict, total=False):
    """What may be said of a recording when it begins; all of it can be left out.

    Attributes:
        source: Where the sound comes from: 1 to 200 characters, no control characters.
        started_at: At the first frame, with a time zone; where not given, the recording begins now, or
            ends now if its sound is there already.
        encoding: ``flac`` or ``pcm``; where not given, FLAC if it can hold the format.
        title: For people; at most 1,000 characters.
        notes: For people, longer; at most 65,536 characters.
        tags: Names to values, for search; at most 65,536 bytes of JSON, all together.
        external_id: What the recording is called elsewhere: an order, a call, a case; at most 500 characters.
        capture: How it was captured: input, device, host, versions.
    """

    source: str
    started_at: datetime | None
    encoding: str | None
    title: str | None
    notes: str | None
    tags: Mapping[str, Any]
    external_id: str | None
    capture: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewRecording:
    """What is known of a recording before its first frame."""

    id: UUID
    source: str
    run_id: UUID
    run_index: int
    started_at: datetime
    format: AudioFormat
    encoding: Encoding
    title: str | None
    notes: str | None
    tags: Mapping[str, Any]
    external_id: str | None
    capture: Mapping[str, Any]


def comments(recording: Recording | NewRecording) -> dict[str, str]:
    """Return what an exported file says of itself, where its format has a place for that."""
    return {
        "SOURCE": recording.source,
        "DATE": recording.started_at.isoformat(timespec="microseconds"),
        "PHONOBASE_RECORDING": recording.id.hex,
    }


def new_recording(
    audio_format: AudioFormat, *, run_id: UUID | None = None, run_index: int = 0, **details: Unpack[Details]
) -> NewRecording:
    """Return a recording that is about to begin.

    Args:
        audio_format: Of its frames.
        run_id: The run it continues; a new one, where not given.
        run_index: Its place in the run.
        details: What else is to be said of it.

    Raises:
        UnsupportedFormat: The encoding cannot hold the format.
        InvalidDetails: A name, a time or a tag cannot be stored.
    """
    refuse_unknown(details, Details)
    source = source_name(details.get("source", DEFAULT_SOURCE))
    moment = with_zone(details.get("started_at") or datetime.now(UTC)).astimezone(UTC)
    recording_id = uuid7(to_us(moment))
    return NewRecording(
        id=recording_id,
        source=source,
        run_id=run_id or recording_id,
        run_index=run_index,
        started_at=moment,
        format=audio_format,
        encoding=encodings.choose(audio_format, details.get("encoding")),
        title=words("title", details.get("title")),
        notes=words("notes", details.get("notes")),
        tags=all_tags(json_object("tags", details.get("tags"))),
        external_id=words("external_id", details.get("external_id")),
        capture=json_object("capture", details.get("capture")),
    )


def source_name(name: str) -> str:
    """Return a name that a source may have.

    Raises:
        InvalidDetails: It is empty, too long, or holds control characters.
    """
    if not _SOURCE.fullmatch(name):
        raise InvalidDetails(f"{name!r} cannot name a source; use 1 to 200 characters without line breaks")
    return name


def refuse_unknown(given: Mapping[str, Any], known: type[Any]) -> None:
    """Raise TypeError for a name that means nothing here: a slip must not lose what it was to say."""
    names = known.__annotations__.keys()
    for name in given.keys() - names:
        raise TypeError(f"there is no {name!r} here; there are: {', '.join(sorted(names))}")


def is_number(value: object) -> bool:
    """Whether a value is a number, as programs mean it: not a truth value, nor a text of digits."""
    return isinstance(value, Real) and not isinstance(value, bool)


def storable(what: str, text: str | None) -> str | None:
    """Return a text that both databases take as it is.

    Raises:
        InvalidDetails: They do not; ``what`` names it.
    """
    if text is not None and not isinstance(text, str):
        raise InvalidDetails(f"the {what} is a text; {text!r} is none")
    if text is not None and _UNSTORABLE.search(text):
        raise InvalidDetails(f"the {what} holds a character that no text may hold; leave it out")
    return text


def words(name: Word, text: str | None) -> str | None:
    """Return what people say of a recording, as both databases take it.

    Raises:
        InvalidDetails: They do not, or it is too long; ``name`` is of what is said.
    """
    text = storable(name, text)
    if text is not None and len(text) > _CHARACTERS[name]:
        raise InvalidDetails(
            f"the {name} has {len(text)} characters, and is kept with "
            f"at most {_CHARACTERS[name]} characters; shorten it"
        )
    return text


def all_tags(tags: dict[str, Any]) -> dict[str, Any]:
    """Return what are to be all tags of a recording.

    Raises:
        InvalidDetails: They are too long together.
    """
    size = len(json.dumps(tags, ensure_ascii=False).encode())
    if size > TAGS_BYTES:
        raise InvalidDetails(
            f"the tags are {size} bytes of JSON together, and at most {TAGS_BYTES} are kept; "
            "take some away, or keep it elsewhere"
        )
    return tags


def json_object(what: str, content: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return names and values as JSON has them, which both databases take as they are.

    Raises:
        InvalidDetails: They are no JSON; ``what`` names them.
    """
    try:
        text = json.dumps(dict(content or {}), allow_nan=False, ensure_ascii=False)
    except RecursionError:
        raise InvalidDetails(f"{what} are nested too deeply; write them flat") from None
    except (TypeError, ValueError) as error:
        raise InvalidDetails(f"{what} must be names with JSON values: {error}") from error
    if _UNSTORABLE.search(text) or "\\u0000" in text:
        raise InvalidDetails(f"{what} hold a character that no text may hold; leave it out")
    plain: dict[str, Any] = json.loads(text)
    if _levels(plain) > _LEVELS:
        raise InvalidDetails(f"{what} are nested deeper than {_LEVELS} levels; write them flat")
    return plain


def _levels(value: object) -> int:
    """Return how deep JSON is nested, looking no deeper than matters."""
    levels, inside = 0, [value]
    while (inside := [each for each in inside if isinstance(each, dict | list)]) and levels <= _LEVELS:
        levels += 1
        inside = [one for each in inside for one in (each.values() if isinstance(each, dict) else each)]
    return levels


def audio_format(samplerate: int, channels: int, sample_format: str) -> AudioFormat:
    """Return the format that these three make; whole floats, as some libraries have them, are taken."""
    if int(samplerate) != samplerate or int(channels) != channels:
        raise UnsupportedFormat(
            f"a sample rate of {samplerate} Hz and {channels} channels: pass whole numbers"
        )
    return AudioFormat(int(samplerate), int(channels), parse_sample_format(sample_format))
