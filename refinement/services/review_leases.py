"""Who reads which pair: short leases, so that two reviewers get the same one only on purpose.

A lease is taken when a pair is given or opened, renewed while its page is open, and given back with
the decision. It bars nobody: who opens a pair by its address is told who else is there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from refinement.models import ReviewLease, RunSample
from refinement.selectors.queue import Show, next_pairs
from refinement.selectors.review_sharing import open_for, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refinement.models import ReviewPlan, Run, User
    from refinement.selectors.queue import QueueFilter

LEASES_A_PERSON = 3  # the pair on screen, the one fetched ahead, and one in another tab
_BATCH = 64  # as many as may ask at the same moment: each finds one that is not locked
_ROUNDS = 50


def claim_next(
    *, run: Run, user: User, queue: QueueFilter, after: RunSample | None = None
) -> int | None:
    """The id of the next pair for ``user``, leased to them. ``None``: there is none.

    Of the undecided list it is a pair that nobody else has open; other lists are for looking
    through, and there leases bar nothing.
    """
    if queue.show is not Show.UNDECIDED:
        return next(iter(next_pairs(run, queue, after=after)), None)
    plan = plan_of(run)
    for _ in range(_ROUNDS):
        found = next_pairs(run, queue, after=after, within=open_for(run, user, plan), limit=_BATCH)
        if not found:
            return None
        claimed = _claim_one(found, user, plan)
        if claimed is not None:
            return claimed
    return None


def hold(*, run_sample: RunSample, user: User) -> None:
    """Take or renew the lease of the pair on screen; the oldest ones of the person end."""
    lease = ReviewLease(
        run_id=run_sample.run_id, run_sample=run_sample, user=user, expires_at=_end()
    )
    ReviewLease.objects.bulk_create(
        [lease],
        update_conflicts=True,
        unique_fields=["run_sample", "user"],
        update_fields=["expires_at"],
    )
    mine = ReviewLease.objects.filter(run_id=run_sample.run_id, user=user)
    held = list(mine.order_by("-expires_at", "-id").values_list("pk", flat=True))
    if len(held) > LEASES_A_PERSON:
        mine.filter(pk__in=held[LEASES_A_PERSON:]).delete()


def release(*, run_sample: RunSample, user: User) -> None:
    """The person is done with the pair."""
    ReviewLease.objects.filter(run_sample=run_sample, user=user).delete()


def forget_expired() -> int:
    """Delete what ran out; how many."""
    return ReviewLease.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def _claim_one(found: Sequence[int], user: User, plan: ReviewPlan) -> int | None:
    """The first of ``found`` that is still free, under its row's lock.

    The lock is passed over where another holds it, and the leases are read by a later statement
    than the one that locked: on PostgreSQL only that one sees what was committed meanwhile.
    """
    order = Case(*(When(pk=pk, then=Value(place)) for place, pk in enumerate(found)))
    with transaction.atomic():
        free = (
            RunSample.objects.select_for_update(skip_locked=True)
            .filter(pk__in=found, decision=None)
            .order_by(order)
            .first()
        )
        if free is None:
            return None
        held = (
            ReviewLease.objects.filter(run_sample=free, expires_at__gt=timezone.now())
            .exclude(user=user)
            .count()
        )
        if held >= plan.reviewers_per_pair - free.opinions:
            return None
        hold(run_sample=free, user=user)
        return free.pk


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.REVIEW_LEASE_SECONDS)
