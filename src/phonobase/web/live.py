"""What is being heard now, as events for browsers and programs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from phonobase.store.recording import Recording, State
from phonobase.web import news, shapes
from phonobase.web.parameters import SourceName
from phonobase.web.problems import answers
from phonobase.web.sending import Stream
from phonobase.web.visit import Reading, Visit

router = APIRouter(tags=["service"])

_BEAT_S = 15.0
"""How often something is sent in any case."""

_RETRY_MS = 3000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy must hand it on as it comes
}


class Turn(BaseModel):
    """A recording that begins or ends."""

    recording_id: shapes.Id
    source: str = Field(description="whose sound", examples=["desk-3"])
    started_at: datetime = Field(description="at its first frame")
    ended_at: datetime = Field(description="behind its last frame until now")
    state: State = Field(description="whether it goes on, ended well, or broke off")


class Heard(BaseModel):
    """A chunk of an open recording that was committed."""

    recording_id: shapes.Id
    source: str = Field(description="whose sound", examples=["desk-3"])
    started_at: datetime = Field(description="at its first frame")
    ended_at: datetime = Field(description="behind its last frame")
    first_frame: int = Field(description="frames of the recording before it", examples=[480_000])
    frame_count: int = Field(description="frames in it", examples=[98_304])
    peak_dbfs: shapes.Level = Field(description="largest magnitude in dBFS; null for digital silence")
    rms_dbfs: shapes.Level = Field(description="root mean square in dBFS; null for digital silence")
    step_frames: int = Field(description="frames in each step; the last may have fewer", examples=[4608])
    steps_dbfs: list[shapes.Level] = Field(description="the peak in each step, a tenth of a second, about")


_EXAMPLE = """\
: you are told from here on

event: began
data: {"recording_id":"0199f2b1c0de70008000000000000001","source":"desk-3","state":"recording"}

event: message
data: {"recording_id":"0199f2b1c0de70008000000000000001","source":"desk-3","peak_dbfs":-12.04}

"""
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events until somebody leaves",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@router.get(
    "/live",
    response_class=StreamingResponse,
    responses=_ANSWER | answers(404),
)
def get_live(
    visit: Reading,
    source: Annotated[SourceName | None, Query(description="of this source; of all, where not given")] = None,
) -> Stream:
    """Tell what is being heard, as it is committed, whoever records it.

    Every chunk of an open recording is an event without a name: `recording_id`, `source`, `started_at`,
    `ended_at`, `first_frame`, `frame_count`, `peak_dbfs`, `rms_dbfs`, and in `steps_dbfs` the peak of every
    `step_frames` frames, so that a level can move between chunks. The events `began` and `ended` have a
    recording's `recording_id`, `source`, `started_at`, `ended_at` and `state`. From the first comment on
    nothing is missed; more comments come every 15 seconds. What is missed while the line is down does not
    come again.
    """
    if source is not None:
        visit.about(source)
    return Stream(_events(visit, source), _HEADERS, "text/event-stream")


async def _events(visit: Visit, source: str | None) -> AsyncGenerator[bytes]:
    def knows(name: str) -> bool:
        return visit.visitor.may_know(name) and source in (None, name)

    now = asyncio.get_running_loop().time
    async with visit.site.news.reader(knows) as reader:
        yield f"retry: {_RETRY_MS}\n: you are told from here on\n\n".encode()
        beat = now() + _BEAT_S
        while True:
            try:
                async with asyncio.timeout_at(beat):
                    item = await reader.next()
            except TimeoutError:
                yield b": nothing is wrong\n\n"
                beat = now() + _BEAT_S
                continue
            if item is None:
                return
            yield _as_event(item)


def _as_event(item: news.Item) -> bytes:
    match item:
        case news.Heard():
            name, said = "message", _heard(item).model_dump_json()
        case news.Began():
            name, said = "began", _turn(item.recording).model_dump_json()
        case news.Ended():
            name, said = "ended", _turn(item.recording).model_dump_json()
    return f"event: {name}\ndata: {said}\n\n".encode()


def _heard(heard: news.Heard) -> Heard:
    recording, end_frame = heard.recording, heard.first_frame + heard.frame_count
    return Heard(
        recording_id=recording.id.hex,
        source=recording.source,
        started_at=_moment(recording, heard.first_frame),
        ended_at=_moment(recording, end_frame),
        first_frame=heard.first_frame,
        frame_count=heard.frame_count,
        peak_dbfs=_level(heard.peak_dbfs),
        rms_dbfs=_level(heard.rms_dbfs),
        step_frames=heard.step_frames,
        steps_dbfs=[_level(level) for level in heard.steps_dbfs],
    )


def _turn(recording: Recording) -> Turn:
    return Turn(
        recording_id=recording.id.hex,
        source=recording.source,
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        state=recording.state,
    )


def _moment(recording: Recording, frame: int) -> datetime:
    return recording.started_at + timedelta(microseconds=recording.format.microseconds(frame))


def _level(level: float) -> float | None:
    return None if math.isinf(level) else round(level, 2)
