"""Leases of pairs: short, renewable, and never two people at one pair by chance."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from refinement.models import Membership, ReviewLease, ReviewPlan, User
from refinement.selectors.queue import QueueFilter, Show
from refinement.selectors.review_sharing import others_at
from refinement.services import review_leases
from refinement.services.assignments import assign
from refinement.services.decisions import record_decision
from refinement.services.review_leases import (
    LEASES_A_PERSON,
    claim_next,
    forget_expired,
    hold,
    release,
    take_up,
)
from tests.review_room import Room, make_room

QUEUE = QueueFilter()


def room_of(pairs: int) -> Room:
    room = make_room()
    for _ in range(pairs):
        room.add()
    return room


def reviewers(room: Room, count: int) -> list[User]:
    people = [User.objects.create_user(f"r{n}-{room.run.pk}") for n in range(count)]
    for user in people:
        Membership.objects.create(project=room.project, user=user, role="reviewer")
    return people


@pytest.mark.django_db
class TestClaims:
    def test_two_people_get_different_pairs(self) -> None:
        room = room_of(3)
        first = claim_next(run=room.run, user=room.reviewer, queue=QUEUE)
        second = claim_next(run=room.run, user=room.owner, queue=QUEUE)
        assert [first, second] == [pair.pk for pair in room.pairs[:2]]

    def test_a_whole_lot_that_others_hold_is_passed_over(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(review_leases, "_BATCH", 2)
        room = room_of(4)
        for pair in room.pairs[:3]:
            hold(run_sample=pair, user=room.owner)
        assert claim_next(run=room.run, user=room.reviewer, queue=QUEUE) == room.pairs[3].pk

    def test_asking_again_gives_the_same_pair(self) -> None:
        room = room_of(2)
        got = [claim_next(run=room.run, user=room.reviewer, queue=QUEUE) for _ in range(2)]
        assert got == [room.pairs[0].pk] * 2
        assert ReviewLease.objects.count() == 1

    def test_a_lease_that_ran_out_frees_the_pair(self) -> None:
        room = room_of(1)
        claim_next(run=room.run, user=room.reviewer, queue=QUEUE)
        assert claim_next(run=room.run, user=room.owner, queue=QUEUE) is None
        ReviewLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert claim_next(run=room.run, user=room.owner, queue=QUEUE) == room.pairs[0].pk
        assert forget_expired() == 1

    def test_holding_renews_and_releasing_frees(self) -> None:
        room = room_of(1)
        claim_next(run=room.run, user=room.reviewer, queue=QUEUE)
        soon = timezone.now() + timedelta(seconds=1)
        ReviewLease.objects.update(expires_at=soon)
        hold(run_sample=room.pairs[0], user=room.reviewer)
        assert ReviewLease.objects.get().expires_at > soon
        assert [x.user for x in others_at(room.pairs[0], room.owner)] == [room.reviewer]
        assert others_at(room.pairs[0], room.reviewer) == []
        release(run_sample=room.pairs[0], user=room.reviewer)
        assert claim_next(run=room.run, user=room.owner, queue=QUEUE) == room.pairs[0].pk

    def test_a_person_keeps_only_the_latest_leases(self) -> None:
        room = room_of(LEASES_A_PERSON + 2)
        for pair in room.pairs:
            hold(run_sample=pair, user=room.reviewer)
        held = ReviewLease.objects.filter(user=room.reviewer).values_list("run_sample", flat=True)
        assert sorted(held) == [pair.pk for pair in room.pairs[-LEASES_A_PERSON:]]

    def test_what_is_fetched_ahead_is_given_to_others_last(self) -> None:
        room = room_of(3)
        first, second, third = (pair.pk for pair in room.pairs)
        mine = {"run": room.run, "user": room.reviewer, "queue": QUEUE}
        theirs = {"run": room.run, "user": room.owner, "queue": QUEUE}
        assert claim_next(**mine) == first
        assert claim_next(**mine, after=room.pairs[0], ahead=True) == second
        assert claim_next(**theirs) == third
        assert claim_next(**theirs, after=room.pairs[2], ahead=True) is None
        assert others_at(room.pairs[1], room.owner) == []
        assert claim_next(**theirs, after=room.pairs[2]) == second
        assert not ReviewLease.objects.filter(user=room.reviewer, ahead=True).exists()

    def test_a_pair_fetched_ahead_is_taken_up_only_by_whom_it_is_kept_for(self) -> None:
        room = room_of(2)
        mine = {"run": room.run, "user": room.reviewer, "queue": QUEUE}
        pk = claim_next(**mine, after=room.pairs[0], ahead=True)
        assert pk == room.pairs[1].pk
        assert take_up(run=room.run, user=room.owner, run_sample_id=pk, queue=QUEUE) is None
        assert take_up(**mine, run_sample_id=pk) == (room.pairs[1], [])
        assert [x.user for x in others_at(room.pairs[1], room.owner)] == [room.reviewer]
        ReviewLease.objects.update(expires_at=timezone.now())
        assert take_up(**mine, run_sample_id=pk) is None
        hold(run_sample=room.pairs[1], user=room.reviewer)
        record_decision(run_sample=room.pairs[1], user=room.owner, action="drop")
        assert take_up(**mine, run_sample_id=pk) is None
        assert take_up(**mine | {"queue": QueueFilter(show=Show.ALL)}, run_sample_id=pk)

    def test_other_lists_are_for_looking_through(self) -> None:
        room = room_of(1)
        hold(run_sample=room.pairs[0], user=room.reviewer)
        found = claim_next(run=room.run, user=room.owner, queue=QueueFilter(show=Show.ALL))
        assert found == room.pairs[0].pk

    def test_what_is_assigned_goes_to_nobody_else(self) -> None:
        room = room_of(2)
        assign(run=room.run, pairs=[room.pairs[0].pk], user=room.reviewer, by=room.owner)
        assert claim_next(run=room.run, user=room.owner, queue=QUEUE) == room.pairs[1].pk
        assert claim_next(run=room.run, user=room.reviewer, queue=QUEUE) == room.pairs[0].pk

    def test_with_an_overlap_as_many_read_a_pair_at_once(self) -> None:
        room = room_of(1)
        ReviewPlan.objects.create(run=room.run, reviewers_per_pair=2)
        people = reviewers(room, 3)
        got = [claim_next(run=room.run, user=person, queue=QUEUE) for person in people]
        assert got == [room.pairs[0].pk, room.pairs[0].pk, None]


@pytest.mark.django_db(transaction=True)
def test_fifty_reviewers_at_once_never_get_the_same_pair() -> None:
    """Threads, each with a connection of its own: on PostgreSQL they truly meet."""
    count, rounds = (50, 2) if connection.vendor == "postgresql" else (8, 2)
    room = room_of(count * rounds)
    people = reviewers(room, count)
    start = threading.Barrier(count)
    given: list[int] = []
    troubles: list[BaseException] = []

    def review(user: User) -> None:
        try:
            start.wait()
            for _ in range(rounds):
                pk = claim_next(run=room.run, user=user, queue=QUEUE)
                assert pk is not None
                given.append(pk)
                pair = next(pair for pair in room.pairs if pair.pk == pk)
                record_decision(run_sample=pair, user=user, action="original", seen=0)
        except BaseException as trouble:  # noqa: BLE001 - told to the test
            troubles.append(trouble)
        finally:
            connection.close()

    threads = [threading.Thread(target=review, args=[user]) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len(given) == count * rounds
    assert [pk for pk, times in Counter(given).items() if times > 1] == []


_CLAIMS = """
import sys, django
django.setup()
from refinement.models import Run, User
from refinement.selectors.queue import QueueFilter
from refinement.services.review_leases import claim_next
run, queue = Run.objects.get(pk=sys.argv[1]), QueueFilter()
sys.stdin.readline()
for name in sys.argv[2:]:
    print(claim_next(run=run, user=User.objects.get(username=name), queue=queue))
"""


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_processes_never_give_the_same_pair(database_url: str) -> None:
    room = room_of(20)
    people = reviewers(room, 20)
    env = os.environ | {"DATABASE_URL": database_url}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMS, str(room.run.pk), *(p.username for p in part)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for part in (people[:10], people[10:])
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    given = [line for process in processes for line in process.communicate()[0].split()]
    assert all(process.returncode == 0 for process in processes)
    assert len(set(given)) == len(given) == 20
