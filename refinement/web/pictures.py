"""A run in pictures, and what another policy would make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_GET, require_POST

from refinement.method.policies import POLICIES
from refinement.method.specs import PolicySpec
from refinement.models import RunSample
from refinement.selectors import access, pictures
from refinement.selectors.policy_history import policy_history
from refinement.selectors.queue.turned import write_policy
from refinement.selectors.run_columns import RunTable, run_table
from refinement.selectors.what_if import (
    PolicyReport,
    compare_policies,
    flipped,
    outcome_of,
    policy_of,
    under_filters,
    what_if,
)
from refinement.services import policies as services
from refinement.services.errors import ServiceError
from refinement.web.policy_forms import WhatIfForm, as_query, form_of
from refinement.web.policy_words import in_words

if TYPE_CHECKING:
    from refinement.models import PolicyChange, Run
    from refinement.web.http import Request

PAIRS_A_PAGE = 50


@require_GET
def show(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id)
    table = run_table(run)
    form = form_of(request.GET, policy_of(run))
    context = {
        "run": run,
        "role": access.role_of(request.user, run.project),
        "samples": len(table),
        **_answer(run, table, form),
    }
    if len(table):
        context |= _pictures(run, table) | {"policies": _policies(run, table, form)}
    return render(request, "runs/pictures.html", context)


@require_GET
def answer(request: Request, run_id: int) -> HttpResponse:
    """What the policy in the address would keep: the part of the page that answers a slider."""
    run = access.run_for(request.user, run_id)
    form = form_of(request.GET, policy_of(run))
    context = {"run": run, "role": access.role_of(request.user, run.project)}
    context |= _answer(run, run_table(run), form)
    return render(request, "runs/_what_if_answer.html", context)


@require_GET
def points(request: Request, run_id: int) -> HttpResponse:
    """Every pair as a point: n times ΔIFD, Δr-IFD (float32), id (uint32) and verdict (uint8).

    Little-endian columns, one behind the other; NaN where a signal is missing.
    """
    run = access.run_for(request.user, run_id)
    table = run_table(run)
    form = form_of(request.GET, policy_of(run))
    spec = form.policy() if request.GET.get("what") and form.is_valid() else policy_of(run)
    first, second = pictures.deltas(table)
    body = b"".join(
        [
            first.astype("<f4").tobytes(),
            second.astype("<f4").tobytes(),
            table.ids.astype("<u4").tobytes(),
            pictures.verdict_classes(outcome_of(table, spec)).tobytes(),
        ]
    )
    response = HttpResponse(body, content_type="application/octet-stream")
    response["Cache-Control"] = "private, no-store"
    return response


@require_GET
def flips(request: Request, run_id: int) -> HttpResponse:
    """The pairs whose verdict another policy would turn."""
    run = access.run_for(request.user, run_id)
    form = form_of(request.GET, policy_of(run))
    if not form.is_valid():
        return redirect("run-pictures", run_id)
    spec, against = form.policy(), bool(request.GET.get("against"))
    table = run_table(run)
    ids = flipped(run, table, spec, against=against).tolist()
    page = Paginator(ids, PAIRS_A_PAGE).get_page(request.GET.get("page", 1))
    context = {
        "run": run,
        "words": in_words(spec),
        "query": as_query(spec),
        "flips_query": urlencode(
            {"show": "all", "turns": write_policy(spec)} | ({"against": "1"} if against else {})
        ),
        "against": against,
        "page": page,
        "lines": _lines(table, list(page), policy_of(run), spec),
        "count": len(ids),
    }
    return render(request, "runs/flips.html", context)


@require_POST
def use(request: Request, run_id: int) -> HttpResponse:
    """Make the policy the run's own."""
    run = access.run_for(request.user, run_id, at_least="owner")
    form = WhatIfForm(request.POST)
    if not form.is_valid():
        messages.error(
            request, gettext("This policy makes no sense: look at the fields marked below.")
        )
        return redirect(reverse("run-pictures", args=[run_id]) + "?" + request.POST.urlencode())
    try:
        services.use_policy(run=run, policy=form.policy(), user=request.user)
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            gettext(
                "It is the run's policy now. The verdicts follow in the background; what people "
                "decided stays."
            ),
        )
    return redirect("run-pictures", run_id)


