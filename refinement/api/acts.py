"""Acts on all pairs that a filter matches, and the history of a run."""

from typing import Any

from django.http import StreamingHttpResponse
from ninja import Query, Router

from refinement.api.auth import READ, REVIEW, WRITE, Request, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import acts as s
from refinement.api.schemas import common as c
from refinement.api.schemas.pairs import PairFilter
from refinement.formats.writing.sent_lines import LINES_TYPES, lines_of
from refinement.models import BulkAct, Decision, Run
from refinement.selectors import access
from refinement.selectors.act_preview import act_preview
from refinement.selectors.blind import acts_need
from refinement.selectors.history import COLUMNS, decisions_of, history_records
from refinement.selectors.review_sharing import reviewers_of
from refinement.services import bulk_acts as services

router = Router(tags=["acts"])


@router.get("/runs/{run_id}/acts/preview", auth=READ, response=s.ActPreview)
def preview_act(request: Request, run_id: c.Id, filters: Query[PairFilter]) -> Any:
    """How many pairs an act on this filter would touch, and a few of them."""
    return act_preview(_run_to_act_on(request, run_id), filters.queue())


@router.get("/runs/{run_id}/acts", auth=READ, response=c.Page[s.ActOut])
def list_acts(request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:
    return page_of(_acts(run_for(request, run_id)), cursor=cursor, limit=limit)


@router.post("/runs/{run_id}/acts", auth=REVIEW, response={201: s.ActOut}, openapi_extra=HEADER)
@once(s.ActOut)
def start_act(request: Request, run_id: c.Id, body: s.ActIn) -> Any:
    """Act on all pairs of a filter. A worker does it; it can be undone as a whole.

    ``assign`` is for owners, and under a blind plan all of it.
    """
    run = _run_to_act_on(request, run_id)
    if body.action == "assign":
        run_for(request, run_id, at_least="owner")
    people = {user.get_username(): user for user in reviewers_of(run.project)}
    return services.start_act(
        run=run,
        user=request.user,
        action=body.action,
        queue=body.filter.queue(),
        expected=body.expected,
        assignee=people.get(body.assignee),
    )


@router.get("/runs/{run_id}/acts/{act_id}", auth=READ, response=s.ActOut)
def get_act(request: Request, run_id: c.Id, act_id: c.Id) -> Any:
    return _act(run_for(request, run_id), act_id)


@router.post("/runs/{run_id}/acts/{act_id}/undo", auth=REVIEW, response=s.ActOut)
def undo_act(request: Request, run_id: c.Id, act_id: c.Id) -> Any:
    """Take all of it back, but for what people decided since. By whoever asked for it, or an owner.

    It begins where the act is ``done``, and ends ``undone``.
    """
    run = run_for(request, run_id, at_least="reviewer")
    act = _act(run, act_id)
    if act.user_id != request.user.pk:
        run_for(request, run_id, at_least="owner")
    services.undo_act(act=act, user=request.user)
    return _act(run, act_id)


def _run_to_act_on(request: Request, run_id: int) -> Run:
    run = run_for(request, run_id, at_least="reviewer")
    return run_for(request, run_id, at_least=acts_need(run))


def _acts(run: Run) -> Any:
    return run.bulk_acts.select_related("user")


def _act(run: Run, act_id: int) -> BulkAct:
    act: BulkAct | None = _acts(run).filter(pk=act_id).first()
    if act is None:
        raise access.NoAccess("No such act in this run.")
    return act


# -- History --------------------------------------------------------------------------------------
@router.get("/runs/{run_id}/history", auth=READ, response=c.Page[s.HistoryOut])
def list_history(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    """Every decision of a run, the latest first. Undone ones stay, and say so."""
    rows = decisions_of(run_for(request, run_id), request.user)
    return page_of(rows, cursor=cursor, limit=limit)


@router.get("/runs/{run_id}/history.jsonl", auth=READ, response={200: None})
def download_history(request: Request, run_id: c.Id) -> StreamingHttpResponse:
    """The whole history as JSON Lines, in the order in which it happened."""
    return _history(request, run_id, "jsonl")


@router.get("/runs/{run_id}/history.csv", auth=READ, response={200: None})
def download_history_table(request: Request, run_id: c.Id) -> StreamingHttpResponse:
    """The same as CSV; no cell is a formula."""
    return _history(request, run_id, "csv")


def _history(request: Request, run_id: int, form: str) -> StreamingHttpResponse:
    records = history_records(run_for(request, run_id), request.user)
    lines = lines_of(form, COLUMNS, records)
    return StreamingHttpResponse(lines, content_type=LINES_TYPES[form])


@router.post("/runs/{run_id}/restore", auth=WRITE, response={201: s.ActOut}, openapi_extra=HEADER)
@once(s.ActOut)
def restore_run(request: Request, run_id: c.Id, body: s.RestoreIn) -> Any:
    """Let count again what counted once that decision had been made. An act that can be undone."""
    run = run_for(request, run_id, at_least="owner")
    through = Decision.objects.filter(pk=body.decision, run=run).first()
    if through is None:
        raise Refused(422, "That decision is not of this run: take one from its history.")
    return services.restore_run(run=run, user=request.user, through=through)
