"""Files and raw sound that are sent to the archive: each stored whole, or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError, WithJsonSchema
from starlette.concurrency import run_in_threadpool

from phonobase.audio.encoding import Encoding
from phonobase.errors import (
    InvalidAudio,
    NotPermitted,
    RecorderError,
    StoreError,
    TooMuchAudio,
    UnsupportedFormat,
)
from phonobase.pcm import AudioFormat, Frames, SampleFormat, from_bytes
from phonobase.recorder.decoders import Decoders
from phonobase.recorder.decoding import DecodeLimits
from phonobase.recorder.importing import began, store_whole
from phonobase.store.archive import Archive
from phonobase.store.left import take_back_imports
from phonobase.store.lookup import no_source
from phonobase.store.recording import MAX_SECONDS, Details, Recording, source_name
from phonobase.web import shapes
from phonobase.web.parameters import Moment
from phonobase.web.problems import answers
from phonobase.web.receiving import received_body, received_form
from phonobase.web.site import Limits, Site
from phonobase.web.visit import Visit, Writing

_log = logging.getLogger(__name__)

_RETRY_AFTER_S = 5
_ENDS_WITHIN_S = 10.0
_PIECE_BYTES = 1024 * 1024
_TITLE_CHARACTERS = 200


# Said in place: where the form is described, nothing can be referred to.
_Encoding = Annotated[Encoding, WithJsonSchema({"type": "string", "enum": list(Encoding)})]


class Said(BaseModel):
    """What is said of a recording that is sent."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="which source it is of; a new name makes a new one", examples=["desk-3"])
    started_at: Moment | None = Field(
        default=None,
        description="when it begins, with an offset; where it is not given, what a file says that phonobase "
        "exported, or else now less its duration",
        examples=["2026-05-01T14:03:00+02:00"],
    )
    title: str | None = Field(default=None, description="for people; the file's name, where it is not given")
    notes: str | None = Field(default=None, description="for people, longer")
    external_id: str | None = Field(default=None, description="what it is called elsewhere")
    tags: Json[dict[str, Any]] | None = Field(
        default=None, description="names and values, as JSON", examples=['{"line": 4}']
    )
    encoding: _Encoding | None = Field(
        default=None, description="how to store it; FLAC where that can hold it, unless it is given"
    )

    def details(self, began_at: datetime, title: str | None, capture: dict[str, Any]) -> Details:
        """Return what the archive is told."""
        return Details(
            source=self.source,
            started_at=began_at,
            encoding=self.encoding,
            title=self.title or title,
            notes=self.notes,
            tags=self.tags or {},
            external_id=self.external_id,
            capture={"input": "upload", **capture},
        )


class SaidOfPcm(Said):
    """What is said of PCM, which says nothing of itself."""

    samplerate: int = Field(description="in Hz", examples=[48_000])
    channels: int = Field(default=1, description="samples in a frame")
    dtype: SampleFormat = Field(
        default=SampleFormat.INT16, description="of a sample, little-endian; int24 takes three bytes"
    )


class Uploads:
    """What an application needs to take files in.

    Args:
        limits: How much one visitor may ask for.
    """

    def __init__(self, limits: Limits) -> None:
        self._at_once = limits.uploads_at_once
        self._slots = threading.BoundedSemaphore(limits.uploads_at_once)
        # A request that is cut off gives its slot back at once, the thread that stores goes on for a while.
        self._threads = threading.BoundedSemaphore(limits.uploads_at_once)
        self._seconds = min(limits.upload_seconds, MAX_SECONDS)
        self._tidy = threading.Lock()
        self._is_tidy = False
        self.decoders = Decoders(
            DecodeLimits(
                seconds=self._seconds,
                pcm_bytes=limits.upload_pcm_bytes,
                cpu_seconds=limits.upload_decode_seconds,
                patience_seconds=limits.upload_decode_seconds,
            )
        )

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Take one of the places for uploads.

        Raises:
            HTTPException: There is none left.
        """
        if not self._slots.acquire(blocking=False):
            raise _busy("as many files as are taken at once are on their way; send it again soon")
        try:
            yield
        finally:
            self._slots.release()

    def close(self) -> None:
        """Decode no more, and wait until what was being stored is stored or taken back.

        It is not waited for longer than a while: what is left then the next server takes back.
        """
        self.decoders.close()
        give_up_s = time.monotonic() + _ENDS_WITHIN_S
        with contextlib.ExitStack() as held:
            for _ in range(self._at_once):
                if self._threads.acquire(timeout=max(0.0, give_up_s - time.monotonic())):
                    held.callback(self._threads.release)

    def tidy(self, archive: Archive) -> None:
        """Take back, once, what servers have left here that were killed.

        Raises:
            StoreError: The archive failed.
        """
        with self._tidy:
            if not self._is_tidy:
                try:
                    take_back_imports(archive)
                except NotPermitted as error:  # of the role that serves, which takes nothing away
                    _log.warning("what uploads left half stored stays until: phonobase recover (%s)", error)
            self._is_tidy = True

    def store_file(self, visit: Visit, said: Said, file: BinaryIO, name: str) -> Recording:
        """Decode a file and store its sound.

        Args:
            visit: Who sends it.
            said: What they say of it.
            file: What they sent.
            name: What they call it.

        Raises:
            HTTPException: It is of no kind that is taken, or nothing can be decoded now.
            PhonobaseError: It is not whole, or too much, or may not be said so, or the archive failed.
        """
        _adding_to(visit, said.source)
        self.tidy(visit.archive)
        with contextlib.ExitStack() as stack:
            try:
                sound = stack.enter_context(self.decoders.decode(file.fileno()))
            except UnsupportedFormat as error:
                raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
            except RecorderError as error:
                raise _busy(str(error)) from error
            duration_us = sound.format.microseconds(sound.frame_count)
            began_at, origin = began(
                said.started_at, sound.began_at, (datetime.now(UTC), "upload"), duration_us
            )
            title = _title(name)
            kind = {"container": sound.container, "subtype": sound.subtype, **origin}
            capture = {"file": title, **kind} if title else kind
            details = said.details(began_at, title, capture)
            return self._store(visit, sound.blocks(), sound.format, details)

    def store_pcm(self, visit: Visit, said: SaidOfPcm, file: BinaryIO) -> Recording:
        """Store PCM.

        Args:
            visit: Who sends it.
            said: What they say of it.
            file: What they sent.

        Raises:
            PhonobaseError: It is not whole, or too much, or may not be said so, or the archive failed.
        """
        _adding_to(visit, said.source)
        self.tidy(visit.archive)
        form = AudioFormat(said.samplerate, said.channels, said.dtype)
        size = os.fstat(file.fileno()).st_size
        if size % form.frame_bytes:
            raise InvalidAudio(f"{size} bytes are no whole number of frames ({form})")
        frame_count = size // form.frame_bytes
        if frame_count > self._seconds * form.sample_rate:
            raise TooMuchAudio(f"it is longer than {self._seconds} seconds; send it in parts")
        began_at, origin = began(
            said.started_at, None, (datetime.now(UTC), "upload"), form.microseconds(frame_count)
        )
        details = said.details(began_at, None, {"container": "RAW", **origin})
        return self._store(visit, _blocks(file, form), form, details)

    def _store(
        self, visit: Visit, blocks: Iterable[Frames], audio_format: AudioFormat, details: Details
    ) -> Recording:
        visit.begin_change()
        with self._threads:
            return store_whole(visit.archive, blocks, audio_format, **details)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Tidy up at once; an application that is mounted in another one does so before its first file."""
    uploads = uploads_of(app)
    with contextlib.suppress(StoreError):  # which every request will say
        await run_in_threadpool(uploads.tidy, _site(app).archive)
    yield
    await run_in_threadpool(uploads.close)


