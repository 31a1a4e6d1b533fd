"""What a page of the room says of colleagues: who is there, who said what, what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refinement.selectors.opinions import current_opinions, last_opinion, outcome_of
from refinement.selectors.review_sharing import others_at
from refinement.web.review_blind import is_blind, letter_of, said_blind, sides_of

if TYPE_CHECKING:
    from refinement.models import Opinion, ReviewPlan, User
    from refinement.selectors import access
    from refinement.selectors.review import PairView


@dataclass(frozen=True, slots=True)
class Said:
    """One opinion as the page shows it. ``words`` is empty where the action speaks for itself."""

    opinion: Opinion
    words: str
    mine: bool


def sharing_context(
    view: PairView, user: User, role: access.Role | None, plan: ReviewPlan
) -> dict[str, Any]:
    """``opinions`` are those that this person may see now: their own, and all once all are in."""
    pair = view.run_sample
    several = plan.reviewers_per_pair > 1
    given = current_opinions(pair) if several else []
    complete = pair.decision_id is not None or len(given) >= plan.reviewers_per_pair
    owner, may_decide = role == "owner", role in ("reviewer", "owner")
    sees_all = pair.decision_id is not None or (complete and owner)
    visible = [o for o in given if sees_all or o.user_id == user.pk]
    sides = sides_of(view, plan) if is_blind(plan, pair) else None
    return {
        "plan": plan,
        "several": several,
        "others": others_at(pair, user) if may_decide else [],
        "opinions": [Said(o, _words(o, sides), o.user_id == user.pk) for o in visible],
        "opinions_given": len(given),
        "opinions_hidden": len(given) - len(visible),
        "disputed": complete
        and pair.decision_id is None
        and len({outcome_of(opinion, pair) for opinion in given}) > 1,
        "settles": several and complete and owner and pair.decision_id is None,
        "last_opinion": last_opinion(pair.run, user) if several and may_decide else None,
    }


def without_others_edits(
    view: PairView, user: User, role: access.Role | None, plan: ReviewPlan
) -> PairView:
    """Without the texts that colleagues wrote, while their opinions are none of this person's."""
    pair = view.run_sample
    if plan.reviewers_per_pair == 1 or pair.decision_id is not None:
        return view
    if role == "owner" and pair.opinions >= plan.reviewers_per_pair:
        return view
    kept = [
        version
        for version in view.versions
        if not version.is_edit
        or (version.candidate is not None and version.candidate.created_by_id == user.pk)
    ]
    return replace(view, versions=kept, by_key={version.key: version for version in kept})


def _words(opinion: Opinion, sides: dict[str, Any] | None) -> str:
    if sides is None:
        if opinion.candidate and opinion.action == "candidate":
            return opinion.candidate.get_kind_display().lower()
        return ""
    return said_blind(opinion.action, letter_of(sides, opinion.candidate_id))
