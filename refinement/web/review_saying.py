"""What a posted decision becomes: a decision, or one opinion of several; and how it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext

from refinement.models import Decision
from refinement.selectors import access
from refinement.services.decisions import record_decision
from refinement.services.opinions import give_opinion
from refinement.templatetags.refinement_ui import mid_sentence
from refinement.web.review_blind import letter_of, said_blind
from refinement.web.review_happened import Toast

if TYPE_CHECKING:
    from refinement.models import Candidate, ReviewPlan, RunSample, User
    from refinement.selectors.review import Version

Action, Basis = Decision.Action, Decision.Basis


def say(
    *,
    run_sample: RunSample,
    user: User,
    plan: ReviewPlan,
    data: dict[str, Any],
    sides: dict[str, Version] | None,
) -> Toast:
    """Write it and say so. Raises what the services raise."""
    what = {
        "run_sample": run_sample,
        "user": user,
        "action": data["action"],
        "candidate": data["candidate"],
        "edit": data["edit"],
    }
    edited = run_sample.pk if data["action"] == Action.EDIT else 0
    number = run_sample.position + 1
    if plan.reviewers_per_pair > 1 and not may_settle(user, run_sample, plan):
        opinion = give_opinion(**what)
        words = words_of(opinion.action, opinion.candidate, sides)
        text = gettext("Your opinion on pair %(number)s: %(words)s.")
        text %= {"number": number, "words": words}
        return Toast(text, edited=edited, opinion=run_sample.pk)
    settles = plan.reviewers_per_pair > 1
    basis = Basis.ADJUDICATION if settles else Basis.OWN
    decision = record_decision(**what, seen=data["seen"], basis=basis)
    words = words_of(decision.action, decision.candidate, sides)
    text = gettext("%(words)s: pair %(number)s.")
    text %= {"words": words[0].upper() + words[1:], "number": number}
    return Toast(text, undo=decision.pk, edited=edited)


def may_settle(user: User, run_sample: RunSample, plan: ReviewPlan) -> bool:
    """Whether what ``user`` says decides: of an owner, once all opinions are in and differ."""
    if access.role_of(user, run_sample.run.project) != "owner":
        return False
    decision = run_sample.decision
    if decision is not None:
        return decision.basis != Basis.AGREEMENT
    return run_sample.opinions >= plan.reviewers_per_pair


def words_of(
    action: str, candidate: Candidate | None, sides: dict[str, Version] | None = None
) -> str:
    """A decision in words: "took the response rewrite", or with ``sides`` "chose B"."""
    if sides is not None:
        return said_blind(action, letter_of(sides, candidate.pk if candidate else None))
    if action == Action.CANDIDATE:
        taken = candidate.get_kind_display() if candidate else gettext("candidate")
        return gettext("took the %(candidate)s") % {"candidate": mid_sentence(taken)}
    return {
        Action.ACCEPT: gettext("accepted the verdict"),
        Action.ORIGINAL: gettext("kept the original"),
        Action.EDIT: gettext("edited"),
        Action.DROP: gettext("dropped"),
    }.get(Action(action), gettext("decided"))
