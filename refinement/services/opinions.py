"""Several people at one pair: each says what they think alone; agreement becomes the decision.

Under a plan with more than one reviewer a pair, what people say is an ``Opinion`` and exports
nothing. When the last of them has spoken and all lead to the same text, a ``Decision`` is written
on the basis of agreement. Where they differ the pair is disputed until an owner settles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Candidate, Decision, Opinion, RunSample
from refinement.selectors.opinions import current_opinions, outcome_of
from refinement.selectors.review_sharing import plan_of
from refinement.services import audit
from refinement.services.decision_rows import lock, point
from refinement.services.decisions import check_action, target
from refinement.services.errors import ServiceError
from refinement.services.review_leases import release

if TYPE_CHECKING:
    from refinement.method.pairs import Pair
    from refinement.models import ReviewPlan, User

Basis = Decision.Basis


def give_opinion(
    *,
    run_sample: RunSample,
    user: User,
    action: str,
    candidate: Candidate | None = None,
    edit: Pair | None = None,
) -> Opinion:
    """Write what ``user`` thinks of a pair; arguments as for ``record_decision``.

    Who thinks again replaces their earlier opinion. Raises ServiceError when an owner has settled
    the pair, when enough others have judged it, or when the action does not fit it.
    """
    check_action(action)
    with transaction.atomic():
        locked = lock(run_sample)
        plan = plan_of(locked.run)
        _refuse_settled(locked)
        mine = locked.opinion_rows.filter(user=user, is_current=True).first()
        if mine is None and locked.opinions >= plan.reviewers_per_pair:
            raise ServiceError(
                gettext(
                    "Enough others have judged this pair meanwhile; your opinion is not needed. "
                    "Go on to the next one."
                )
            )
        if mine is not None:
            if _repeats(mine, action, candidate, edit):
                return mine
            _end(mine)
        opinion = Opinion.objects.create(
            run_sample=locked,
            user=user,
            action=action,
            candidate=target(locked, user, action, candidate, edit),
        )
        _conclude(locked, user, plan)
        release(run_sample=locked, user=user)
        audit.record("pair.judged", run_sample, user=user, action=action)
    return opinion


def withdraw_opinion(*, run_sample: RunSample, user: User) -> None:
    """Take back one's opinion; a decision that rested on it no longer counts."""
    with transaction.atomic():
        locked = lock(run_sample)
        _refuse_settled(locked)
        mine = locked.opinion_rows.filter(user=user, is_current=True).first()
        if mine is None:
            raise ServiceError(
                gettext("There is nothing to take back: you have no opinion on this pair.")
            )
        _end(mine)
        _conclude(locked, user, plan_of(locked.run))
        audit.record("pair.opinion_withdrawn", run_sample, user=user)


def _refuse_settled(run_sample: RunSample) -> None:
    decision = run_sample.decision
    if decision is not None and decision.basis != Basis.AGREEMENT:
        raise ServiceError(
            gettext(
                "%(user)s has settled this pair; opinions on it are closed. Ask an owner of "
                "the project to undo the decision first."
            )
            % {"user": decision.user}
        )


def _repeats(mine: Opinion, action: str, candidate: Candidate | None, edit: Pair | None) -> bool:
    """Whether this very opinion was sent before (a double click)."""
    if mine.action != action:
        return False
    if edit is not None and mine.candidate is not None:
        texts = (mine.candidate.instruction, mine.candidate.input, mine.candidate.response)
        return texts == (edit.instruction, edit.input, edit.response)
    return action != Decision.Action.CANDIDATE or mine.candidate == candidate


def _end(opinion: Opinion) -> None:
    opinion.is_current = False
    opinion.save(update_fields=["is_current"])


def _conclude(run_sample: RunSample, user: User, plan: ReviewPlan) -> None:
    """Count the opinions again; write or take back the decision that follows from them."""
    opinions = current_opinions(run_sample)
    RunSample.objects.filter(pk=run_sample.pk).update(opinions=len(opinions))
    agreed = len(opinions) >= plan.reviewers_per_pair and (
        len({outcome_of(opinion, run_sample) for opinion in opinions}) == 1
    )
    if run_sample.decision is not None:  # by agreement: it stands or falls with the opinions
        _take_back(run_sample, user, run_sample.decision)
    if agreed:
        _decide(run_sample, opinions[-1])


def _take_back(run_sample: RunSample, user: User, undone: Decision) -> None:
    Decision.objects.create(
        run_sample=run_sample,
        run_id=run_sample.run_id,
        user=user,
        action=Decision.Action.UNDO,
        previous=undone,
        undoes=undone,
        basis=Basis.AGREEMENT,
    )
    point(run_sample, undone.previous)
    run_sample.decision = undone.previous


def _decide(run_sample: RunSample, last: Opinion) -> None:
    decision = Decision.objects.create(
        run_sample=run_sample,
        run_id=run_sample.run_id,
        user=last.user,
        action=last.action,
        candidate=last.candidate,
        previous=run_sample.decision,
        basis=Basis.AGREEMENT,
    )
    point(run_sample, decision)
