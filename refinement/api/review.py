"""Review: the pairs of a run, and what people say of them."""

from typing import Any

from ninja import Router, Status

from refinement.api.auth import READ, REVIEW, Request, pair_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import review as s
from refinement.method.pairs import Pair
from refinement.models import Candidate
from refinement.selectors.review import PairView, Version, pair_view
from refinement.services import decisions as services

router = Router(tags=["review"])


@router.get("/runs/{run_id}/pairs/{pair_id}", auth=READ, response=s.PairDetail)
def get_pair(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """Every version of a pair with its scores, the verdict, and what people said."""
    return _detail(pair_view(pair_for(request, run_id, pair_id)))


def _detail(view: PairView) -> dict[str, Any]:
    pair = view.run_sample
    return {
        "id": pair.pk,
        "position": pair.position,
        "stage": pair.stage,
        "state": pair.state,
        "error": pair.error,
        "mark": view.mark,
        "kept": view.verdict.kept if view.verdict else None,
        "verdict": view.verdict.sentence if view.verdict else "",
        "decision": pair.decision_id or 0,
        "versions": [_version(version) for version in view.versions],
        "history": view.history,
        "comments": view.comments,
    }


def _version(version: Version) -> dict[str, Any]:
    candidate, score = version.candidate, version.score
    return {
        "key": version.key,
        "name": version.name,
        "candidate": candidate.pk if candidate else None,
        "instruction": version.pair.instruction,
        "input": version.pair.input,
        "response": version.pair.response,
        "criticism": candidate.criticism if candidate else "",
        "ifd": score.ifd if score else None,
        "r_ifd": score.r_ifd if score else None,
        "chosen": version.chosen,
        "counts": version.counts,
    }


@router.post(
    "/runs/{run_id}/pairs/{pair_id}/decisions",
    auth=REVIEW,
    response={201: s.DecisionOut},
    openapi_extra=HEADER,
)
@once(s.DecisionOut)
def decide(request: Request, run_id: c.Id, pair_id: c.Id, body: s.DecideIn) -> Any:
    """Counts over the verdict from now on. 409: somebody decided since you looked."""
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    candidate = None
    if body.candidate is not None:
        candidate = Candidate.objects.filter(pk=body.candidate, run_sample=pair).first()
        if candidate is None:
            raise Refused(422, "That candidate is not of this pair.")
    return services.record_decision(
        run_sample=pair,
        user=request.user,
        action=body.action,
        candidate=candidate,
        edit=Pair(**body.edit.model_dump()) if body.edit else None,
        seen=body.seen,
    )


@router.post("/runs/{run_id}/pairs/{pair_id}/undo", auth=REVIEW, response={201: s.DecisionOut})
def undo(request: Request, run_id: c.Id, pair_id: c.Id, body: s.UndoIn) -> Any:
    """Take back the decision that counts; the one before it, or else the verdict, counts again."""
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    undone = services.undo_decision(run_sample=pair, user=request.user, seen=body.seen)
    return Status(201, undone)


@router.get("/runs/{run_id}/pairs/{pair_id}/comments", auth=READ, response=c.Page[s.CommentOut])
def list_comments(
    request: Request, run_id: c.Id, pair_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    rows = pair_for(request, run_id, pair_id).comments.select_related("user")
    return page_of(rows, cursor=cursor, limit=limit, by="pk")


@router.post(
    "/runs/{run_id}/pairs/{pair_id}/comments",
    auth=REVIEW,
    response={201: s.CommentOut},
    openapi_extra=HEADER,
)
@once(s.CommentOut)
def add_comment(request: Request, run_id: c.Id, pair_id: c.Id, body: s.CommentIn) -> Any:
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    return services.add_comment(run_sample=pair, user=request.user, text=body.text)
