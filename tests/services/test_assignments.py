"""Assignments: evenly, to those who may decide, and never twice."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from refinement.models import Assignment, Membership, User
from refinement.services.assignments import assign, distribute, unassign
from refinement.services.decisions import record_decision
from refinement.services.errors import ServiceError
from tests.review_room import Room, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    room = make_room()
    for _ in range(7):
        room.add()
    return room


@pytest.fixture
def people(room: Room) -> list[User]:
    third = User.objects.create_user("third")
    Membership.objects.create(project=room.project, user=third, role="reviewer")
    return [room.owner, room.reviewer, third]


def test_every_pair_goes_to_as_many_people_and_all_get_alike(
    room: Room, people: list[User]
) -> None:
    assert distribute(run=room.run, people=people, reviewers_per_pair=2, by=room.owner) == 7
    of_pair = Counter(Assignment.objects.values_list("run_sample", flat=True))
    assert set(of_pair.values()) == {2}
    shares = Counter(Assignment.objects.values_list("user", flat=True)).values()
    assert max(shares) - min(shares) <= 1


def test_everybody_shares_pairs_with_everybody(room: Room, people: list[User]) -> None:
    for _ in range(23):
        room.add()
    distribute(run=room.run, people=people, reviewers_per_pair=2, by=room.owner)
    met = set()
    for pair in room.pairs:
        names = Assignment.objects.filter(run_sample=pair).values_list("user", flat=True)
        met |= set(combinations(sorted(names), 2))
    assert len(met) == 3


def test_what_is_decided_or_assigned_is_left_alone(room: Room, people: list[User]) -> None:
    record_decision(run_sample=room.pairs[0], user=room.owner, action="drop")
    assign(run=room.run, pairs=[room.pairs[1].pk], user=room.reviewer, by=room.owner)
    assert distribute(run=room.run, people=people, reviewers_per_pair=1, by=room.owner) == 5
    assert not Assignment.objects.filter(run_sample=room.pairs[0]).exists()
    assert Assignment.objects.get(run_sample=room.pairs[1]).user == room.reviewer


def test_assigning_twice_is_assigning_once(room: Room) -> None:
    for _ in range(2):
        assign(run=room.run, pairs=[room.pairs[0].pk], user=room.reviewer, by=room.owner)
    assert Assignment.objects.count() == 1
    assert unassign(run=room.run, user=room.reviewer, by=room.owner) == 1


def test_a_viewer_or_too_few_people_are_refused(room: Room) -> None:
    with pytest.raises(ServiceError, match="make them a reviewer first"):
        assign(run=room.run, pairs=[room.pairs[0].pk], user=room.viewer, by=room.owner)
    with pytest.raises(ServiceError, match="at least so many people"):
        distribute(run=room.run, people=[room.owner], reviewers_per_pair=2, by=room.owner)
    assert not Assignment.objects.exists()
