"""What the program answers."""

import functools
import io
from collections.abc import Iterator
from typing import BinaryIO

import soundfile
from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from examples.byte_range import byte_range
from examples.django_cases.models import Case
from phonobase import Archive, RecordingRepository, session_on
from phonobase.errors import AudioError

PIECE_BYTES = 1 << 16


@functools.cache
def archive() -> Archive:
    """Return the archive, for downloads: with connections of its own, opened when they are first needed."""
    return Archive(settings.PHONOBASE_DB)


class NewCase(forms.Form):
    """What a request to store a case must bring."""

    subject = forms.CharField(max_length=200)
    call = forms.FileField()


@csrf_exempt
def cases(request: HttpRequest) -> HttpResponse:
    """List the cases by when their calls began, or store one with its call."""
    if request.method != "POST":
        found = Case.objects.select_related("call").order_by("-call__started_at")
        return JsonResponse({"cases": [_shown(case) for case in found]})
    asked = NewCase(request.POST, request.FILES)
    if not asked.is_valid():
        return JsonResponse({"errors": asked.errors}, status=400)
    try:
        case = _store(**asked.cleaned_data)
    except soundfile.LibsndfileError as error:
        return _refused(400, f"the call is no sound that can be read: {error.error_string}")
    except AudioError as error:
        return _refused(400, str(error))
    except IntegrityError:  # the call goes with the case
        return _refused(409, "there is a case of this subject already")
    return JsonResponse(_shown(case), status=201)


def call(request: HttpRequest, case_id: int) -> StreamingHttpResponse | HttpResponse:
    """Stream the call of a case, or the part that a player asks for, in memory that does not grow."""
    recording = archive().get(get_object_or_404(Case, pk=case_id).call_id)
    file, asked = archive().open(recording.id), request.headers.get("Range")
    size = file.seek(0, io.SEEK_END)
    try:
        start, stop = byte_range(asked, size)
    except ValueError as error:
        return HttpResponse(str(error), status=416, headers={"Content-Range": f"bytes */{size}"})
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
    if asked is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingHttpResponse(
        _pieces(file, start, stop),
        status=200 if asked is None else 206,
        content_type=recording.media_type,
        headers=headers,
    )


def _store(subject: str, call: UploadedFile) -> Case:
    """Store a case and its call, in one transaction."""
    frames, samplerate = soundfile.read(call, dtype="int16", always_2d=True)
    with transaction.atomic(), session_on(connection.connection) as session:
        recording = RecordingRepository(session).add(
            frames.astype("<i2").tobytes(), samplerate, frames.shape[1], source="telephone"
        )
        case: Case = Case.objects.create(subject=subject, call_id=recording.id)
        return case


def _pieces(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes of a file between two bounds."""
    with file:
        file.seek(start)
        while start < stop and (piece := file.read(min(PIECE_BYTES, stop - start))):
            start += len(piece)
            yield piece


def _refused(status: int, why: str) -> JsonResponse:
    return JsonResponse({"error": why}, status=status)


def _shown(case: Case) -> dict[str, object]:
    return {"id": case.pk, "subject": case.subject, "began": case.call.started_at.isoformat()}
