"""Decisions: append-only, undoable, and never overwritten in silence."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from refinement.method.pairs import Pair
from refinement.models import Candidate, Decision, RunSample
from refinement.services.decisions import (
    EDIT_LIMIT_CHARACTERS,
    DecisionConflict,
    add_comment,
    record_decision,
    undo_decision,
)
from refinement.services.errors import ServiceError
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

pytestmark = pytest.mark.django_db

EDITED = Pair(instruction="Give three tips.", response="Sleep, walk, eat well.", input="Adults")


@pytest.fixture
def room() -> Room:
    room = make_room()
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


@pytest.fixture
def pair(room: Room) -> RunSample:
    return room.pairs[0]


def counting(pair: RunSample) -> Decision | None:
    return RunSample.objects.select_related("decision").get(pk=pair.pk).decision


@pytest.mark.parametrize("action", ["accept", "original", "drop"])
def test_a_plain_decision_counts(room: Room, pair: RunSample, action: str) -> None:
    decision = record_decision(run_sample=pair, user=room.reviewer, action=action, seen=0)
    assert counting(pair) == decision
    assert (decision.action, decision.candidate, decision.previous) == (action, None, None)


@pytest.mark.parametrize("kind", ["instruction", "response"])
def test_a_candidate_of_either_phase_can_be_taken(room: Room, pair: RunSample, kind: str) -> None:
    candidate = pair.candidates.get(kind=kind)
    decision = record_decision(
        run_sample=pair, user=room.reviewer, action="candidate", candidate=candidate
    )
    assert counting(pair) == decision
    assert decision.candidate == candidate


def test_an_edit_makes_a_candidate_by_a_person(room: Room, pair: RunSample) -> None:
    base = pair.candidates.get(kind="response")
    decision = record_decision(
        run_sample=pair, user=room.reviewer, action="edit", candidate=base, edit=EDITED
    )
    made = decision.candidate
    assert made is not None
    assert made.kind == Candidate.Kind.EDIT
    assert (made.parent, made.created_by) == (base, room.reviewer)
    assert made.as_pair() == EDITED


def test_two_edits_of_one_pair_both_stay(room: Room, pair: RunSample) -> None:
    for text in ("First.", "Second."):
        edit = Pair(instruction="Say it.", response=text)
        record_decision(run_sample=pair, user=room.reviewer, action="edit", edit=edit)
    texts = pair.candidates.filter(kind="edit").values_list("response", flat=True)
    assert list(texts) == ["First.", "Second."]
    decision = counting(pair)
    assert decision is not None
    assert decision.candidate is not None
    assert decision.candidate.response == "Second."


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Pair(instruction=" \n", response="Yes."), "instruction is empty"),
        (Pair(instruction="Is it?", response="\t"), "response is empty"),
        (Pair(instruction="Is it?", response="a\0b"), "response has a character"),
        (Pair(instruction="Is it?", response="Yes.", input="\ud800"), "input has a character"),
        (Pair(instruction="?", response="x" * EDIT_LIMIT_CHARACTERS), "1,000,001 characters"),
        (TIPS, "Nothing was changed"),
        (None, "Send the edited"),
    ],
)
def test_a_bad_edit_is_refused(room: Room, pair: RunSample, edit: Pair | None, says: str) -> None:
    with pytest.raises(ServiceError, match=says):
        record_decision(run_sample=pair, user=room.reviewer, action="edit", edit=edit)
    assert not pair.decisions.exists()
    assert not pair.candidates.filter(kind="edit").exists()


def test_unknown_actions_and_strange_candidates_are_refused(room: Room, pair: RunSample) -> None:
    other = room.add(response=TIPS_RESPONSE)
    for action in ("undo", "delete", ""):
        with pytest.raises(ServiceError, match="Choose accept"):
            record_decision(run_sample=pair, user=room.reviewer, action=action)
    with pytest.raises(ServiceError, match="no candidate to take"):
        record_decision(run_sample=pair, user=room.reviewer, action="candidate")
    with pytest.raises(ServiceError, match="another pair"):
        record_decision(
            run_sample=pair,
            user=room.reviewer,
            action="candidate",
            candidate=other.candidates.get(),
        )
    assert not Decision.objects.exists()


@pytest.mark.parametrize("state", ["ready", "failed"])
def test_an_unfinished_pair_takes_every_decision_but_acceptance(room: Room, state: str) -> None:
    pair = room.add(state=state)
    with pytest.raises(ServiceError, match="not finished judging"):
        record_decision(run_sample=pair, user=room.reviewer, action="accept")
    record_decision(run_sample=pair, user=room.reviewer, action="original")
    record_decision(run_sample=pair, user=room.reviewer, action="drop")
    edited = record_decision(run_sample=pair, user=room.reviewer, action="edit", edit=EDITED)
    assert counting(pair) == edited


def test_a_half_made_verdict_cannot_be_accepted(room: Room) -> None:
    pair = room.add(instruction=TIPS_INSTRUCTION, kept=None)
    with pytest.raises(ServiceError, match="not finished judging"):
        record_decision(run_sample=pair, user=room.reviewer, action="accept")


def test_undo_returns_step_by_step_and_keeps_every_row(room: Room, pair: RunSample) -> None:
    first = record_decision(run_sample=pair, user=room.reviewer, action="drop")
    record_decision(run_sample=pair, user=room.owner, action="original")
    undone = undo_decision(run_sample=pair, user=room.owner)
    assert counting(pair) == first
    assert undone.undoes is not None
    assert undone.undoes.action == "original"
    undo_decision(run_sample=pair, user=room.reviewer)
    assert counting(pair) is None
    with pytest.raises(ServiceError, match="nothing to undo"):
        undo_decision(run_sample=pair, user=room.reviewer)
    actions = pair.decisions.values_list("action", flat=True)
    assert list(actions) == ["drop", "original", "undo", "undo"]


def test_a_decision_after_an_undo_returns_past_the_undone_one(room: Room, pair: RunSample) -> None:
    first = record_decision(run_sample=pair, user=room.reviewer, action="drop")
    record_decision(run_sample=pair, user=room.reviewer, action="original")
    undo_decision(run_sample=pair, user=room.reviewer)
    record_decision(run_sample=pair, user=room.reviewer, action="accept")
    undo_decision(run_sample=pair, user=room.reviewer)
    assert counting(pair) == first


def test_a_colleague_who_was_first_is_named_and_stays(room: Room, pair: RunSample) -> None:
    theirs = record_decision(run_sample=pair, user=room.owner, action="drop", seen=0)
    with pytest.raises(DecisionConflict, match=f"{room.owner.username} dropped") as caught:
        record_decision(run_sample=pair, user=room.reviewer, action="original", seen=0)
    assert caught.value.latest == theirs
    assert caught.value.current == theirs
    assert counting(pair) == theirs
    mine = record_decision(run_sample=pair, user=room.reviewer, action="original", seen=theirs.pk)
    assert mine.previous == theirs


def test_a_colleagues_undo_is_a_conflict_too(room: Room, pair: RunSample) -> None:
    first = record_decision(run_sample=pair, user=room.owner, action="drop")
    undo_decision(run_sample=pair, user=room.owner)
    with pytest.raises(DecisionConflict, match="undid a decision") as caught:
        record_decision(run_sample=pair, user=room.reviewer, action="accept", seen=first.pk)
    assert caught.value.current is None
    with pytest.raises(DecisionConflict):
        undo_decision(run_sample=pair, user=room.reviewer, seen=first.pk)


def test_a_conflicting_edit_leaves_no_candidate_behind(room: Room, pair: RunSample) -> None:
    record_decision(run_sample=pair, user=room.owner, action="drop")
    with pytest.raises(DecisionConflict):
        record_decision(run_sample=pair, user=room.reviewer, action="edit", edit=EDITED, seen=0)
    assert not pair.candidates.filter(kind="edit").exists()


def test_a_double_click_is_one_decision(room: Room, pair: RunSample) -> None:
    for arguments in ({"action": "drop"}, {"action": "edit", "edit": EDITED}):
        seen = getattr(counting(pair), "pk", 0)
        once = record_decision(run_sample=pair, user=room.reviewer, seen=seen, **arguments)
        again = record_decision(run_sample=pair, user=room.reviewer, seen=seen, **arguments)
        assert once == again
    assert pair.decisions.count() == 2
    assert pair.candidates.filter(kind="edit").count() == 1


def test_the_same_person_in_two_windows_is_told(room: Room, pair: RunSample) -> None:
    record_decision(run_sample=pair, user=room.reviewer, action="drop", seen=0)
    with pytest.raises(DecisionConflict, match="You dropped"):
        record_decision(run_sample=pair, user=room.reviewer, action="original", seen=0)


def test_the_pipelines_columns_are_left_alone(room: Room) -> None:
    pair = room.add(state="ready")
    stale = RunSample.objects.get(pk=pair.pk)
    RunSample.objects.filter(pk=pair.pk).update(attempts=3, error="try again")
    record_decision(run_sample=stale, user=room.reviewer, action="drop")
    assert RunSample.objects.filter(pk=pair.pk, attempts=3, error="try again").exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_reviewers_at_once_one_wins_and_the_others_are_told(room: Room) -> None:
    pair, outcomes = room.pairs[0], []
    barrier = threading.Barrier(6)

    def decide(action: str) -> None:
        barrier.wait()
        try:
            record_decision(run_sample=pair, user=room.reviewer, action=action, seen=0)
            outcomes.append("decided")
        except DecisionConflict:
            outcomes.append("told")
        finally:
            connection.close()

    actions = ["accept", "original", "drop"] * 2
    threads = [threading.Thread(target=decide, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decision = counting(pair)
    assert pair.decisions.count() == 1
    # The twin of the winner repeats it (a double click), the four others are told.
    assert sorted(outcomes) == ["decided"] * 2 + ["told"] * 4
    assert decision is not None
    assert decision.previous is None


def test_comments(room: Room, pair: RunSample) -> None:
    comment = add_comment(run_sample=pair, user=room.reviewer, text="  Too long?\n")
    assert comment.text == "Too long?"
    for text, says in (("  ", "Write something"), ("x" * 5001, "5,001"), ("\0", "character")):
        with pytest.raises(ServiceError, match=says):
            add_comment(run_sample=pair, user=room.reviewer, text=text)
    assert pair.comments.count() == 1
    assert counting(pair) is None
