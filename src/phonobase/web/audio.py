"""The sound of a recording, as a file that lies in rows: whole, in parts, and while it is being made."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from phonobase.errors import CorruptRecording
from phonobase.store.file import pieces
from phonobase.store.names import recording_name
from phonobase.store.recording import Recording, State
from phonobase.store.snapshot import as_of
from phonobase.web.problems import answers, problem
from phonobase.web.ranges import Validators, Wanted, wanted
from phonobase.web.sending import Stream, disposition, in_threads
from phonobase.web.visit import Reading, Visit

router = APIRouter(tags=["audio"])

_MOST_FRAMES = 2**63 - 1
_KEPT_AND_ASKED_FOR = "private, no-cache"
_NOTHING_ELSE = {"X-Content-Type-Options": "nosniff"}
_SOUND: dict[str, Any] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("audio/flac", "audio/wav")
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All of it; with follow, what comes until it ends",
        "content": _SOUND,
    },
    206: {"description": "The part that Range asks for", "content": _SOUND},
    304: {"description": "What they have is what is there"},
    **answers(404, 409, 412, 416, 500),
}
_FIELDS: dict[str, Any] = {
    "parameters": [
        {
            "name": "Range",
            "in": "header",
            "description": "One range of bytes; several, and other units, are ignored",
            "schema": {"type": "string"},
            "example": "bytes=65536-131071",
        },
        {
            "name": "If-Range",
            "in": "header",
            "description": "The ETag of what they have the beginning of; of anything else they get the whole",
            "schema": {"type": "string"},
        },
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "ETags of what they have",
            "schema": {"type": "string"},
        },
    ]
}


@router.head("/recordings/{recording_id}/audio", response_class=Response, responses=_ANSWERS)
@router.get(
    "/recordings/{recording_id}/audio",
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra=_FIELDS,
)
def get_audio(
    request: Request,
    visit: Reading,
    recording_id: UUID,
    *,
    download: Annotated[bool, Query(description="let a browser store it rather than play it")] = False,
    follow: Annotated[bool, Query(description="go on with what is recorded from now on")] = False,
    frames: Annotated[
        int | None,
        Query(description="as it was when it had so many frames", ge=1, le=_MOST_FRAMES, examples=[96_000]),
    ] = None,
) -> Response:
    """Return the sound of a recording as a file, byte for byte as it is stored: FLAC, or WAV.

    Of a recording that is being made it is what is committed at this moment, and a file that plays; its ETag
    is another one after every commit. What is begun is finished as it was then. Where bytes turn out to be
    missing, as of a recording that is deleted meanwhile, the connection breaks before the end.

    A player that asks for one range after the other needs a file that stays as it is: with ``frames``, a
    ``frame_count`` that the recording once had, it is what was committed then.

    With ``follow`` it is what is recorded from about now on, as it is committed, until the recording ends and
    no other of its run goes on in the same format: a file that has no length, and no ranges.
    """
    recording = visit.recording(recording_id)
    named = disposition(recording_name(recording, recording.encoding.suffix), download=download)
    headers = _NOTHING_ELSE | {"Content-Disposition": named}
    if follow:
        return _followed(visit, recording, request.method, headers)
    if frames is not None:
        with visit.archive.session() as session:
            recording = as_of(session, recording, frames)
    return _stored(visit, recording, request, headers)


def _stored(visit: Visit, recording: Recording, request: Request, headers: dict[str, str]) -> Response:
    validators = _validators(recording)
    asked = wanted(request.method, request.headers, validators, recording.file_bytes)
    headers |= validators.headers() | {"Cache-Control": _KEPT_AND_ASKED_FOR, "Accept-Ranges": "bytes"}
    match asked.status:
        case HTTPStatus.NOT_MODIFIED:
            return Response(status_code=asked.status, headers=headers)
        case HTTPStatus.PRECONDITION_FAILED:
            return problem(asked.status, "it is another one by now; ask without conditions")
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            size = recording.file_bytes
            return problem(
                asked.status,
                f"there are {size} bytes, and none of them is in the range",
                {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
            )
        case HTTPStatus.PARTIAL_CONTENT:
            last = asked.end - 1
            headers["Content-Range"] = f"bytes {asked.first}-{last}/{recording.file_bytes}"
            visit.detail = f"bytes {asked.first}-{last}"
    headers["Content-Length"] = str(asked.length)
    if request.method == "HEAD":
        return Response(status_code=asked.status, headers=headers, media_type=recording.media_type)
    return _sent(visit, recording, asked, headers)


def _sent(visit: Visit, recording: Recording, asked: Wanted, headers: dict[str, str]) -> Response:
    """Return bytes of a recording; what cannot be had at all is said before the first of them."""
    rest = pieces(visit.archive.stored(recording), asked.first, asked.end)
    try:
        first = next(rest)
    except CorruptRecording:
        visit.recording(recording.id)  # it may have been deleted since
        raise
    if len(first) == asked.length:
        return Response(first, asked.status, headers, recording.media_type)
    return Stream(in_threads(first, rest), headers, recording.media_type, asked.status)


def _followed(visit: Visit, recording: Recording, method: str, headers: dict[str, str]) -> Response:
    if recording.state is not State.RECORDING:
        return problem(
            HTTPStatus.CONFLICT,
            f"the recording is {recording.state}, so nothing follows; ask for it without follow",
        )
    visit.detail = "live"
    # A proxy must hand it on as it comes.
    headers |= {"Cache-Control": "no-store", "Accept-Ranges": "none", "X-Accel-Buffering": "no"}
    if method == "HEAD":
        return Response(headers=headers, media_type=recording.media_type)
    return Stream(visit.site.listening.listen(recording), headers, recording.media_type)


def _validators(recording: Recording) -> Validators:
    state = sha256(recording.header_sha256 + recording.chain_head).hexdigest()
    # An open one may get two chunks within a second, and its header changes at the end without any.
    closed = recording.state is not State.RECORDING and recording.committed_at < datetime.now(UTC)
    return Validators(f'"{state}"', recording.committed_at.replace(microsecond=0) if closed else None)
