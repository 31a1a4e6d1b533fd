"""Before an import: what the file seems to be, its first records, and which field is what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from refinement.formats.chats import ChatShape
from refinement.formats.fields import REWRITE_FIELDS
from refinement.formats.guess import Look, look
from refinement.formats.registry import FORMATS, FormatError, Kept, Record, Rejected, read_raw
from refinement.formats.shape import EVERY, LAST, Parts, Shape
from refinement.formats.shapes import shape_of
from refinement.selectors import access
from refinement.selectors import datasets as selectors
from refinement.services import datasets as services
from refinement.services.errors import ServiceError
from refinement.web.http import go

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from refinement.models import Dataset
    from refinement.web.http import Request

SHOWN = 5  # records
CONTAINERS = {
    "json": "a JSON array",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
}
_FIELD = "map_"  # before the names of the shape's fields in the form


@dataclass(frozen=True, slots=True)
class Plan:
    """How the file would be read: what was found, unless the form says otherwise."""

    format: str
    mapping: dict[str, str]
    turns: str
    like: Dataset | None = None  # an earlier dataset that this mapping comes from


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
        found = look(
            Path(dataset.file.path),
            record_limit=settings.RECORD_LIMIT_BYTES,
            size_limit=settings.UPLOAD_LIMIT_BYTES,
        )
    except FormatError as error:
        return {"dataset": dataset, "broken": str(error)}
    except OSError:
        return {"dataset": dataset, "broken": "The stored file is gone. Upload it again."}
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
        "rows": _preview(found, plan),
    }


def _plan(dataset: Dataset, found: Look, form: Mapping[str, str]) -> Plan:
    turns = form.get("turns") or dataset.options.get("turns", LAST)
    turns = turns if turns in {LAST, EVERY} else LAST
    chosen = form.get("format", "")
    if chosen in FORMATS:
        return Plan(chosen, _mapping(chosen, found, form), turns)
    if dataset.format in FORMATS:  # as it was checked
        return Plan(dataset.format, dataset.mapping, turns)
    earlier = selectors.earlier_mapping(dataset, found.places)
    name = found.format or "fields"
    if earlier is not None and earlier.mapping != _defaults(name, found.mapping):
        return Plan(earlier.format, earlier.mapping, earlier.options.get("turns", LAST), earlier)
    return Plan(name, _defaults(name, found.mapping), turns)


def _defaults(name: str, mapping: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(FORMATS[name].defaults, "") | shape_of(name, mapping).mapping


def _mapping(name: str, found: Look, form: Mapping[str, str]) -> dict[str, str]:
    """What the form says, for the fields that this format has; else what is usual."""
    if form.get("was") == name:
        shown = {field: form.get(f"{_FIELD}{field}", "") for field in FORMATS[name].fields}
        return {field: theirs for field, theirs in shown.items() if theirs}
    usual = {k: v for k, v in found.mapping.items() if name in (found.format, "fields")}
    return {k: v for k, v in _defaults(name, usual).items() if v}


def _options(dataset: Dataset, form: Mapping[str, str]) -> dict[str, str]:
    return {
        name: form.get(name) or dataset.options.get(name, known[0])
        for name, known in services.OPTIONS.items()
    }


def _preview(found: Look, plan: Plan) -> list[dict[str, Any]]:
    """The first records as they would go in. An incomplete mapping refuses all of them."""
    mapping = {field: plan.mapping.get(field, "") for field in FORMATS[plan.format].fields}
    shape = shape_of(plan.format, mapping, turns=plan.turns)
    rows: list[dict[str, Any]] = []
    for raw in found.raws:
        rows += [_row(shape, item) for item in read_raw(shape, raw)]
        if len(rows) >= SHOWN:
            break
    return rows[:SHOWN]


def _row(shape: Shape, item: Record | Kept | Rejected) -> dict[str, Any]:
    if isinstance(item, Record):
        others = shape.others(Parts(item.pair, item.extra, item.layout))
        return {
            "line": item.line,
            "pair": item.pair,
            "rewrites": item.rewrites,
            "others": ", ".join(list(others)[:8]),
        }
    if isinstance(item, Kept):
        text = json.dumps(item.record, ensure_ascii=False)[:400]
        return {"line": item.line, "kept": item.reason, "excerpt": text}
    return {"line": item.line, "refused": item.reason, "excerpt": item.excerpt}


urlpatterns = [
    path("datasets/<int:dataset_id>/prepare", fragment, name="dataset-prepare"),
    path("datasets/<int:dataset_id>/import", begin, name="dataset-import"),
    path("datasets/<int:dataset_id>/stop", stop, name="dataset-stop"),
    path("datasets/<int:dataset_id>/again", again, name="dataset-again"),
]