router = APIRouter(prefix="/recordings", tags=["recordings"], lifespan=_lifespan)


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return what the description of the API says of a body that is read as it comes."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


_BINARY = {"type": "string", "format": "binary"}
_FORM = Said.model_json_schema()
_FORM["properties"] = {
    "file": _BINARY | {"description": "WAV, RF64 or Broadcast Wave; FLAC, AIFF, Ogg or MP3"},
    **_FORM["properties"],
}
_FORM["required"] = ["file", *_FORM["required"]]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=answers(400, 404, 408, 413, 415, 507),
    openapi_extra=_body("multipart/form-data", _FORM),
)
async def add_recording(request: Request, response: Response, visit: Writing) -> shapes.Recording:
    """Store a file as one recording, whole or not at all.

    What the file is, it says itself: neither its name nor its media type matters.
    """
    uploads = uploads_of(request.app)
    with uploads.slot():
        async with received_form(request, visit.site.limits.upload_bytes) as form:
            said = _said(form.fields)
            recording = await run_in_threadpool(uploads.store_file, visit, said, form.file, form.name)
    response.headers["Location"] = f"recordings/{recording.id.hex}"
    return _told(visit, recording)


@router.post(
    "/pcm",
    status_code=HTTPStatus.CREATED,
    responses=answers(400, 404, 408, 413, 415, 507),
    openapi_extra=_body("application/octet-stream", _BINARY),
)
async def add_pcm(
    request: Request, response: Response, visit: Writing, said: Annotated[SaidOfPcm, Query()]
) -> shapes.Recording:
    """Store PCM as one recording, whole or not at all: interleaved, little-endian, without a header."""
    uploads = uploads_of(request.app)
    with uploads.slot():
        async with received_body(request, visit.site.limits.upload_bytes) as file:
            recording = await run_in_threadpool(uploads.store_pcm, visit, said, file)
    response.headers["Location"] = recording.id.hex
    return _told(visit, recording)


def uploads_of(app: FastAPI) -> Uploads:
    """Return what an application takes files in by."""
    uploads: Uploads = app.state.uploads
    return uploads


def _site(app: FastAPI) -> Site:
    site: Site = app.state.site
    return site


def _told(visit: Visit, recording: Recording) -> shapes.Recording:
    visit.recording_id = recording.id
    visit.detail = f"{recording.frame_count} frames"
    return shapes.of_recording(recording)


def _said(fields: dict[str, str]) -> Said:
    try:
        return Said.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in wrong]) from None


def _adding_to(visit: Visit, source: str) -> None:
    """Let through who may add to a source, whether it is there already or not."""
    visit.source = source_name(source)
    if not visit.visitor.may_know(source):
        raise no_source(source, visit.sources())


def _blocks(file: BinaryIO, form: AudioFormat) -> Iterator[Frames]:
    step = max(1, _PIECE_BYTES // form.frame_bytes) * form.frame_bytes
    while piece := file.read(step):
        yield from_bytes(piece, form)


def _title(name: str) -> str | None:
    """Return what a file is called, as far as that can be shown: without its folders."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:_TITLE_CHARACTERS].strip() or None


def _busy(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(_RETRY_AFTER_S)})
