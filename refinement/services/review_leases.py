"""Who reads which pair: short leases, so that two reviewers get the same one only on purpose.

A lease is taken when a pair is given or opened, renewed while its page is open, and given back with
the decision. It bars nobody: who opens a pair by its address is told who else is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction
from django.db.models.expressions import RawSQL
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
    for takes_ahead in (False,) if ahead else (False, True):
        claim = Claim(user, plan, ahead=ahead, takes_ahead=takes_ahead)
        for _ in range(_ROUNDS):
            free = open_for(run, user, plan, ahead_bars=not takes_ahead)
            found = next_pairs(run, queue, after=after, within=free, limit=_BATCH)
            claimed = claim.first_of(found)
            if claimed is not None:
                return claimed
            if not found:
                break
    return None


def hold(*, run_sample: RunSample, user: User, ahead: bool = False) -> None:
    """Take or renew the lease of the pair on screen; the oldest ones of the person end."""
    mine = ReviewLease.objects.filter(run_id=run_sample.run_id, user=user)
    held = list(mine.order_by("-expires_at", "-id"))
    end = _end()
    known = next((lease for lease in held if lease.run_sample_id == run_sample.pk), None)
    if known is not None and known.ahead == ahead and known.expires_at > end - _FRESH:
        return
    lease = ReviewLease(
        run_id=run_sample.run_id, run_sample=run_sample, user=user, expires_at=end, ahead=ahead
    )
    others = [other.pk for other in held if other is not known]
    with transaction.atomic(savepoint=False):
        ReviewLease.objects.bulk_create(
            [lease],
            update_conflicts=True,
            unique_fields=["run_sample", "user"],
            update_fields=["expires_at", "ahead"],
        )
        if len(others) >= LEASES_A_PERSON:
            mine.filter(pk__in=others[LEASES_A_PERSON - 1 :]).delete()


def take_up(*, run: Run, user: User, run_sample_id: int, queue: QueueFilter) -> RunSample | None:
    """The pair that was fetched ahead, now on screen; ``None`` if it is no longer this person's."""
    pairs = RunSample.objects.filter(run=run, pk=run_sample_id)
    if queue.show is Show.UNDECIDED:
        mine = ReviewLease.objects.filter(user=user, expires_at__gt=timezone.now())
        pairs = pairs.filter(decision=None, review_leases__in=mine)
    pair = pairs.select_related("run__project").first()
    if pair is not None:
        hold(run_sample=pair, user=user)
    return pair


def release(*, run_sample: RunSample, user: User) -> None:
    """The person is done with the pair."""
    ReviewLease.objects.filter(run_sample=run_sample, user=user).delete()


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
        """The first of ``found`` that is still free, under its row's lock.

        The lock is passed over where another holds it, and the leases are read by a later
        statement than the one that locked: on PostgreSQL only that one sees what was committed
        meanwhile.
        """
        if not found:
            return None
        with transaction.atomic():
            free = _first_free(found)
            if free is None or self._held(free) >= self.plan.reviewers_per_pair - free.opinions:
                return None
            hold(run_sample=free, user=self.user, ahead=self.ahead)
            return free.pk

    def _held(self, pair: RunSample) -> int:
        """How many others have the pair; those who only fetched it lose it where it is taken."""
        others = ReviewLease.objects.filter(run_sample=pair).exclude(user=self.user)
        if self.takes_ahead:
            others.filter(ahead=True).delete()
        return others.filter(expires_at__gt=timezone.now()).count()


def _first_free(found: Sequence[int]) -> RunSample | None:
    """The first that nobody decided, locked. SQLite has one writer at a time, and that is this."""
    rows = RunSample.objects.filter(pk__in=found, decision=None)
    if connection.vendor == "postgresql":
        place = "array_position(%s::bigint[], refinement_runsample.id)"
        in_turn = rows.order_by(RawSQL(place, [list(found)]))  # noqa: S611 - constant
        return in_turn.select_for_update(skip_locked=True).first()
    free = set(rows.values_list("pk", flat=True))
    first = next((pk for pk in found if pk in free), None)
    return None if first is None else rows.get(pk=first)


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.REVIEW_LEASE_SECONDS)
