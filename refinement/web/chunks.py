"""The upload in chunks, spoken by ``static/js/upload.js``. Answers are JSON.

| | |
| --- | --- |
| ``POST   /projects/N/uploads`` | name, size, modified → ``url``, ``received``, ``chunk`` |
| ``PUT    /uploads/ID?offset=N`` | the bytes from there on → ``received`` |
| ``POST   /uploads/ID`` | name → ``location`` of the dataset |
| ``DELETE /uploads/ID`` | forgets it |

A refusal has the ``error`` as a sentence, and 409 also says how much was ``received``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse, UnreadablePostError
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST

from refinement.selectors import access
from refinement.selectors.datasets import own_upload
from refinement.services import chunks
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from uuid import UUID

    from refinement.models import Upload
    from refinement.web.http import Request


@require_POST
def begin(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    try:
        upload = chunks.begin_upload(
            project=project,
            user=request.user,
            filename=request.POST.get("name", ""),
            size_bytes=_number(request.POST.get("size")),
            modified=_number(request.POST.get("modified")),
        )
    except ServiceError as error:
        return _refused(str(error))
    return JsonResponse(
        {
            "url": reverse("upload", args=[upload.pk]),
            "received": upload.received_bytes,
            "chunk": chunks.CHUNK_BYTES,
        }
    )


@require_http_methods(["PUT", "POST", "DELETE"])
def upload(request: Request, upload_id: UUID) -> HttpResponse:
    found = own_upload(request.user, upload_id)
    access.project_for(request.user, found.project_id, at_least="owner")
    try:
        if request.method == "PUT":
            return _receive(request, found)
        if request.method == "DELETE":
            chunks.drop_upload(upload=found)
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        dataset = chunks.finish_upload(upload=found, name=request.POST.get("name", ""))
    except ServiceError as error:
        return _refused(str(error))
    return JsonResponse({"location": reverse("dataset", args=[dataset.pk])})


def _receive(request: Request, found: Upload) -> HttpResponse:
    try:
        received = chunks.receive_chunk(
            upload=found,
            offset=_number(request.GET.get("offset")),
            body=request,
            length=_number(request.META.get("CONTENT_LENGTH")),
        )
    except chunks.WrongPlace as place:
        return JsonResponse({"received": place.received}, status=HTTPStatus.CONFLICT)
    except UnreadablePostError:  # nobody is there to read an answer
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    return JsonResponse({"received": received})


@require_POST
def drop(request: Request, upload_id: UUID) -> HttpResponse:
    """The same as DELETE, from a plain form."""
    found = own_upload(request.user, upload_id)
    chunks.drop_upload(upload=found)
    return redirect("dataset-upload", found.project_id)


def _number(text: str | None) -> int:
    """A whole number; what is none counts as -1, which no upload takes."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else -1


def _refused(sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=HTTPStatus.UNPROCESSABLE_ENTITY)


urlpatterns = [
    path("projects/<int:project_id>/uploads", begin, name="upload-begin"),
    path("uploads/<uuid:upload_id>", upload, name="upload"),
    path("uploads/<uuid:upload_id>/drop", drop, name="upload-drop"),
]