# -- Parts ----------------------------------------------------------------------------------------
def _answer(run: Run, table: RunTable, form: WhatIfForm) -> dict[str, Any]:
    own = policy_of(run)
    context: dict[str, Any] = {"form": form, "own_words": in_words(own)}
    if form.is_valid():
        spec = form.policy()
        context |= {
            "what": what_if(run, table, spec),
            "query": as_query(spec),
            "flips_query": urlencode({"show": "all", "turns": write_policy(spec)}),
            "is_own": spec == own,
            "spec": spec,
            "words": in_words(spec),
        }
    return context


def _pictures(run: Run, table: RunTable) -> dict[str, Any]:
    outcome = outcome_of(table, policy_of(run))
    found = pictures.figures(run, table, outcome)
    shares = groupby(found.acceptance, lambda share: share.group)
    both = outcome.took_instruction & outcome.took_response
    neither = ~outcome.took_instruction & ~outcome.took_response
    return {
        "ifd": found.ifd,
        "r_ifd": found.r_ifd,
        "length": found.length,
        "lengths": found.lengths,
        "losses": found.losses,
        "loss_names": [name for _, name in pictures.LOSSES],
        "shares": [(group, list(part)) for group, part in shares],
        "reviewers": found.reviewers,
        "corners": _corners(outcome.took_instruction, outcome.took_response, outcome.kept),
        "both": int(both.sum()),
        "neither": int(neither.sum()),
        "history": [HistoryLine(change) for change in policy_history(run)],
        "deriving": services.is_deriving(run),
    }


def _corners(first: Any, second: Any, kept: Any) -> list[tuple[str, int, int]]:
    """Pairs by the student's two choices, and how many of them are kept."""
    names = (
        gettext("neither rewrite"),
        gettext("the instruction's"),
        gettext("the response's"),
        gettext("both rewrites"),
    )
    found = np.bincount(first + 2 * second.astype(np.int64), minlength=4)
    stay = np.bincount((first + 2 * second.astype(np.int64))[kept], minlength=4)
    return [(name, int(n), int(k)) for name, n, k in zip(names, found, stay, strict=True)]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One change of policy, in words."""

    change: PolicyChange

    @property
    def words(self) -> str:
        return in_words(PolicySpec.from_dict(self.change.policy))

    @property
    def back(self) -> str:
        """Leads to a look at the policy before."""
        return as_query(PolicySpec.from_dict(self.change.before))


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One policy in the table of all of them."""

    name: str
    title: str
    means: str
    report: PolicyReport | None
    is_own: bool
    query: str


def _policies(run: Run, table: RunTable, form: WhatIfForm) -> list[PolicyLine]:
    """Every policy under the filters of the form."""
    own = policy_of(run)
    filters = form.policy() if form.is_valid() else own
    filters = replace(filters, diverse=False)
    lines = []
    for name, report in compare_policies(table, filters).items():
        spec = under_filters(name, filters)
        lines.append(
            PolicyLine(
                name=name,
                title=gettext(POLICIES[name].title),
                means=gettext(POLICIES[name].means),
                report=report,
                is_own=spec == own,
                query=as_query(spec),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class FlipLine:
    """One pair that would turn. The words say what happens to it now and then."""

    row: RunSample
    now: str
    then: str


_KEEPS = (
    gettext_noop("keeps the original"),
    gettext_noop("keeps the rewritten instruction"),
    gettext_noop("keeps the rewritten response"),
)


def _lines(table: RunTable, ids: list[int], own: PolicySpec, spec: PolicySpec) -> list[FlipLine]:
    rows = RunSample.objects.select_related("sample", "decision__user").in_bulk(ids)
    place = {int(pk): number for number, pk in enumerate(table.ids)}
    now, then = outcome_of(table, own), outcome_of(table, spec)

    def says(outcome: Any, number: int) -> str:
        kept = bool(outcome.kept[number])
        return gettext(_KEEPS[outcome.version[number]]) if kept else gettext("drops it")

    return [
        FlipLine(rows[pk], says(now, place[pk]), says(then, place[pk])) for pk in ids if pk in rows
    ]


urlpatterns = [
    path("runs/<int:run_id>/pictures", show, name="run-pictures"),
    path("runs/<int:run_id>/what-if", answer, name="run-what-if"),
    path("runs/<int:run_id>/points", points, name="run-points"),
    path("runs/<int:run_id>/flips", flips, name="run-flips"),
    path("runs/<int:run_id>/policy", use, name="run-policy"),
]
