"""What the program answers."""

import functools

import soundfile
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from examples.django_cases.models import Case
from phonobase import Archive, RecordingRepository, session_on


@functools.cache
def archive() -> Archive:
    """Return the archive, for downloads: with connections of its own, opened when they are first needed."""
    return Archive(settings.PHONOBASE_DB)


@csrf_exempt
def cases(request: HttpRequest) -> HttpResponse:
    """List the cases by when their calls began, or store one with its call."""
    if request.method != "POST":
        found = Case.objects.select_related("call").order_by("-call__started_at")
        return JsonResponse({"cases": [_shown(case) for case in found]})
    try:
        frames, samplerate = soundfile.read(request.FILES["call"], dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        return JsonResponse({"error": f"the call cannot be read: {error}"}, status=400)
    try:
        with transaction.atomic(), session_on(connection.connection) as session:
            recording = RecordingRepository(session).add(
                frames.astype("<i2").tobytes(), samplerate, frames.shape[1], source="telephone"
            )
            case = Case.objects.create(subject=request.POST["subject"], call_id=recording.id)
    except IntegrityError:  # the call goes with the case
        return JsonResponse({"error": "there is a case of this subject already"}, status=409)
    return JsonResponse(_shown(case), status=201)


def call(_request: HttpRequest, case_id: int) -> HttpResponse:
    """Stream the call of a case, in memory that does not grow with its length."""
    recording = archive().get(get_object_or_404(Case, pk=case_id).call_id)
    return FileResponse(archive().open(recording.id), content_type=recording.media_type)


def _shown(case: Case) -> dict[str, object]:
    return {"id": case.pk, "subject": case.subject, "began": case.call.started_at.isoformat()}
