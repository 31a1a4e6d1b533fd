"""How the people of a run share its pairs: the plan, who has what open, what is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone

from refinement.models import Assignment, Membership, Opinion, ReviewLease, ReviewPlan, User
from refinement.selectors.kept_statements import kept_statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from refinement.models import Project, Run, RunSample


def plan_of(run: Run) -> ReviewPlan:
    """The plan of a run; where nobody made one, an unsaved one with the defaults."""
    try:
        return run.review_plan  # read with the run, or read now
    except ReviewPlan.DoesNotExist:
        return ReviewPlan(run_id=run.pk)


def reviewers_of(project: Project) -> list[User]:
    """Who may decide in a project, by name."""
    return list(_reviewers(project.pk))


def reviewer_names(project: Project) -> list[str]:
    return _names(project.pk)


@kept_statement
def _names(project_id: int) -> QuerySet[User, str]:
    return _reviewers(project_id).values_list("username", flat=True)


def _reviewers(project_id: int) -> QuerySet[User]:
    roles = [Membership.Role.OWNER, Membership.Role.REVIEWER]
    able = User.objects.filter(memberships__project_id=project_id, memberships__role__in=roles)
    return able.order_by("username")


def open_for(run: Run, user: User, plan: ReviewPlan) -> Q:
    """The condition on pairs that "next" may give to a person, of those nobody decided or holds.

    Not those assigned to others, and where several review a pair not those that the person has
    judged or that have all their opinions.
    """
    fits = Q()
    if _assigned(run.pk):
        assigned = Assignment.objects.filter(run_sample=OuterRef("pk"))
        fits &= Q(Exists(assigned.filter(user=user))) | Q(~Exists(assigned))
    if plan.reviewers_per_pair > 1:
        said = Opinion.objects.filter(run_sample=OuterRef("pk"), user=user, is_current=True)
        fits &= Q(~Exists(said), opinions__lt=plan.reviewers_per_pair)
    return fits


@kept_statement
def _assigned(run_id: int) -> QuerySet[Assignment, int]:
    return Assignment.objects.filter(run_id=run_id).values_list("pk", flat=True)[:1]


def taken(run: Run, user: User, plan: ReviewPlan, *, ahead: bool) -> list[int]:
    """Pairs that as many others have open (``ahead``: or fetched ahead) as opinions are missing."""
    leases = ReviewLease.objects.filter(run=run, expires_at__gt=timezone.now()).exclude(user=user)
    held = (
        (leases if ahead else leases.filter(ahead=False))
        .values("run_sample_id")
        .annotate(holders=Count("id"), given=F("run_sample__opinions"))
        .filter(holders__gte=plan.reviewers_per_pair - F("run_sample__opinions"))
    )
    return [row["run_sample_id"] for row in held]


def others_at(run_sample: RunSample, user: User) -> list[ReviewLease]:
    """Who else has the pair open now, by name."""
    return open_by_others(leases_of(run_sample.pk), user)


def open_by_others(leases: Iterable[ReviewLease], user: User) -> list[ReviewLease]:
    """Those of a pair's leases that run and are for a pair on screen, not another's or ahead."""
    now = timezone.now()
    others = [
        lease
        for lease in leases
        if lease.user_id != user.pk and lease.expires_at > now and not lease.ahead
    ]
    return sorted(others, key=lambda lease: lease.user.username)


@kept_statement
def leases_of(run_sample_id: int) -> QuerySet[ReviewLease]:
    """All of a pair's leases, with their people."""
    return ReviewLease.objects.filter(run_sample_id=run_sample_id).select_related("user")


def held_by_others(run: Run, user: User) -> int:
    """How many pairs of a run others have open now."""
    return (
        ReviewLease.objects.filter(run=run, expires_at__gt=timezone.now(), ahead=False)
        .exclude(user=user)
        .values("run_sample_id")
        .distinct()
        .count()
    )
