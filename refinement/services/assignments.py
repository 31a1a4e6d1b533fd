"""Giving pairs to people: chosen ones, or all that are undecided, evenly."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Assignment
from refinement.selectors.review_sharing import reviewers_of
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refinement.models import Run, User

_BATCH = 2_000


def assign(*, run: Run, pairs: Iterable[int], user: User, by: User) -> None:
    """Give the pairs (ids of RunSamples of ``run``) to a person; what they have already stays.

    Raises ServiceError for a person who may not decide in the project.
    """
    _refuse_strangers(run, [user])
    chosen = set(pairs)
    rows = (Assignment(run=run, run_sample_id=pk, user=user, assigned_by=by) for pk in chosen)
    with transaction.atomic():
        _insert(rows)
        audit.record("run.assigned", run, user=by, to=[user.get_username()], pairs=len(chosen))


def distribute(*, run: Run, people: Sequence[User], reviewers_per_pair: int, by: User) -> int:
    """Give every undecided pair without an assignment to ``reviewers_per_pair`` of ``people``.

    The shares differ by one pair at most. Who shares pairs with whom is shuffled by the run, so
    that agreement is measured between all of them. Returns the number of pairs.
    """
    if len(people) < reviewers_per_pair:
        raise ServiceError(
            gettext(
                "Each pair goes to %(reviewers_per_pair)s reviewers: choose at least so many "
                "people."
            )
            % {"reviewers_per_pair": reviewers_per_pair}
        )
    _refuse_strangers(run, people)
    free = run.run_samples.filter(decision=None, assignments=None)
    pairs = list(free.order_by("position").values_list("pk", flat=True))
    rows = (
        Assignment(run=run, run_sample_id=pk, user=person, assigned_by=by)
        for pk, group in zip(pairs, _groups(people, reviewers_per_pair, run.pk), strict=False)
        for person in group
    )
    names = [person.get_username() for person in people]
    with transaction.atomic():
        _insert(rows)
        audit.record("run.assigned", run, user=by, to=names, pairs=len(pairs))
    return len(pairs)


def unassign(*, run: Run, user: User, by: User) -> int:
    """Take back what a person has not decided; how many pairs."""
    theirs = Assignment.objects.filter(run=run, user=user, run_sample__decision=None)
    with transaction.atomic():
        freed = theirs.delete()[0]
        audit.record("run.unassigned", run, user=by, of=user.get_username(), pairs=freed)
    return freed


def _groups(people: Sequence[User], size: int, seed: int) -> Iterator[list[User]]:
    """Groups of ``size`` different people, without end; each comes once in every deck."""
    shuffled = random.Random(seed)  # noqa: S311 - nothing to guess
    deck: list[User] = []
    while True:
        group: list[User] = []
        while len(group) < size:
            if not deck:
                deck = list(people)
                shuffled.shuffle(deck)
                # Who is in the group already goes to the back, so that none comes twice.
                deck.sort(key=lambda person: person in group)
            group.append(deck.pop(0))
        yield group


def _insert(rows: Iterator[Assignment]) -> None:
    while batch := list(islice(rows, _BATCH)):
        Assignment.objects.bulk_create(batch, ignore_conflicts=True)


def _refuse_strangers(run: Run, people: Sequence[User]) -> None:
    able = {person.pk for person in reviewers_of(run.project)}
    for person in people:
        if person.pk not in able:
            raise ServiceError(
                gettext("%(person)s may not decide in this project: make them a reviewer first.")
                % {"person": person}
            )
