"""How a run's pairs are shared: reviewers a pair, blind or not, the seed of the shuffle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Opinion, ReviewPlan
from refinement.models.review_plan import MOST_REVIEWERS
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import Run, User


def set_plan(*, run: Run, reviewers_per_pair: int, blind: bool, seed: int, by: User) -> ReviewPlan:
    """Make or change the plan; what people said already stays.

    Raises ServiceError for a number out of range, and where fewer reviewers a pair would leave
    opinions behind that nobody settled.
    """
    if not 1 <= reviewers_per_pair <= MOST_REVIEWERS:
        raise ServiceError(
            gettext("A pair can go to 1 to %(most_reviewers)s reviewers.")
            % {"most_reviewers": MOST_REVIEWERS}
        )
    if not 0 <= seed < 2**31:
        raise ServiceError(gettext("The seed is a whole number from 0 to 2147483647."))
    open_ = Opinion.objects.filter(run_sample__run=run, run_sample__decision=None, is_current=True)
    if reviewers_per_pair == 1 and open_.exists():
        raise ServiceError(
            gettext(
                "Some pairs have opinions and no decision yet: settle them first, then let one "
                "reviewer decide each pair."
            )
        )
    changes = {"reviewers_per_pair": reviewers_per_pair, "blind": blind, "seed": seed}
    with transaction.atomic():
        plan, _ = ReviewPlan.objects.update_or_create(
            run=run, defaults={**changes, "changed_by": by}
        )
        audit.record("run.plan_changed", run, user=by, **changes)
    return plan
