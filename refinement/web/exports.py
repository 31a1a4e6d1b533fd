"""Exports of a run: what would leave now, what left, and the papers that go with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import FileResponse, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.text import slugify
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from refinement.models import Export
from refinement.selectors import access
from refinement.selectors.export_preview import export_preview, first_selected
from refinement.selectors.workers import queues_alive
from refinement.services import exports as services
from refinement.services.errors import ServiceError
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web.forms import ExportForm, add_service_error
from refinement.web.http import Request, live, live_response

if TYPE_CHECKING:
    from django.http import HttpResponseBase
    from django.utils.safestring import SafeString

    from refinement.models import Run

POLL_SECONDS = 2
PREVIEW_PAIRS = 2
OPEN = {Export.Status.PENDING, Export.Status.WRITING}


@require_GET
def index(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id)
    if request.htmx and request.GET.get("part") == "live":
        return live_response(request, *_live_part(request, run))
    return _page(request, run, ExportForm(initial={"token": new_token()}))


@require_POST
def new(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, run, form, status=422)
    try:
        with sent_once(token=form.cleaned_data["token"], user=request.user) as submission:
            services.create_export(run=run, user=request.user, options=form.options())
            submission.location = reverse("exports", args=[run.pk])
    except AlreadySent:
        messages.info(request, gettext("This export was asked for already, once."))
    except ServiceError as error:
        add_service_error(form, error)
        return _page(request, run, form, status=422)
    return redirect("exports", run.pk)


def _page(request: Request, run: Run, form: ExportForm, status: int = 200) -> HttpResponse:
    html, _ = _live_part(request, run)
    context = {
        "run": run,
        "role": access.role_of(request.user, run.project),
        "form": form,
        "preview": export_preview(run),
        "first": first_selected(run, PREVIEW_PAIRS),
        "live": html,
    }
    return render(request, "exports/page.html", context, status=status)


def _live_part(request: Request, run: Run) -> tuple[SafeString, str]:
    exports = list(run.exports.select_related("created_by"))
    waiting = any(export.status in OPEN for export in exports)
    context: dict[str, Any] = {
        "run": run,
        "exports": exports,
        "worker_missing": waiting and "default" not in queues_alive(),
    }
    return live(
        request,
        element="exports-live",
        template="exports/_live.html",
        url=reverse("exports", args=[run.pk]) + "?part=live",
        every=POLL_SECONDS if waiting else None,
        context=context,
    )


@require_GET
def download(request: Request, export_id: int) -> HttpResponseBase:
    export = access.export_for(request.user, export_id)
    if export.status != Export.Status.READY:
        messages.error(request, gettext("This file is not written yet."))
        return redirect("exports", export.run_id)
    try:
        file = export.file.open("rb")
    except FileNotFoundError:
        messages.error(request, gettext("The stored file is gone from the server. Export again."))
        return redirect("exports", export.run_id)
    return FileResponse(
        file,
        as_attachment=True,
        filename=f"{_file_stem(export)}.jsonl",
        content_type="application/x-ndjson",
    )


@require_GET
def manifest(request: Request, export_id: int) -> HttpResponse:
    """The manifest to read."""
    export = access.export_for(request.user, export_id)
    if export.status != Export.Status.READY:
        messages.error(
            request, gettext("The manifest comes with the file, which is not written yet.")
        )
        return redirect("exports", export.run_id)
    context = {
        "export": export,
        "run": export.run,
        "manifest": export.manifest,
        "text": _text(export),
    }
    return render(request, "exports/manifest.html", context)


@require_GET
def manifest_file(request: Request, export_id: int) -> HttpResponse:
    """The manifest to keep beside the file."""
    export = access.export_for(request.user, export_id)
    if export.status != Export.Status.READY:
        raise access.NoAccess(gettext("Not written yet."))
    response = HttpResponse(_text(export), content_type="application/json; charset=utf-8")
    name = f"{_file_stem(export)}.manifest.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _text(export: Export) -> str:
    return json.dumps(export.manifest, indent=2, ensure_ascii=False) + "\n"


def _file_stem(export: Export) -> str:
    return f"{slugify(export.run.name) or 'run'}-export-{export.pk}"


urlpatterns = [
    path("runs/<int:run_id>/exports", index, name="exports"),
    path("runs/<int:run_id>/exports/new", new, name="export-new"),
    path("exports/<int:export_id>/file", download, name="export-download"),
    path("exports/<int:export_id>/manifest", manifest, name="export-manifest"),
    path("exports/<int:export_id>/manifest.json", manifest_file, name="export-manifest-file"),
]
