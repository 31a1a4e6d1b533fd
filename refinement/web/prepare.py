"""Before an import: what the file seems to be, its first records, and which field is what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from refinement.formats.chats import ChatShape
from refinement.formats.fields import REWRITE_FIELDS
from refinement.formats.registry import FORMATS, FormatError
from refinement.selectors import access
from refinement.selectors.import_plan import first_rows, look_into, plan_of
from refinement.services import datasets as services
from refinement.services.errors import ServiceError
from refinement.web.http import go

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from refinement.formats.guess import Look
    from refinement.models import Dataset
    from refinement.selectors.import_plan import Plan
    from refinement.web.http import Request

CONTAINERS = {
    "json": gettext_lazy("a JSON array"),
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
}
_FIELD = "map_"  # before the names of the shape's fields in the form


@require_GET
def fragment(request: Request, dataset_id: int) -> HttpResponse:
    """The form and the preview for what is chosen in it now."""
    dataset = access.dataset_for(request.user, dataset_id, at_least="owner")
    if dataset.status != dataset.Status.DRAFT:
        return go(request, f"/datasets/{dataset.pk}")
    return render(request, "datasets/_prepare.html", context(dataset, request.GET))


@require_POST
def begin(request: Request, dataset_id: int) -> HttpResponse:
    """Import the file, or read all of it to see what an import would do."""
    dataset = access.dataset_for(request.user, dataset_id, at_least="owner")
    mapping = {
        name.removeprefix(_FIELD): request.POST.get(name, "").strip()
        for name in request.POST
        if name.startswith(_FIELD)
    }
    try:
        services.start_import(
            dataset=dataset,
            format=request.POST.get("format", ""),
            mapping=mapping,
            options={name: request.POST[name] for name in services.OPTIONS if name in request.POST},
            dry_run=request.POST.get("then") == "check",
        )
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("dataset", dataset_id)


@require_POST
def stop(request: Request, dataset_id: int) -> HttpResponse:
    dataset = access.dataset_for(request.user, dataset_id, at_least="owner")
    try:
        services.cancel_import(dataset=dataset)
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("dataset", dataset_id)


@require_POST
def again(request: Request, dataset_id: int) -> HttpResponse:
    """Back to the choices, after an import that failed."""
    dataset = access.dataset_for(request.user, dataset_id, at_least="owner")
    try:
        services.reopen(dataset=dataset)
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("dataset", dataset_id)


def context(dataset: Dataset, form: Mapping[str, str]) -> dict[str, Any]:
    """All that the fragment shows; ``broken`` alone where the file cannot be read."""
    try:
        found = look_into(dataset)
    except FormatError as error:
        return {"dataset": dataset, "broken": str(error)}
    except OSError:
        return {"dataset": dataset, "broken": gettext("The stored file is gone. Upload it again.")}
    plan = _plan(dataset, found, form)
    shape = FORMATS[plan.format]
    fields = [
        {
            "name": f"{_FIELD}{name}",
            "label": name.replace("_", " "),
            "hint": hint,
            "required": name in shape.required,
            "chosen": plan.mapping.get(name, ""),
            "rewrite": name in REWRITE_FIELDS,
        }
        for name, hint in shape.fields.items()
    ]
    return {
        "dataset": dataset,
        "found": found,
        "container": CONTAINERS[found.container],
        "plan": plan,
        "formats": FORMATS.values(),
        "fields": [field for field in fields if not field["rewrite"]],
        "rewrites": [field for field in fields if field["rewrite"]],
        "rewrites_chosen": any(field["rewrite"] and field["chosen"] for field in fields),
        "is_chat": issubclass(shape, ChatShape),
        "options": _options(dataset, form),
        "rows": first_rows(found, plan),
    }


def _plan(dataset: Dataset, found: Look, form: Mapping[str, str]) -> Plan:
    """As the form says; its mapping only where it was shown with the fields of this format."""
    chosen = form.get("format", "")
    mapping = None
    if chosen in FORMATS and form.get("was") == chosen:
        shown = {field: form.get(f"{_FIELD}{field}", "") for field in FORMATS[chosen].fields}
        mapping = {field: theirs for field, theirs in shown.items() if theirs}
    return plan_of(dataset, found, chosen=chosen, mapping=mapping, turns=form.get("turns", ""))


def _options(dataset: Dataset, form: Mapping[str, str]) -> dict[str, str]:
    return {
        name: form.get(name) or dataset.options.get(name, known[0])
        for name, known in services.OPTIONS.items()
    }


urlpatterns = [
    path("datasets/<int:dataset_id>/prepare", fragment, name="dataset-prepare"),
    path("datasets/<int:dataset_id>/import", begin, name="dataset-import"),
    path("datasets/<int:dataset_id>/stop", stop, name="dataset-stop"),
    path("datasets/<int:dataset_id>/again", again, name="dataset-again"),
]
