"""What a recording looks like: its outline, and its spectrogram."""

from __future__ import annotations

import io
import json
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from PIL import Image
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from phonobase.store.archive import Archive
from phonobase.store.outline import outline
from phonobase.store.recording import Recording
from phonobase.store.spectrogram import spectrogram
from phonobase.web.parameters import RecordingId
from phonobase.web.problems import answers
from phonobase.web.ranges import Validators, wanted
from phonobase.web.visit import Reading

router = APIRouter(prefix="/recordings", tags=["pictures"])

_DRAWING = 1
"""Which way a recording is drawn here; one more with every change of it."""

_COMPRESSION = 4
"""Of PNG: above it takes longer, and saves little."""

_LAST_FRAME = 2**63 - 1

_Start = Annotated[int, Query(ge=0, le=_LAST_FRAME, description="first frame, counted from 0")]
_Stop = Annotated[
    int | None,
    Query(ge=1, le=_LAST_FRAME, description="the frame behind the last one; the end, if not given or beyond"),
]
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing changed since the answer that If-None-Match names"}
}
_IMAGE = {"type": "string", "format": "binary"}


class Peaks(BaseModel):
    """The least and the largest sample in each column of a stretch.

    Column i holds the frames from `start + i * (stop - start) // width` up to where the next one begins.
    Columns of 512 frames or more are rounded outwards: to whole points of up to 512 frames, and to 1/128 of
    full scale.
    """

    start: int = Field(description="first frame", examples=[0])
    stop: int = Field(description="the frame behind the last one", examples=[441_000])
    sample_rate: int = Field(description="frames a second", examples=[44_100])
    channels: int = Field(description="how many lists `peaks` has", examples=[1])
    width: int = Field(description="how many columns: as asked for, or one for each frame", examples=[2])
    peaks: list[list[float]] = Field(
        description="for each channel the least and the largest sample of each column, full scale being 1",
        examples=[[[-0.5, 0.5, -0.0625, 0.125]]],
    )


@router.get("/{recording_id}/peaks", response_model=Peaks, responses=_UNCHANGED | answers(404, 412))
def get_peaks(
    visit: Reading,
    request: Request,
    recording_id: RecordingId,
    start: _Start = 0,
    stop: _Stop = None,
    width: Annotated[int, Query(ge=1, le=8192, description="how many columns")] = 1000,
) -> Response:
    """Return the outline of a recording or of a stretch of it, as it is stored: hardly any audio is read."""
    recording = visit.recording(recording_id)
    headers = _headers(recording)
    if _is_known(request, recording):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    drawn = outline(visit.archive, recording, start, stop, width)
    both = np.stack([drawn.low, drawn.high], axis=-1)
    content = {
        "start": drawn.start,
        "stop": drawn.stop,
        "sample_rate": recording.format.sample_rate,
        "channels": recording.format.channels,
        "width": drawn.columns,
        "peaks": [channel.ravel().tolist() for channel in both.transpose(1, 0, 2)],
    }
    # Not through the model, which would look at each of many numbers.
    return Response(
        json.dumps(content, separators=(",", ":")), headers=headers, media_type="application/json"
    )


@router.get(
    "/{recording_id}/spectrogram",
    response_class=Response,
    responses=_UNCHANGED
    | {200: {"description": "A PNG, 8-bit greyscale", "content": {"image/png": {"schema": _IMAGE}}}}
    | answers(404, 412),
)
async def get_spectrogram(
    visit: Reading,
    request: Request,
    recording_id: RecordingId,
    start: _Start = 0,
    stop: _Stop = None,
    width: Annotated[int, Query(ge=1, le=2048, description="columns")] = 1000,
    height: Annotated[int, Query(ge=16, le=1024, description="rows, each as wide in Hz")] = 256,
) -> Response:
    """Return a picture of which frequencies were how strong, in a recording or a stretch of it.

    Low frequencies are at the bottom, half the sample rate at the top. 0 is -120 dB or less, 255 is 0 dB, the
    level of a sine at full scale. A column is the mean of up to eight windows, and in stretches of more than
    2^25 samples that of the beginning of one chunk, so that long ones cost no more than short ones.
    """
    recording = await run_in_threadpool(visit.recording, recording_id)
    headers = _headers(recording)
    if _is_known(request, recording):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    async with visit.site.painting.turn():
        picture = await run_in_threadpool(_painted, visit.archive, recording, start, stop, width, height)
    return Response(picture, headers=headers, media_type="image/png")


def _painted(
    archive: Archive, recording: Recording, start: int, stop: int | None, width: int, height: int
) -> bytes:
    """Return a spectrogram as PNG."""
    file = io.BytesIO()
    grey = spectrogram(archive, recording, start, stop, width, height)
    Image.fromarray(np.ascontiguousarray(grey)).save(file, "png", compress_level=_COMPRESSION)
    return file.getvalue()


def _headers(recording: Recording) -> dict[str, str]:
    """Return what tells browsers to keep a picture, and to ask each time whether it is still true."""
    return _validators(recording).headers() | {"Cache-Control": "private, no-cache"}


def _validators(recording: Recording) -> Validators:
    # The last link of the chain depends on every byte of sound, and moves on with each chunk.
    return Validators(f'"{_DRAWING}-{recording.chain_head.hex()}"', None)


def _is_known(request: Request, recording: Recording) -> bool:
    """Whether who asks has the answer already.

    Raises:
        HTTPException: They want it only as it was.
    """
    status = wanted("HEAD", request.headers, _validators(recording), 0).status  # a picture has no ranges
    if status is HTTPStatus.PRECONDITION_FAILED:
        raise HTTPException(status, "the recording is not as it was any more; ask without If-Match")
    return status is HTTPStatus.NOT_MODIFIED
