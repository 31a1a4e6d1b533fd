"""The people of a run: how they share its pairs, what is given to whom, how far they agree."""

from dataclasses import asdict
from typing import Any

from ninja import Router, Status

from refinement.api.auth import READ, REVIEW, WRITE, Request, pair_for, run_for
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import people as s
from refinement.models import RunSample, User
from refinement.selectors import access
from refinement.selectors.agreement import agreement_of
from refinement.selectors.blind import (
    is_blind,
    letter_of,
    sides_of,
    visible_opinions,
    without_others_edits,
)
from refinement.selectors.opinions import disputed, progress_of
from refinement.selectors.queue import QueueFilter
from refinement.selectors.review import pair_view
from refinement.selectors.review_sharing import plan_of, reviewers_of
from refinement.services import assignments
from refinement.services.opinions import withdraw_opinion
from refinement.services.review_leases import claim_next
from refinement.services.review_plans import set_plan

router = Router(tags=["people"])


@router.get("/runs/{run_id}/plan", auth=READ, response=s.PlanOut)
def get_plan(request: Request, run_id: c.Id) -> Any:
    return plan_of(run_for(request, run_id))


@router.post("/runs/{run_id}/plan", auth=WRITE, response=s.PlanOut)
def change_plan(request: Request, run_id: c.Id, body: s.PlanIn) -> Any:
    """It holds for every pair from now on; what people said stays."""
    run = run_for(request, run_id, at_least="owner")
    return set_plan(run=run, by=request.user, **body.model_dump())


@router.get("/runs/{run_id}/people", auth=READ, response=c.Page[s.PersonOut])
def list_people(request: Request, run_id: c.Id) -> Any:
    """Everybody who may decide, and how far they are."""
    return {"items": progress_of(run_for(request, run_id)), "next": None}


@router.post("/runs/{run_id}/assignments", auth=WRITE, response=c.Count)
def assign(request: Request, run_id: c.Id, body: s.AssignIn) -> Any:
    """Give the undecided pairs that nobody has to these people, evenly; how many pairs.

    Chosen pairs go to one person by the act `assign`.
    """
    run = run_for(request, run_id, at_least="owner")
    able = {user.get_username(): user for user in reviewers_of(run.project)}
    unknown = [name for name in body.people if name not in able]
    if unknown:
        raise Refused(422, f"“{unknown[0]}” may not decide in this project.")
    pairs = assignments.distribute(
        run=run,
        people=[able[name] for name in dict.fromkeys(body.people)],
        reviewers_per_pair=plan_of(run).reviewers_per_pair,
        by=request.user,
    )
    return {"count": pairs}


@router.post("/runs/{run_id}/assignments/take-back", auth=WRITE, response=c.Count)
def take_back(request: Request, run_id: c.Id, body: s.PersonIn) -> Any:
    """Free what a person was given and has not judged; how many pairs."""
    run = run_for(request, run_id, at_least="owner")
    user = User.objects.filter(username=body.username, assignments__run=run).first()
    if user is None:
        raise Refused(422, f"“{body.username}” has been given no pair of this run.")
    return {"count": assignments.unassign(run=run, user=user, by=request.user)}


@router.get("/runs/{run_id}/agreement", auth=READ, response=s.AgreementOut)
def get_agreement(request: Request, run_id: c.Id) -> Any:
    """Every two people, and every person with every policy. Of a blind run for owners alone."""
    run = run_for(request, run_id)
    if plan_of(run).blind:
        run_for(request, run_id, at_least="owner")
    return asdict(agreement_of(run))


@router.get("/runs/{run_id}/disputes", auth=READ, response=c.Page[s.DisputeOut])
def list_disputes(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    """Pairs on which the people differ, with what each said. For owners, who settle them."""
    run = run_for(request, run_id, at_least="owner")
    page = page_of(disputed(run).select_related("run"), cursor=cursor, limit=limit, by="position")
    items = [
        {"id": pair.pk, "position": pair.position, "opinions": _opinions(request, pair)}
        for pair in page["items"]
    ]
    return {**page, "items": items}


@router.post("/runs/{run_id}/next", auth=REVIEW, response=s.NextOut)
def next_pair(request: Request, run_id: c.Id, body: s.NextIn) -> Any:
    """The next pair for this person: none that others have open, or that is given to others.

    It is held for a few minutes, or until the decision.
    """
    run = run_for(request, run_id, at_least="reviewer")
    after = None
    if body.after is not None:
        after = pair_for(request, run_id, body.after)
    queue = body.filter.queue() if body.filter else QueueFilter()
    return {"pair": claim_next(run=run, user=request.user, queue=queue, after=after)}


# -- Opinions -------------------------------------------------------------------------------------
@router.get("/runs/{run_id}/pairs/{pair_id}/opinions", auth=READ, response=c.Page[s.OpinionOut])
def list_opinions(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """What one may see of them: one's own, all of a decided pair, to owners all once all are in."""
    return {"items": _opinions(request, pair_for(request, run_id, pair_id)), "next": None}


@router.post("/runs/{run_id}/pairs/{pair_id}/opinions/withdraw", auth=REVIEW, response={204: None})
def withdraw(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """Take one's opinion back; a decision that rested on it no longer counts."""
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    withdraw_opinion(run_sample=pair, user=request.user)
    return Status(204, None)


def _opinions(request: Request, pair: RunSample) -> list[dict[str, Any]]:
    plan, role = plan_of(pair.run), access.role_of(request.user, pair.run.project)
    shown = visible_opinions(pair, request.user, role, plan)
    if not is_blind(plan, pair):
        return [s.opinion(said, None) for said in shown]
    sides = sides_of(without_others_edits(pair_view(pair), request.user, role, plan), plan)
    return [s.opinion(said, letter_of(sides, said.candidate_id)) for said in shown]
