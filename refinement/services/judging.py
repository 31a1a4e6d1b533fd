"""What a person's word on a pair becomes under the run's plan: a decision, or one of opinions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.models import Decision
from refinement.selectors import access
from refinement.services.decisions import record_decision
from refinement.services.opinions import give_opinion

if TYPE_CHECKING:
    from refinement.method.pairs import Pair
    from refinement.models import Candidate, Opinion, ReviewPlan, RunSample, User

Basis = Decision.Basis


def judge(
    *,
    run_sample: RunSample,
    user: User,
    plan: ReviewPlan,
    action: str,
    candidate: Candidate | None,
    edit: Pair | None,
    seen: int | None,
) -> Decision | Opinion:
    """Arguments as for ``record_decision``. Raises what the two services raise."""
    if plan.reviewers_per_pair > 1 and not may_settle(user, run_sample, plan):
        return give_opinion(
            run_sample=run_sample, user=user, action=action, candidate=candidate, edit=edit
        )
    return record_decision(
        run_sample=run_sample,
        user=user,
        action=action,
        candidate=candidate,
        edit=edit,
        seen=seen,
        basis=Basis.ADJUDICATION if plan.reviewers_per_pair > 1 else Basis.OWN,
    )


def may_settle(user: User, run_sample: RunSample, plan: ReviewPlan) -> bool:
    """Whether what ``user`` says decides: of an owner, once all opinions are in and differ."""
    if access.role_of(user, run_sample.run.project) != "owner":
        return False
    decision = run_sample.decision
    if decision is not None:
        return decision.basis != Basis.AGREEMENT
    return run_sample.opinions >= plan.reviewers_per_pair
