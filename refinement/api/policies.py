"""The policy of a run: what it keeps, what another one would keep, and taking that one."""

from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
from django.http import HttpResponse
from django.utils.translation import gettext
from ninja import Query, Router

from refinement import policy_errors
from refinement.api.auth import READ, WRITE, Request, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import policies as s
from refinement.method.errors import PolicyError
from refinement.method.policies import POLICIES, get_policy
from refinement.method.specs import PolicySpec
from refinement.models import Run
from refinement.selectors import pictures
from refinement.selectors.queue.turned import write_policy
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import (
    compare_policies,
    outcome_of,
    policy_of,
    under_filters,
    what_if,
)
from refinement.services import policies as services

router = Router(tags=["policies"])


@router.get("/runs/{run_id}/policy", auth=READ, response=s.PolicyOut)
def get_policy_of_run(request: Request, run_id: c.Id) -> Any:
    run = run_for(request, run_id)
    return {
        "policy": policy_of(run).as_dict(),
        "version": run.policy_version,
        "deriving": services.is_deriving(run),
    }


@router.post(
    "/runs/{run_id}/policy",
    auth=WRITE,
    response={201: s.PolicyChangeOut},
    openapi_extra=HEADER,
)
@once(s.PolicyChangeOut)
def use_policy(request: Request, run_id: c.Id, body: s.PolicyIn) -> Any:
    """Make it the run's own. The verdicts follow in the background; what people decided stays."""
    run = run_for(request, run_id, at_least="owner")
    return services.use_policy(run=run, policy=body.spec(policy_of(run)), user=request.user)


@router.get("/runs/{run_id}/policy/changes", auth=READ, response=c.Page[s.PolicyChangeOut])
def list_policy_changes(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    rows = run_for(request, run_id).policy_changes.select_related("user")
    return page_of(rows, cursor=cursor, limit=limit)


@router.get("/runs/{run_id}/policy/what-if", auth=READ, response=s.WhatIfOut)
def ask_what_if(request: Request, run_id: c.Id, policy: Query[s.PolicyIn]) -> Any:
    """What the policy would keep, beside what the run's own keeps. Nothing changes.

    `max_ifd`, `max_r_ifd`, `top_count` and `top_percent` take `none` for no such bound.
    """
    run = run_for(request, run_id)
    own, spec = policy_of(run), _sensible(run, policy)
    answer = what_if(run, run_table(run), spec)
    names = ("total", "now", "then", "difference", "flips", "gained", "lost", "rewritten")
    return {name: getattr(answer, name) for name in (*names, "flips_against")} | {
        "policy": spec.as_dict(),
        "turns": write_policy(spec),
        "is_own": spec == own,
    }


@router.get("/runs/{run_id}/policy/compare", auth=READ, response=c.Page[s.ComparedOut])
def compare(request: Request, run_id: c.Id, policy: Query[s.PolicyIn]) -> Any:
    """Every policy under these filters, and what each would keep."""
    run = run_for(request, run_id)
    own, filters = policy_of(run), _sensible(run, policy)
    lines = [
        {
            "title": gettext(POLICIES[name].title),
            "policy": (spec := under_filters(name, filters)).as_dict(),
            "is_own": spec == own,
            "report": report,
        }
        for name, report in compare_policies(run_table(run), filters).items()
    ]
    return {"items": lines, "next": None}


@router.get("/runs/{run_id}/figures", auth=READ, response=s.FiguresOut)
def get_figures(request: Request, run_id: c.Id) -> Any:
    """What the run's pictures are drawn from, under its own policy."""
    run = run_for(request, run_id)
    table = run_table(run)
    if not len(table):
        raise Refused(409, "No pair of this run is scored to the end yet: there are no figures.")
    found = pictures.figures(run, table, outcome_of(table, policy_of(run)))
    return {"samples": len(table), **asdict(found)}


@router.get("/runs/{run_id}/points", auth=READ, response=s.PointsOut)
def get_points(request: Request, run_id: c.Id, policy: Query[s.PolicyIn]) -> HttpResponse:
    """Every scored pair as a point, column by column, with its verdict under the policy."""
    run = run_for(request, run_id)
    table = run_table(run)
    first, second = pictures.deltas(table)
    classes = pictures.verdict_classes(outcome_of(table, _sensible(run, policy)))
    columns = {
        "pairs": table.ids,
        "delta_ifd": first,
        "delta_r_ifd": second,
        "verdicts": classes,
    }
    body = orjson.dumps(
        {name: np.ascontiguousarray(values) for name, values in columns.items()},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    return HttpResponse(body, content_type="application/json; charset=utf-8")


def _sensible(run: Run, policy: s.PolicyIn) -> PolicySpec:
    spec = policy.spec(policy_of(run))
    try:
        get_policy(spec)
    except PolicyError as error:
        raise Refused(422, policy_errors.in_words(error)) from error
    return spec
