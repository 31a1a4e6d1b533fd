"""Who reads which pair: short leases, so that two reviewers get the same one only on purpose.

A lease is taken when a pair is given or opened, renewed while its page is open, and given back with
the decision. It bars nobody: who opens a pair by its address is told who else is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from refinement.models import ReviewLease, RunSample
from refinement.selectors.kept_statements import kept_statement
from refinement.selectors.queue import Show, next_pairs
from refinement.selectors.review_sharing import (
    leases_of,
    open_by_others,
    open_for,
    plan_of,
    taken,
)
from refinement.services import lease_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from refinement.models import ReviewPlan, Run, User
    from refinement.selectors.queue import QueueFilter

LEASES_A_PERSON = 3  # the pair on screen, the one fetched ahead, and one in another tab
_FRESH = timedelta(seconds=5)  # what was taken just now is not taken again
_BATCH = 64  # as many as may ask at the same moment: each finds one that is not locked
_ROUNDS = 50


def claim_next(
    *,
    run: Run,
    user: User,
    queue: QueueFilter,
    after: RunSample | None = None,
    ahead: bool = False,
) -> int | None:
    """The id of the next pair for ``user``, leased to them. ``None``: there is none.

    Of the undecided list it is a pair that nobody else has open; other lists are for looking
    through, and there leases bar nothing. What others have only fetched ahead is taken where
    nothing else is left, but not to be fetched ahead once more (``ahead``).
    """
    if queue.show is not Show.UNDECIDED:
        return next(iter(next_pairs(run, queue, after=after)), None)
    plan = plan_of(run)
    theirs = open_for(run, user, plan)
    for takes_ahead in (False,) if ahead else (False, True):
        claim = Claim(user, plan, ahead=ahead, takes_ahead=takes_ahead)
        for again in range(_ROUNDS):
            free = theirs
            if again:  # seldom are all of a lot held, and each is looked at when it is locked
                free &= ~Q(pk__in=taken(run, user, plan, ahead=not takes_ahead))
            found = next_pairs(run, queue, after=after, within=free, limit=_BATCH)
            claimed = claim.first_of(found)
            if claimed is not None:
                return claimed
            if not found:
                break
    return None


def hold(*, run_sample: RunSample, user: User) -> list[ReviewLease]:
    """Take or renew the lease of the pair on screen; the oldest ones of the person end.

    Returns who else has the pair open, by name.
    """
    return _hold(run_sample, user, leases_of(run_sample.pk))


def _hold(run_sample: RunSample, user: User, leases: list[ReviewLease]) -> list[ReviewLease]:
    mine = _lease_of(user, leases)
    if mine is None or mine.ahead or mine.expires_at <= _end() - _FRESH:
        _write(run_sample.run_id, run_sample.pk, user, ahead=False)
    return open_by_others(leases, user)


def _lease_of(user: User, leases: list[ReviewLease]) -> ReviewLease | None:
    return next((lease for lease in leases if lease.user_id == user.pk), None)


def _write(
    run_id: int, run_sample_id: int, user: User, *, ahead: bool, room_for: int | None = None
) -> bool:
    """Write the lease; the oldest ones of the person end. Whether there was room."""
    of = {"run_id": run_id, "run_sample_id": run_sample_id, "user_id": user.pk}
    with transaction.atomic(savepoint=False):
        others = lease_rows.put(**of, expires_at=_end(), ahead=ahead, room_for=room_for)
        if others is not None and others >= LEASES_A_PERSON:
            lease_rows.end_oldest(**of, left=LEASES_A_PERSON - 1)
    return others is not None


def take_up(
    *, run: Run, user: User, run_sample_id: int, queue: QueueFilter
) -> tuple[RunSample, list[ReviewLease]] | None:
    """The pair that was fetched ahead, now on screen, and who else has it open.

    ``None`` if it is no longer this person's.
    """
    pair = next(iter(_pair_of_run(run_sample_id, run.pk)), None)
    if pair is None:
        return None
    leases = leases_of(pair.pk)
    if queue.show is Show.UNDECIDED:
        mine = _lease_of(user, leases)
        if pair.decision_id is not None or mine is None or mine.expires_at <= timezone.now():
            return None
    pair.run = run  # as it is known already, with its project and plan
    return pair, _hold(pair, user, leases)


@kept_statement
def _pair_of_run(run_sample_id: int, run_id: int) -> QuerySet[RunSample]:
    return RunSample.objects.filter(pk=run_sample_id, run_id=run_id)


def release(*, run_sample: RunSample, user: User) -> None:
    """The person is done with the pair."""
    lease_rows.end(run_sample_id=run_sample.pk, user_id=user.pk)


def forget_expired() -> int:
    """Delete what ran out; how many."""
    return ReviewLease.objects.filter(expires_at__lt=timezone.now()).delete()[0]


@dataclass(frozen=True, slots=True)
class Claim:
    """How one person takes the first free pair of several."""

    user: User
    plan: ReviewPlan
    ahead: bool
    takes_ahead: bool

    def first_of(self, found: Sequence[int]) -> int | None:
        """The first of ``found`` that is still free, leased; ``None``: others took them all."""
        left = list(found)
        while left:
            with transaction.atomic():
                free = lease_rows.first_free(
                    left,
                    user_id=self.user.pk,
                    reviewers_per_pair=self.plan.reviewers_per_pair,
                    ahead_bars=not self.takes_ahead,
                )
                if free is None:
                    return None
                pair_id, opinions = free
                if self._take(pair_id, opinions):
                    return pair_id
            left = left[left.index(pair_id) + 1 :]
        return None

    def _take(self, pair_id: int, opinions: int) -> bool:
        """Lease the locked pair, unless others did just before.

        Who has it is counted by a later statement than the one that locked: on PostgreSQL only
        that one sees what was committed meanwhile.
        """
        if self.takes_ahead:
            lease_rows.end_ahead_of_others(run_sample_id=pair_id, user_id=self.user.pk)
        missing = self.plan.reviewers_per_pair - opinions
        return _write(self.plan.run_id, pair_id, self.user, ahead=self.ahead, room_for=missing)


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.REVIEW_LEASE_SECONDS)
