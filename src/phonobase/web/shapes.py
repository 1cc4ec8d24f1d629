"""What the API says of recordings and of what lies in them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from phonobase.audio.encoding import Encoding
from phonobase.pcm import SampleFormat
from phonobase.store.annotations import Annotation as StoredAnnotation
from phonobase.store.coverage import Gap as StoredGap
from phonobase.store.recording import Recording as StoredRecording
from phonobase.store.recording import State
from phonobase.store.rows import facts

_ID = "0199f2b1c0de70008000000000000001"

Id = Annotated[str, Field(description="32 hexadecimal digits", examples=[_ID])]
Level = Annotated[float | None, Field(examples=[-12.04])]


class Recording(BaseModel):
    """One stretch of sound from one source, with one format and one unbroken frame count."""

    id: Id
    source: str = Field(description="where the sound comes from", examples=["desk-3"])
    title: str | None = Field(description="for people", examples=["Complaint about order 4711"])
    started_at: datetime = Field(description="at its first frame")
    ended_at: datetime = Field(description="behind its last frame; moves on while it is recorded")
    seconds: float = Field(description="how long it is; frame_count is exact", examples=[60.0])
    state: State = Field(description="whether it goes on, ended well, or broke off")
    peak_dbfs: Level = Field(description="largest magnitude in dBFS; null for digital silence")
    rms_dbfs: Level = Field(description="root mean square in dBFS; null for digital silence")
    clipped_frames: int = Field(description="frames with a sample at the end of the scale", examples=[0])
    sample_rate: int = Field(description="frames a second", examples=[48000])
    channels: int = Field(description="samples in a frame", examples=[1])
    sample_format: SampleFormat = Field(description="of a sample, decoded")
    encoding: Encoding = Field(description="of the stored sound")
    media_type: str = Field(description="of its file", examples=["audio/flac"])
    file_bytes: int = Field(description="size of its file", examples=[2880086])
    tags: dict[str, Any] = Field(description="names to values, for search", examples=[{"queue": "billing"}])
    notes: str | None = Field(description="for people, longer")
    external_id: str | None = Field(description="what it is called elsewhere", examples=["case-4711"])
    run_id: Id = Field(description="shared by recordings that one process made without stopping")
    run_index: int = Field(description="its place among these, from 0", examples=[0])
    frame_count: int = Field(description="frames in it", examples=[2880000])
    byte_count: int = Field(description="size of its sound, without the header", examples=[2880000])
    chunk_count: int = Field(description="pieces it is stored in", examples=[30])
    pcm_sha256: str | None = Field(description="SHA-256 of the decoded PCM; null while it is recorded")
    chain_head: str = Field(description="SHA-256 that follows from every stored byte")
    committed_at: datetime = Field(description="when its newest piece was stored, by the recorder's clock")
    capture: dict[str, Any] = Field(description="how it was captured: input, device, host, versions")
    drift_ppm: float | None = Field(description="sample clock against the system's; positive is fast")


class Recordings(BaseModel):
    """A page of recordings, the newest first."""

    recordings: list[Recording]
    next: str | None = Field(description="what `after` must be for the page behind it; null at the end")


class Annotation(BaseModel):
    """What a person or a program says of a stretch of a recording."""

    id: Id
    recording_id: Id
    source: str = Field(description="the recording's", examples=["desk-3"])
    started_at: datetime = Field(description="at the first frame of the stretch")
    ended_at: datetime = Field(description="behind its last frame")
    first_frame: int = Field(description="frames of the recording before it", examples=[48000])
    frame_count: int = Field(description="frames in it; 0 for a moment", examples=[96000])
    kind: str = Field(description="what sort of thing is said", examples=["transcript"])
    text: str | None = Field(description="what is said", examples=["Good morning"])
    score: float | None = Field(description="how sure, on the author's own scale", examples=[0.93])
    author: str = Field(description="who says it", examples=["whisper 20250625"])
    created_at: datetime = Field(description="when it was said")


class Annotations(BaseModel):
    """What is said of a recording, the first to begin first."""

    annotations: list[Annotation]


class Gap(BaseModel):
    """A stretch of a source's time that was not heard."""

    id: Id | None = Field(description="its row's; null where it is several rows, or none")
    source: str = Field(description="what was not heard", examples=["desk-3"])
    started_at: datetime = Field(description="its beginning")
    ended_at: datetime = Field(description="its end")
    seconds: float = Field(description="how long it is; 0 where the loss could not be measured")
    cause: str = Field(description="why, in a word", examples=["overflow", "paused", "unrecorded"])
    detail: str | None = Field(description="more, for people")
    recording_id: Id | None = Field(description="the recording it lies in; its frames are silence there")
    first_frame: int | None = Field(description="frames of that recording before it", examples=[24000])
    frame_count: int | None = Field(description="frames of silence that stand for it", examples=[4000])
    run_id: Id | None = Field(description="the run it belongs to")


class Gaps(BaseModel):
    """What was not heard, the first to begin first."""

    gaps: list[Gap]


def of_recording(found: StoredRecording) -> Recording:
    """Return what the API says of a recording."""
    said = facts(found)
    return Recording(**said | {name: level(said[name]) for name in ("peak_dbfs", "rms_dbfs")})


def of_annotation(found: StoredAnnotation) -> Annotation:
    """Return what the API says of an annotation."""
    return Annotation(
        id=found.id.hex,
        recording_id=found.recording_id.hex,
        source=found.source,
        started_at=found.started_at,
        ended_at=found.ended_at,
        first_frame=found.first_frame,
        frame_count=found.frame_count,
        kind=found.kind,
        text=found.text,
        score=found.score,
        author=found.author,
        created_at=found.created_at,
    )


def of_gap(found: StoredGap) -> Gap:
    """Return what the API says of a gap."""
    return Gap(
        id=found.id.hex if found.id else None,
        source=found.source,
        started_at=found.started_at,
        ended_at=found.ended_at,
        seconds=found.seconds,
        cause=found.cause,
        detail=found.detail,
        recording_id=found.recording_id.hex if found.recording_id else None,
        first_frame=found.first_frame,
        frame_count=found.frame_count,
        run_id=found.run_id.hex if found.run_id else None,
    )


def level(dbfs: float) -> float | None:
    """Return a level as JSON has it: none for digital silence, whose level is minus infinity."""
    return dbfs if math.isfinite(dbfs) else None
