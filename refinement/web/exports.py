"""Exports of a run or a dataset: what would leave now, what left, and what to do with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_GET, require_POST

from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Export, Run
from refinement.selectors import access
from refinement.selectors.export_preview import export_preview, first_selected
from refinement.selectors.queue import queue_counts
from refinement.selectors.workers import queues_alive
from refinement.services import exports as services
from refinement.services.errors import ServiceError
from refinement.services.export_counts import count_leaving
from refinement.services.export_files import file_stem, names_of
from refinement.services.export_options import ExportOptions, filter_of
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web import policy_words
from refinement.web.export_files import send_all, send_file
from refinement.web.export_forms import DatasetExportForm, RunExportForm, policy_in
from refinement.web.forms import add_service_error
from refinement.web.http import Request, live, live_response
from refinement.web.queue_panel import in_words

if TYPE_CHECKING:
    from django.http import HttpResponseBase
    from django.utils.safestring import SafeString

POLL_SECONDS = 2
PREVIEW_PAIRS = 2
COUNTED_AT_ONCE = 2_000  # pairs; to count a million takes seconds, and the page stands meanwhile
_COUNTED = "counted"  # in the address: count them all the same, as who has no scripts asks
_FILE_GONE = gettext_noop("The stored file is gone from the server. Export again.")


@require_GET
def index(request: Request, run_id: int) -> HttpResponse:
    return _index(request, access.run_for(request.user, run_id))


@require_GET
def dataset_index(request: Request, dataset_id: int) -> HttpResponse:
    return _index(request, access.dataset_for(request.user, dataset_id))


def _index(request: Request, of: Run | Dataset) -> HttpResponse:
    if request.htmx and request.GET.get("part") == "live":
        return live_response(request, *_live_part(request, of))
    if request.htmx and request.GET.get("part") == "selected" and isinstance(of, Run):
        found = export_preview(of)
        context = {"preview": found, "kept": found.kept, "total": found.total}
        return render(request, "exports/_selected.html", context)
    narrowed = request.GET.copy()
    narrowed.pop(_COUNTED, None)
    initial = {"token": new_token(), "filter": narrowed.urlencode()}
    initial["policy"] = narrowed.get("policy", "")
    if filter_of(narrowed.urlencode()):
        initial["include"] = "all"  # of what the queue shows
    return _page(request, of, _form(of)(initial=initial))


@require_POST
def new(request: Request, run_id: int) -> HttpResponse:
    return _new(request, access.run_for(request.user, run_id, at_least="owner"))


@require_POST
def dataset_new(request: Request, dataset_id: int) -> HttpResponse:
    return _new(request, access.dataset_for(request.user, dataset_id, at_least="owner"))


def _new(request: Request, of: Run | Dataset) -> HttpResponse:
    form = _form(of)(request.POST)
    if not form.is_valid():
        return _page(request, of, form, status=422)
    try:
        with sent_once(token=form.cleaned_data["token"], user=request.user) as submission:
            services.create_export(**_named(of), user=request.user, options=form.options())
            submission.location = _place(of)
    except AlreadySent:
        messages.info(request, gettext("This export was asked for already, once."))
    except ServiceError as error:
        add_service_error(form, error)
        return _page(request, of, form, status=422)
    return redirect(_place(of))


@require_GET
def count(request: Request, run_id: int) -> HttpResponse:
    """How many rows would leave under the options of the form, as they stand."""
    return _count(request, access.run_for(request.user, run_id))


@require_GET
def dataset_count(request: Request, dataset_id: int) -> HttpResponse:
    return _count(request, access.dataset_for(request.user, dataset_id))


def _count(request: Request, of: Run | Dataset) -> HttpResponse:
    return render(request, "exports/_count.html", _counted(of, request.GET))


def _counted(of: Run | Dataset, given: QueryDict) -> dict[str, Any]:
    data = given.copy()
    data["token"] = str(new_token())  # a look creates nothing
    form = _form(of)(data)
    if not form.is_valid():
        return {"refused": next(iter(form.errors.values()))[0]}
    try:
        return {"leaving": count_leaving(**_named(of), options=form.options())}
    except ServiceError as error:
        return {"refused": str(error)}


def _form(of: Run | Dataset) -> type[DatasetExportForm]:
    return RunExportForm if isinstance(of, Run) else DatasetExportForm


def _named(of: Run | Dataset) -> dict[str, Any]:
    return {"run": of} if isinstance(of, Run) else {"dataset": of}


def _place(of: Run | Dataset) -> str:
    return reverse("exports" if isinstance(of, Run) else "dataset-exports", args=[of.pk])


def _page(
    request: Request, of: Run | Dataset, form: DatasetExportForm, status: int = 200
) -> HttpResponse:
    html, _ = _live_part(request, of)
    role = access.role_of(request.user, of.project)
    context: dict[str, Any] = {
        "of": of,
        "role": role,
        "form": form,
        "live": html,
        "place": _place(of),
    }
    at_once = _COUNTED in request.GET
    if isinstance(of, Run):
        query = QueryDict(form["filter"].value() or "")
        counts = queue_counts(of)
        at_once |= counts.total <= COUNTED_AT_ONCE
        context |= {
            "run": of,
            "kept": counts.kept,
            "total": counts.total,
            "preview": export_preview(of) if at_once else None,
            "first": first_selected(of, PREVIEW_PAIRS),
            "narrowed": _in_words(filter_of(query.urlencode())),
            "policy": _policy_in_words(form["policy"].value()),
            "new_url": reverse("export-new", args=[of.pk]),
            "count_url": reverse("export-count", args=[of.pk]),
        }
    else:
        at_once |= of.sample_count <= COUNTED_AT_ONCE
        context |= {
            "dataset": of,
            "new_url": reverse("dataset-export-new", args=[of.pk]),
            "count_url": reverse("dataset-export-count", args=[of.pk]),
        }
    if at_once and not form.is_bound:
        context |= _counted(of, _as_sent(form))
    if not at_once:
        context["counted_url"] = _with_counts(request)
    return render(request, "exports/page.html", context, status=status)


def _with_counts(request: Request) -> str:
    query = request.GET.copy()
    query[_COUNTED] = "1"
    return f"?{query.urlencode()}"


def _in_words(narrowed: dict[str, str]) -> str:
    queue = ExportOptions(filter=narrowed).queue
    return in_words(queue) if queue else ""


def _policy_in_words(query: str | None) -> str:
    try:
        policy = policy_in(query or "")
    except ValidationError as error:
        return str(error.messages[0])
    return policy_words.in_words(PolicySpec.from_dict(policy)) if policy else ""


def _as_sent(form: DatasetExportForm) -> QueryDict:
    """The form as a browser would send it untouched."""
    sent = QueryDict(mutable=True)
    for field in form:
        value = field.value()
        if value not in (None, False, "", []):
            sent[field.html_name] = str(value)
    return sent


def _live_part(request: Request, of: Run | Dataset) -> tuple[SafeString, str]:
    exports = list(of.exports.select_related("created_by"))
    waiting = any(export.status in services.OPEN for export in exports)
    context: dict[str, Any] = {
        "exports": exports,
        "role": access.role_of(request.user, of.project),
        "worker_missing": waiting and "default" not in queues_alive(),
    }
    return live(
        request,
        element="exports-live",
        template="exports/_live.html",
        url=_place(of) + "?part=live",
        every=POLL_SECONDS if waiting else None,
        context=context,
    )


@require_POST
def cancel(request: Request, export_id: int) -> HttpResponse:
    export = access.export_for(request.user, export_id, at_least="owner")
    try:
        services.cancel_export(export=export)
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect(_place(export.run or export.source))


@require_POST
def delete(request: Request, export_id: int) -> HttpResponse:
    export = access.export_for(request.user, export_id, at_least="owner")
    services.delete_export(export=export)
    messages.success(
        request, gettext("Deleted: its files are gone, and links to them lead nowhere.")
    )
    return redirect(_place(export.run or export.source))


@require_GET
def download(request: Request, export_id: int, name: str = "") -> HttpResponseBase:
    """One file of an export; without a name the data, as the split ``train`` has it."""
    export = _ready(request, export_id)
    if isinstance(export, HttpResponse):
        return export
    try:
        return send_file(export, name or names_of(export)[0])
    except FileNotFoundError:
        messages.error(request, gettext(_FILE_GONE))
        return redirect(_place(export.run or export.source))


@require_GET
def download_all(request: Request, export_id: int) -> HttpResponseBase:
    export = _ready(request, export_id)
    if isinstance(export, HttpResponse):
        return export
    try:
        return send_all(export)
    except FileNotFoundError:
        messages.error(request, gettext(_FILE_GONE))
        return redirect(_place(export.run or export.source))


def _ready(request: Request, export_id: int) -> Export | HttpResponse:
    export = access.export_for(request.user, export_id)
    if export.status == Export.Status.READY:
        return export
    messages.error(request, gettext("This file is not written yet."))
    return redirect(_place(export.run or export.source))


@require_GET
def manifest_file(request: Request, export_id: int) -> HttpResponse:
    """The manifest to keep beside the file."""
    export = access.export_for(request.user, export_id)
    if export.status != Export.Status.READY:
        raise Http404(gettext("Not written yet."))
    text = json.dumps(export.manifest, indent=2, ensure_ascii=False) + "\n"
    response = HttpResponse(text, content_type="application/json; charset=utf-8")
    name = f"{file_stem(export)}.manifest.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


urlpatterns = [
    path("runs/<int:run_id>/exports", index, name="exports"),
    path("runs/<int:run_id>/exports/new", new, name="export-new"),
    path("runs/<int:run_id>/exports/count", count, name="export-count"),
    path("datasets/<int:dataset_id>/exports", dataset_index, name="dataset-exports"),
    path("datasets/<int:dataset_id>/exports/new", dataset_new, name="dataset-export-new"),
    path("datasets/<int:dataset_id>/exports/count", dataset_count, name="dataset-export-count"),
    path("exports/<int:export_id>/cancel", cancel, name="export-cancel"),
    path("exports/<int:export_id>/delete", delete, name="export-delete"),
    path("exports/<int:export_id>/file", download, name="export-download"),
    path("exports/<int:export_id>/file/<str:name>", download, name="export-file"),
    path("exports/<int:export_id>/all.zip", download_all, name="export-all"),
    path("exports/<int:export_id>/manifest.json", manifest_file, name="export-manifest-file"),
]
