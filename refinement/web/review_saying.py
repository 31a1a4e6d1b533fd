"""What a posted decision becomes: a decision, or one opinion of several; and how it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext

from refinement.models import Decision, Opinion
from refinement.selectors.blind import letter_of
from refinement.services.judging import judge
from refinement.templatetags.refinement_ui import mid_sentence
from refinement.web.review_blind import said_blind
from refinement.web.review_happened import Toast

if TYPE_CHECKING:
    from refinement.models import Candidate, ReviewPlan, RunSample, User
    from refinement.selectors.review import Version

Action = Decision.Action


def say(
    *,
    run_sample: RunSample,
    user: User,
    plan: ReviewPlan,
    data: dict[str, Any],
    sides: dict[str, Version] | None,
) -> Toast:
    """Write it and say so. Raises what the services raise."""
    edited = run_sample.pk if data["action"] == Action.EDIT else 0
    number = run_sample.position + 1
    said = judge(
        run_sample=run_sample,
        user=user,
        plan=plan,
        action=data["action"],
        candidate=data["candidate"],
        edit=data["edit"],
        seen=data["seen"],
    )
    words = words_of(said.action, said.candidate, sides)
    if isinstance(said, Opinion):
        text = gettext("Your opinion on pair %(number)s: %(words)s.")
        text %= {"number": number, "words": words}
        return Toast(text, edited=edited, opinion=run_sample.pk)
    text = gettext("%(words)s: pair %(number)s.")
    text %= {"words": words[0].upper() + words[1:], "number": number}
    return Toast(text, undo=said.pk, edited=edited)


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
