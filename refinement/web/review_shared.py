"""What a page of the room says of colleagues: who is there, who said what, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.selectors.blind import is_blind, letter_of, sides_of, visible_opinions
from refinement.selectors.opinions import current_opinions, last_opinion, outcome_of
from refinement.web.review_blind import said_blind

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
    visible = visible_opinions(pair, user, role, plan) if several else []
    sides = sides_of(view, plan) if is_blind(plan, pair) else None
    return {
        "plan": plan,
        "several": several,
        "opinions": [Said(o, _words(o, sides), o.user_id == user.pk) for o in visible],
        "opinions_given": len(given),
        "opinions_hidden": len(given) - len(visible),
        "disputed": complete
        and pair.decision_id is None
        and len({outcome_of(opinion, pair) for opinion in given}) > 1,
        "settles": several and complete and owner and pair.decision_id is None,
        "last_opinion": last_opinion(pair.run, user) if several and may_decide else None,
    }


def _words(opinion: Opinion, sides: dict[str, Any] | None) -> str:
    if sides is None:
        if opinion.candidate and opinion.action == "candidate":
            return opinion.candidate.get_kind_display().lower()
        return ""
    return said_blind(opinion.action, letter_of(sides, opinion.candidate_id))
