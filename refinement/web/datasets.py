"""Uploading a file, watching its import, and reading what came in and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.text import slugify
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from refinement.formats.registry import FORMATS
from refinement.models import Dataset
from refinement.selectors import access
from refinement.selectors import datasets as selectors
from refinement.selectors.workers import queues_alive
from refinement.services import datasets as services
from refinement.services.chunks import unfinished_uploads
from refinement.services.errors import ServiceError
from refinement.services.server_folder import is_open
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web import prepare
from refinement.web.forms import DatasetForm, add_service_error
from refinement.web.http import Request, go, live, live_response, render_form
from refinement.web.profile_charts import charts
from refinement.web.uploads import refusal_of

if TYPE_CHECKING:
    from refinement.models import Project

POLL_SECONDS = 2


@require_http_methods(["GET", "POST"])
def upload(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    if request.method == "GET":
        form = DatasetForm(initial={"token": new_token()})
        return render(request, "datasets/upload.html", _upload_context(request, project, form))
    form = DatasetForm(request.POST, request.FILES, refusal=refusal_of(request))
    if form.is_valid():
        response = _create(request, project, form)
        if response is not None:
            return response
    return render_form(
        request,
        "datasets/upload.html",
        "datasets/_upload_form.html",
        _upload_context(request, project, form),
    )


def _create(request: Request, project: Project, form: DatasetForm) -> HttpResponse | None:
    """The redirect after a stored upload; ``None`` where the form now says why there is none."""
    file = form.cleaned_data["file"]
    try:
        with sent_once(token=form.cleaned_data["token"], user=request.user) as submission:
            dataset = services.create_dataset(
                project=project,
                name=form.cleaned_data["name"],
                upload=file,
                filename=file.name,
                user=request.user,
                draft=True,
            )
            submission.location = reverse("dataset", args=[dataset.pk])
    except AlreadySent as sent:
        messages.info(request, gettext("This file was sent already; it is stored once."))
        return go(request, sent.location or reverse("project", args=[project.pk]))
    except ServiceError as error:
        add_service_error(form, error, "file")
        return None
    return go(request, submission.location)


def _upload_context(request: Request, project: Project, form: DatasetForm) -> dict[str, Any]:
    return {
        "project": project,
        "form": form,
        "formats": FORMATS.values(),
        "limit": settings.UPLOAD_LIMIT_BYTES,
        "record_limit": settings.RECORD_LIMIT_BYTES,
        "unfinished": unfinished_uploads(project, request.user),
        "server_folder": request.user.is_staff and is_open(),
    }


@require_GET
def show(request: Request, dataset_id: int) -> HttpResponse:
    """The page; for htmx the live part of it, or one page of pairs or of refused records."""
    dataset = access.dataset_for(request.user, dataset_id)
    part = request.GET.get("part") if request.htmx else None
    if part == "samples":
        return render(request, "datasets/_samples.html", _parts(request, dataset))
    if part == "kept":
        return render(request, "datasets/_kept.html", _parts(request, dataset))
    if part == "rejected":
        return render(request, "datasets/_rejected.html", _parts(request, dataset))
    context = _parts(request, dataset)
    html, seen = live(
        request,
        element="dataset-live",
        template="datasets/_live.html",
        url=reverse("dataset", args=[dataset.pk]) + "?part=live",
        every=POLL_SECONDS if _unfinished(dataset) else None,
        context=context,
    )
    if part == "live":
        return live_response(request, html, seen)
    return render(request, "datasets/page.html", context | {"live": html})


def _unfinished(dataset: Dataset) -> bool:
    return dataset.status in {Dataset.Status.PENDING, Dataset.Status.IMPORTING}


def _parts(request: Request, dataset: Dataset) -> dict[str, Any]:
    role = access.role_of(request.user, dataset.project)
    draft = dataset.status == Dataset.Status.DRAFT and role == "owner"
    return (prepare.context(dataset, {}) if draft else {}) | {
        "dataset": dataset,
        "project": dataset.project,
        "role": role,
        "format": FORMATS.get(dataset.format),
        "rejected": selectors.rejected_page(dataset, request.GET.get("rejected", 1)),
        "samples": selectors.sample_page(dataset, request.GET.get("samples", 1)),
        "worker_alive": not _unfinished(dataset) or "default" in queues_alive(),
        "runs": dataset.runs.all(),
        "kept": selectors.kept_page(dataset, request.GET.get("kept", 1)),
        "kept_reasons": selectors.kept_reasons(dataset) if dataset.kept_count else [],
        "profile": charts(dataset.profile),
    }


@require_GET
def rejected(request: Request, dataset_id: int) -> HttpResponseBase:
    """All refused records as JSON Lines, to be mended and uploaded again."""
    dataset = access.dataset_for(request.user, dataset_id)
    response = StreamingHttpResponse(
        selectors.rejected_lines(dataset), content_type="application/x-ndjson; charset=utf-8"
    )
    name = slugify(dataset.name) or f"dataset-{dataset.pk}"
    response["Content-Disposition"] = f'attachment; filename="{name}-rejected.jsonl"'
    return response


@require_POST
def delete(request: Request, dataset_id: int) -> HttpResponse:
    dataset = access.dataset_for(request.user, dataset_id, at_least="owner")
    try:
        services.delete_dataset(dataset=dataset)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect("dataset", dataset_id)
    messages.success(
        request, gettext("“%(name)s” and its file are deleted.") % {"name": dataset.name}
    )
    return redirect("project", dataset.project_id)


urlpatterns = [
    path("projects/<int:project_id>/datasets/new", upload, name="dataset-upload"),
    path("datasets/<int:dataset_id>", show, name="dataset"),
    path("datasets/<int:dataset_id>/rejected.jsonl", rejected, name="dataset-rejected"),
    path("datasets/<int:dataset_id>/delete", delete, name="dataset-delete"),
]
