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
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from refinement.models import ReviewLease, RunSample
from refinement.selectors.queue import Show, next_pairs
from refinement.selectors.review_sharing import open_for, plan_of, taken, unheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from refinement.models import ReviewPlan, Run, User
    from refinement.selectors.queue import QueueFilter

LEASES_A_PERSON = 3  # the pair on screen, the one fetched ahead, and one in another tab
_LATEST = ("-expires_at", "-id")
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

    Returns who else has the pair open, as ``others_at``.
    """
    leases = _leases(run_sample.run_id, run_sample.pk, user).select_related("user")
    mine, others = _parted(leases, user)
    _hold(run_sample.run_id, run_sample.pk, user, mine, ahead=False)
    now = timezone.now()
    there = [lease for lease in others if lease.expires_at > now and not lease.ahead]
    return sorted(there, key=lambda lease: lease.user.username)


def _leases(run_id: int, run_sample_id: int, user: User) -> QuerySet[ReviewLease]:
    """Everybody's of the pair, and the person's of the run, the latest first."""
    mine = Q(run_id=run_id, user=user)
    return ReviewLease.objects.filter(Q(run_sample_id=run_sample_id) | mine).order_by(*_LATEST)


def _parted(
    leases: Iterable[ReviewLease], user: User
) -> tuple[list[ReviewLease], list[ReviewLease]]:
    """The person's, and those of others."""
    mine: list[ReviewLease] = []
    others: list[ReviewLease] = []
    for lease in leases:
        (mine if lease.user_id == user.pk else others).append(lease)
    return mine, others


def _hold(
    run_id: int, run_sample_id: int, user: User, mine: Sequence[ReviewLease], *, ahead: bool
) -> None:
    """The same, where the person's leases of the run are known, the latest first."""
    end = _end()
    known = next((lease for lease in mine if lease.run_sample_id == run_sample_id), None)
    if known is not None and known.ahead == ahead and known.expires_at > end - _FRESH:
        return
    lease = ReviewLease(
        run_id=run_id, run_sample_id=run_sample_id, user=user, expires_at=end, ahead=ahead
    )
    others = [other.pk for other in mine if other is not known]
    with transaction.atomic(savepoint=False):
        ReviewLease.objects.bulk_create(
            [lease],
            update_conflicts=True,
            unique_fields=["run_sample", "user"],
            update_fields=["expires_at", "ahead"],
        )
        if len(others) >= LEASES_A_PERSON:
            ReviewLease.objects.filter(pk__in=others[LEASES_A_PERSON - 1 :]).delete()


def take_up(
    *, run: Run, user: User, run_sample_id: int, queue: QueueFilter
) -> tuple[RunSample, list[ReviewLease]] | None:
    """The pair that was fetched ahead, now on screen, and who else has it open.

    ``None`` if it is no longer this person's.
    """
    pairs = RunSample.objects.filter(run=run, pk=run_sample_id)
    if queue.show is Show.UNDECIDED:
        mine = ReviewLease.objects.filter(user=user, expires_at__gt=timezone.now())
        pairs = pairs.filter(decision=None, review_leases__in=mine)
    pair = pairs.select_related("run__project").first()
    return None if pair is None else (pair, hold(run_sample=pair, user=user))


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
        """The first of ``found`` that is still free, leased; ``None``: others took them all."""
        left = list(found)
        while left:
            with transaction.atomic():
                free = self._first_free(left)
                if free is None:
                    return None
                pair_id, opinions = free
                if self._take(pair_id, opinions):
                    return pair_id
            left = left[left.index(pair_id) + 1 :]
        return None

    def _first_free(self, found: Sequence[int]) -> tuple[int, int] | None:
        """The first that nobody decided or holds, locked: its id and its number of opinions.

        What another has locked is passed over. SQLite has one writer at a time, and that is this.
        """
        free = unheld(self.user, self.plan, ahead_bars=not self.takes_ahead)
        rows = RunSample.objects.filter(free, pk__in=found, decision=None)
        values = rows.values_list("pk", "opinions")
        if connection.vendor == "postgresql":
            place = "array_position(%s::bigint[], refinement_runsample.id)"
            in_turn = values.order_by(RawSQL(place, [list(found)]))  # noqa: S611 - constant
            return in_turn.select_for_update(skip_locked=True, of=("self",)).first()
        opinions = dict(values)
        return next(((pk, opinions[pk]) for pk in found if pk in opinions), None)

    def _take(self, pair_id: int, opinions: int) -> bool:
        """Lease the locked pair, unless others did just before.

        The leases are read by a later statement than the one that locked: on PostgreSQL only that
        one sees what was committed meanwhile.
        """
        mine, others = _parted(_leases(self.plan.run_id, pair_id, self.user), self.user)
        if self._held(others) >= self.plan.reviewers_per_pair - opinions:
            return False
        _hold(self.plan.run_id, pair_id, self.user, mine, ahead=self.ahead)
        return True

    def _held(self, others: Sequence[ReviewLease]) -> int:
        """How many others have the pair; those who only fetched it lose it where it is taken."""
        lost = [lease.pk for lease in others if self.takes_ahead and lease.ahead]
        if lost:
            ReviewLease.objects.filter(pk__in=lost).delete()
        now = timezone.now()
        return sum(lease.expires_at > now and lease.pk not in lost for lease in others)


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.REVIEW_LEASE_SECONDS)
