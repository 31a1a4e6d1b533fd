"""What several reviewers said of pairs: one by one, disputed, and by person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Count, F, Max, Q

from refinement.models import Assignment, Decision, Opinion, RunSample
from refinement.selectors.review_sharing import plan_of, reviewers_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from refinement.models import Run, User

Action = Decision.Action
# Where a judgement leads: "original", "dropped", a rewrite's id, or a person's own words.
Outcome = tuple[str, ...]


def current_opinions(run_sample: RunSample) -> list[Opinion]:
    """One a person, in the order in which they were given."""
    return list(run_sample.opinion_rows.filter(is_current=True).select_related("user", "candidate"))


def outcome_of(said: Opinion | Decision, run_sample: RunSample) -> Outcome:
    """What would be exported. Accepting a verdict is the same as naming what it chose."""
    match said.action:
        case Action.DROP:
            return ("dropped",)
        case Action.ORIGINAL:
            return ("original",)
        case Action.ACCEPT:
            return _verdict_outcome(run_sample)
    candidate = said.candidate
    if candidate is None:
        return ("original",)
    if said.action == Action.EDIT:
        return ("edit", candidate.instruction, candidate.input, candidate.response)
    return ("candidate", str(candidate.pk))


def _verdict_outcome(run_sample: RunSample) -> Outcome:
    try:
        verdict = run_sample.verdict
    except ObjectDoesNotExist:
        return ("dropped",)
    if not verdict.kept:
        return ("dropped",)
    return ("candidate", str(verdict.chosen_id)) if verdict.chosen_id else ("original",)


def opinion_by(run_sample: RunSample, user: User) -> Opinion | None:
    return run_sample.opinion_rows.filter(user=user, is_current=True).first()


def disputed(run: Run) -> QuerySet[RunSample]:
    """Pairs with all their opinions and no decision: the people differ. In file order."""
    needed = plan_of(run).reviewers_per_pair
    if needed == 1:
        return run.run_samples.none()
    return run.run_samples.filter(decision=None, opinions__gte=needed).order_by("position")


def last_opinion(run: Run, user: User) -> Opinion | None:
    """What "undo" takes back: the person's latest opinion that nobody has settled."""
    return (
        Opinion.objects.filter(user=user, run_sample__run=run, is_current=True)
        .filter(
            Q(run_sample__decision=None) | Q(run_sample__decision__basis=Decision.Basis.AGREEMENT)
        )
        .select_related("run_sample")
        .order_by("-id")
        .first()
    )


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One reviewer in a run. Counts are of pairs."""

    user: User
    assigned: int
    left: int  # of the assigned, those that they still have to say something of
    judged: int  # pairs on which a word of theirs stands
    last_at: datetime | None


def progress_of(run: Run) -> list[PersonProgress]:
    """Everybody who may decide, and what they did: six queries, however many people."""
    open_ = Assignment.objects.filter(run=run, run_sample__decision=None)
    said = Q(run_sample__opinion_rows__user=F("user"), run_sample__opinion_rows__is_current=True)
    assigned = _pairs_of(Assignment.objects.filter(run=run))
    unsettled, said_already = _pairs_of(open_), _pairs_of(open_.filter(said))
    words = (
        Opinion.objects.filter(run_sample__run=run, is_current=True)
        if plan_of(run).reviewers_per_pair > 1
        else Decision.objects.filter(run=run, undone_by=None).exclude(action=Action.UNDO)
    )
    judged = {
        row["user"]: row
        for row in words.values("user")
        .annotate(pairs=Count("run_sample", distinct=True), last=Max("created_at"))
        .order_by()
    }
    return [
        PersonProgress(
            user=user,
            assigned=assigned.get(user.pk, 0),
            left=unsettled.get(user.pk, 0) - said_already.get(user.pk, 0),
            judged=judged[user.pk]["pairs"] if user.pk in judged else 0,
            last_at=judged[user.pk]["last"] if user.pk in judged else None,
        )
        for user in reviewers_of(run.project)
    ]


def _pairs_of(rows: QuerySet[Assignment]) -> dict[int, int]:
    """How many of ``rows`` each person has, by the person's id."""
    return dict(rows.values("user").annotate(n=Count("pk")).values_list("user", "n"))
