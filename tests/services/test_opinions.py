"""Opinions: given alone, agreed on or disputed, taken back; never a decision by themselves."""

from __future__ import annotations

import pytest

from refinement.method.pairs import Pair
from refinement.models import Decision, ReviewPlan, RunSample
from refinement.selectors.agreement import agreement_of
from refinement.selectors.opinions import disputed, progress_of
from refinement.selectors.selection import effective_pairs
from refinement.services.decisions import record_decision
from refinement.services.errors import ServiceError
from refinement.services.opinions import give_opinion, withdraw_opinion
from refinement.services.review_plans import set_plan
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    room = make_room()
    for _ in range(3):
        room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    set_plan(run=room.run, reviewers_per_pair=2, blind=False, seed=1, by=room.owner)
    return room


def now(pair: RunSample) -> Decision | None:
    return RunSample.objects.select_related("decision").get(pk=pair.pk).decision


def test_one_opinion_decides_nothing_and_two_alike_do(room: Room) -> None:
    pair = room.pairs[0]
    give_opinion(run_sample=pair, user=room.reviewer, action="original")
    assert now(pair) is None
    give_opinion(run_sample=pair, user=room.owner, action="original")
    decision = now(pair)
    assert decision is not None
    assert (decision.action, decision.basis) == ("original", "agreement")


def test_accepting_and_naming_what_the_verdict_chose_is_the_same(room: Room) -> None:
    pair = room.pairs[0]
    chosen = pair.candidates.get(kind="response")
    give_opinion(run_sample=pair, user=room.reviewer, action="accept")
    give_opinion(run_sample=pair, user=room.owner, action="candidate", candidate=chosen)
    assert now(pair) is not None


def test_different_opinions_wait_for_an_owner(room: Room) -> None:
    pair = room.pairs[0]
    give_opinion(run_sample=pair, user=room.reviewer, action="drop")
    give_opinion(run_sample=pair, user=room.owner, action="original")
    assert now(pair) is None
    assert list(disputed(room.run)) == [pair]
    record_decision(run_sample=pair, user=room.owner, action="original", basis="adjudication")
    assert list(disputed(room.run)) == []
    with pytest.raises(ServiceError, match="has settled this pair"):
        give_opinion(run_sample=pair, user=room.reviewer, action="original")
    kept = {selected.position: selected.source for selected in effective_pairs(room.run)}
    assert kept[pair.position] == "original"


def test_two_edits_agree_only_word_for_word(room: Room) -> None:
    first, second, _ = room.pairs
    same = Pair(instruction="Say it.", response="It.")
    for user in (room.reviewer, room.owner):
        give_opinion(run_sample=first, user=user, action="edit", edit=same)
    give_opinion(run_sample=second, user=room.reviewer, action="edit", edit=same)
    other = Pair(instruction="Say it.", response="It!")
    give_opinion(run_sample=second, user=room.owner, action="edit", edit=other)
    assert now(first) is not None
    assert list(disputed(room.run)) == [second]


def test_who_thinks_again_takes_the_agreement_along(room: Room) -> None:
    pair = room.pairs[0]
    for user in (room.reviewer, room.owner):
        give_opinion(run_sample=pair, user=user, action="drop")
    give_opinion(run_sample=pair, user=room.reviewer, action="original")
    assert now(pair) is None
    assert [d.action for d in pair.decisions.all()] == ["drop", "undo"]
    withdraw_opinion(run_sample=pair, user=room.reviewer)
    assert RunSample.objects.get(pk=pair.pk).opinions == 1
    assert pair.opinion_rows.count() == 3, "nothing is deleted"
    with pytest.raises(ServiceError, match="nothing to take back"):
        withdraw_opinion(run_sample=pair, user=room.reviewer)


def test_twice_is_once_and_a_third_person_is_not_needed(room: Room) -> None:
    pair = room.pairs[0]
    once = give_opinion(run_sample=pair, user=room.reviewer, action="drop")
    assert give_opinion(run_sample=pair, user=room.reviewer, action="drop") == once
    give_opinion(run_sample=pair, user=room.owner, action="original")
    with pytest.raises(ServiceError, match="not needed"):
        give_opinion(run_sample=pair, user=room.viewer, action="drop")


def test_fewer_reviewers_wait_until_open_opinions_are_settled(room: Room) -> None:
    give_opinion(run_sample=room.pairs[0], user=room.reviewer, action="drop")
    with pytest.raises(ServiceError, match="settle them first"):
        set_plan(run=room.run, reviewers_per_pair=1, blind=False, seed=1, by=room.owner)
    with pytest.raises(ServiceError, match="1 to 9"):
        set_plan(run=room.run, reviewers_per_pair=10, blind=False, seed=1, by=room.owner)
    assert ReviewPlan.objects.get().reviewers_per_pair == 2


def test_progress_counts_what_each_person_said(room: Room) -> None:
    for pair in room.pairs[:2]:
        give_opinion(run_sample=pair, user=room.reviewer, action="drop")
    lines = {line.user: line.judged for line in progress_of(room.run)}
    assert lines == {room.owner: 0, room.reviewer: 2}


def test_agreement_of_people_and_of_each_with_the_policies(room: Room) -> None:
    """Owner and reviewer agree on two of three; the verdict takes the response rewrite always."""
    said = {room.reviewer: ["accept", "drop", "original"], room.owner: ["accept", "drop", "drop"]}
    for user, actions in said.items():
        for pair, action in zip(room.pairs, actions, strict=True):
            give_opinion(run_sample=pair, user=user, action=action)
    table = agreement_of(room.run)
    assert [(line.pairs, line.share) for line in table.people] == [(3, pytest.approx(2 / 3))]
    assert table.people[0].kappa == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))
    assert table.compared == 3
    assert table.alpha is not None
    verdict = {line.first: line.share for line in table.policies if "verdict" in line.second}
    assert verdict == {str(u): pytest.approx(1 / 3) for u in (room.owner, room.reviewer)}
    paper = {line.first: line.share for line in table.policies if line.second == "The paper's"}
    assert paper == verdict, "the run was judged by this very policy"
