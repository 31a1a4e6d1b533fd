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
from refinement.models import Candidate, RunSample
from refinement.selectors import access
from refinement.selectors.blind import FIELDS, is_blind, sides_of, without_others_edits
from refinement.selectors.review import PairView, Version, pair_view
from refinement.selectors.review_sharing import others_at, plan_of
from refinement.selectors.token_losses import token_losses
from refinement.services import decisions as services
from refinement.services import token_wishes
from refinement.services.judging import judge

router = Router(tags=["review"])


@router.get("/runs/{run_id}/pairs/{pair_id}", auth=READ, response=s.PairDetail)
def get_pair(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """Every version of a pair with its scores, the verdict, and what people said.

    Of a run that is reviewed blind: its sides alone, until the pair is decided.
    """
    pair = pair_for(request, run_id, pair_id)
    view, sides = _seen(request, pair)
    others = [lease.user.get_username() for lease in others_at(pair, request.user)]
    detail = _detail(view) if sides is None else _blind(view, sides)
    return detail | {"open_by": others}


def _seen(request: Request, pair: RunSample) -> tuple[PairView, dict[str, Version] | None]:
    """The pair as this person may see it; with the sides where it is blind."""
    plan, role = plan_of(pair.run), access.role_of(request.user, pair.run.project)
    view = without_others_edits(pair_view(pair), request.user, role, plan)
    return view, sides_of(view, plan) if is_blind(plan, pair) else None


def _blind(view: PairView, sides: dict[str, Version]) -> dict[str, Any]:
    pair = view.run_sample
    nothing = {"candidate": None, "criticism": "", "ifd": None, "r_ifd": None}
    return {
        **{name: getattr(pair, name) for name in ("position", "opinions")},
        "id": pair.pk,
        "blind": True,
        "stage": "",
        "state": "",
        "error": "",
        "mark": "",
        "kept": None,
        "verdict": "",
        "decision": 0,
        "history": [],
        "comments": view.comments,
        "versions": [
            {
                **{name: getattr(side.pair, name) for name in FIELDS},
                "key": letter,
                "name": letter,
                "chosen": False,
                "counts": False,
                **nothing,
            }
            for letter, side in sides.items()
        ],
    }


def _detail(view: PairView) -> dict[str, Any]:
    pair = view.run_sample
    return {
        "id": pair.pk,
        "blind": False,
        "opinions": pair.opinions,
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


@router.get("/runs/{run_id}/pairs/{pair_id}/tokens", auth=READ, response=c.Page[s.TokensOut])
def get_tokens(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """The losses of each response's tokens, version by version. 409: the pair is blind."""
    pair = pair_for(request, run_id, pair_id)
    view, sides = _seen(request, pair)
    if sides is not None:
        raise Refused(409, "This pair is reviewed blind: its tokens are shown once it is decided.")
    found = [
        {"key": version.key, "tokens": token_losses(version.score) if version.score else []}
        for version in view.versions
    ]
    return {"items": found, "next": None}


@router.post("/runs/{run_id}/pairs/{pair_id}/tokens", auth=REVIEW, response={202: None})
def ask_for_tokens(request: Request, run_id: c.Id, pair_id: c.Id) -> Any:
    """Let the student read once more a pair that was scored without them; no score changes."""
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    token_wishes.ask_for_tokens(run_sample=pair, user=request.user)
    return Status(202, None)


@router.post(
    "/runs/{run_id}/pairs/{pair_id}/decisions",
    auth=REVIEW,
    response={201: s.DecisionOut},
    openapi_extra=HEADER,
)
@once(s.DecisionOut)
def decide(request: Request, run_id: c.Id, pair_id: c.Id, body: s.DecideIn) -> Any:
    """Counts over the verdict from now on. 409: somebody decided since you looked.

    Under a plan with several reviewers it is one of their opinions; of an owner it settles a pair
    on which they differ.
    """
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    action, candidate = _meant(request, pair, body)
    return judge(
        run_sample=pair,
        user=request.user,
        plan=plan_of(pair.run),
        action=action,
        candidate=candidate,
        edit=Pair(**body.edit.model_dump()) if body.edit else None,
        seen=body.seen,
    )


def _meant(request: Request, pair: RunSample, body: s.DecideIn) -> tuple[str, Candidate | None]:
    """The action, and the candidate that an id or a side names. Raises Refused (422)."""
    _, sides = _seen(request, pair)
    if sides is not None:
        if body.action == "drop":
            return body.action, None
        if body.side not in sides or body.action not in {"candidate", "edit"}:
            raise Refused(422, "This pair is reviewed blind: take or edit a side, or drop it.")
        found = sides[body.side].candidate
        taken = body.action == "edit" or found is not None
        return (body.action if taken else "original"), found
    if body.side:
        raise Refused(422, "This pair is not reviewed blind: it has no sides.")
    if body.candidate is None:
        return body.action, None
    known = Candidate.objects.filter(pk=body.candidate, run_sample=pair).first()
    if known is None:
        raise Refused(422, "That candidate is not of this pair.")
    return body.action, known


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
