"""Human decisions over verdicts over nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from refinement.method.pairs import Pair, Turn
from refinement.models import Decision, RunSample
from refinement.selectors import streams
from refinement.selectors.queue import Show, queue_counts
from refinement.selectors.selection import SelectedPair, effective_pairs
from refinement.services.decisions import record_decision, undo_decision
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from refinement.models import Candidate

pytestmark = pytest.mark.django_db
State = RunSample.State
EDIT = Pair("Edited question", "Edited answer", "Edited input")


@pytest.fixture
def room() -> Room:
    return make_room()


def one(room: Room) -> SelectedPair:
    (selected,) = effective_pairs(room.run, include="all")
    kept = list(effective_pairs(room.run))
    assert kept == ([selected] if selected.kept else [])
    return selected


def candidate(row: RunSample, kind: str) -> Candidate:
    return row.candidates.get(kind=kind)


# -- Without a decision ---------------------------------------------------------------------------
def test_the_verdict_counts_where_nobody_decided(room: Room) -> None:
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    selected = one(room)
    assert (selected.pair, selected.source) == (TIPS_RESPONSE, "response")
    assert (selected.by, selected.kept, selected.reason) == ("verdict", True, "")
    assert (selected.action, selected.overrides) == ("", False)
    assert selected.sentence.startswith("Kept:")


def test_an_instruction_rewrite_may_be_all_that_was_taken(room: Room) -> None:
    room.add(instruction=TIPS_INSTRUCTION)
    assert (one(room).pair, one(room).source) == (TIPS_INSTRUCTION, "instruction")


def test_a_filter_of_the_policy_drops_with_its_code(room: Room) -> None:
    room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.9), kept=False)
    selected = one(room)
    assert (selected.pair, selected.source) == (TIPS, "original")
    assert (selected.by, selected.kept) == ("verdict", False)
    assert selected.reason == "response_not_accepted"


@pytest.mark.parametrize(
    ("state", "error", "reason"),
    [(State.FAILED, "The teacher refused.", "failed"), (State.READY, "", "unfinished")],
)
def test_what_has_no_verdict_is_not_kept(room: Room, state: str, error: str, reason: str) -> None:
    room.add(state=state, error=error)
    selected = one(room)
    assert (selected.pair, selected.by, selected.kept) == (TIPS, "", False)
    assert selected.reason == reason


def test_half_a_verdict_is_none(room: Room) -> None:
    row = room.add(instruction=TIPS_INSTRUCTION, kept=None)
    RunSample.objects.filter(pk=row.pk).update(state=State.READY, stage="select_response")
    selected = one(room)
    assert (selected.by, selected.kept, selected.reason) == ("", False, "unfinished")


# -- With a decision ------------------------------------------------------------------------------
def test_accept_lets_the_verdict_stand_kept_or_not(room: Room) -> None:
    kept = room.add(response=TIPS_RESPONSE)
    dropped = room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.9), kept=False)
    for row in (kept, dropped):
        record_decision(run_sample=row, user=room.reviewer, action="accept")
    first, second = effective_pairs(room.run, include="all")
    assert (first.kept, first.source, first.overrides) == (True, "response", False)
    assert (second.kept, second.reason, second.overrides) == (
        False,
        "response_not_accepted",
        False,
    )
    assert first.by == second.by == room.reviewer.get_username()


@pytest.mark.parametrize("verdict_keeps", [True, False])
@pytest.mark.parametrize(
    ("action", "pair", "source", "kept"),
    [
        ("original", TIPS, "original", True),
        ("candidate", TIPS_INSTRUCTION, "instruction", True),
        ("edit", EDIT, "edit", True),
        ("drop", TIPS_RESPONSE, "response", False),
    ],
)
def test_a_person_overrules_the_verdict(
    room: Room, verdict_keeps: bool, action: str, pair: Pair, source: str, kept: bool
) -> None:
    row = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, kept=verdict_keeps)
    record_decision(
        run_sample=row,
        user=room.reviewer,
        action=action,
        candidate=candidate(row, "instruction") if action == "candidate" else None,
        edit=EDIT if action == "edit" else None,
    )
    selected = one(room)
    assert (selected.pair, selected.source, selected.kept) == (pair, source, kept)
    assert (selected.by, selected.action) == (room.reviewer.get_username(), action)
    assert selected.reason == ("" if kept else "dropped_by_hand")
    assert selected.overrides is (action != "drop" or verdict_keeps)


def test_taking_by_hand_what_the_student_took_overrides_nothing(room: Room) -> None:
    row = room.add(response=TIPS_RESPONSE)
    record_decision(
        run_sample=row,
        user=room.reviewer,
        action="candidate",
        candidate=candidate(row, "response"),
    )
    assert (one(room).source, one(room).overrides) == ("response", False)


@pytest.mark.parametrize("state", [State.FAILED, State.READY])
def test_a_person_may_keep_what_never_finished(room: Room, state: str) -> None:
    row = room.add(state=state, error="x" if state == State.FAILED else "")
    record_decision(run_sample=row, user=room.reviewer, action="original")
    selected = one(room)
    assert (selected.kept, selected.source, selected.overrides) == (True, "original", True)


def test_after_an_undo_the_verdict_counts_again(room: Room) -> None:
    row = room.add(response=TIPS_RESPONSE)
    record_decision(run_sample=row, user=room.reviewer, action="drop")
    undo_decision(run_sample=row, user=room.owner)
    assert (one(room).kept, one(room).by, one(room).action) == (True, "verdict", "")


def test_a_rewrite_stays_within_the_turns_before(room: Room) -> None:
    turns = (Turn("system", "Be brief."),)
    room.add(Pair(TIPS.instruction, TIPS.response, "", turns), instruction=TIPS_INSTRUCTION)
    assert one(room).pair.context == turns


def test_the_review_queue_counts_the_same(room: Room) -> None:
    rows = [
        room.add(response=TIPS_RESPONSE, kept=n % 2 == 0, r_ifd=(0.7, 0.5 if n % 2 == 0 else 0.9))
        for n in range(8)
    ]
    rows.append(room.add(state=State.FAILED, error="x"))
    actions = ["accept", "accept", "original", "original", "drop", "drop", None, None, "original"]
    for row, action in zip(rows, actions, strict=True):
        if action:
            record_decision(run_sample=row, user=room.reviewer, action=action)
    counts = queue_counts(room.run)
    assert counts.of(Show.KEPT) == len(list(effective_pairs(room.run))) == 5


# -- The stream -----------------------------------------------------------------------------------
def test_the_order_is_the_datasets_over_chunks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK", 3)
    room.fill(8)
    assert [s.position for s in effective_pairs(room.run, include="all")] == list(range(8))


def test_another_runs_pairs_are_not_among_them(room: Room) -> None:
    room.add()
    make_room("Baking").fill(2)
    assert len(list(effective_pairs(room.run, include="all"))) == 1


def test_the_queries_do_not_grow_with_the_pairs(room: Room) -> None:
    for row in room.fill(12):
        record_decision(
            run_sample=row,
            user=room.reviewer,
            action=Decision.Action.EDIT,
            edit=Pair(f"Edit {row.pk}", "Answer"),
        )
    with CaptureQueriesContext(connection) as plain:
        list(effective_pairs(room.run))
    with CaptureQueriesContext(connection) as scored:
        list(effective_pairs(room.run, scores=True))
    assert (len(plain), len(scored)) == (1, 1)


def test_scores_are_of_the_original_and_of_what_counts(room: Room) -> None:
    row = room.add(
        instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, ifd=(0.6, 0.8), r_ifd=(0.7, 0.5)
    )
    (selected,) = effective_pairs(room.run, scores=True)
    assert selected.before is not None
    assert selected.after is not None
    assert (selected.before.r_ifd, selected.after.r_ifd) == pytest.approx((0.7, 0.5))
    record_decision(run_sample=row, user=room.reviewer, action="edit", edit=EDIT)
    (edited,) = effective_pairs(room.run, scores=True)
    assert edited.before is not None
    assert edited.after is None


def test_an_unknown_selection_is_a_mistake(room: Room) -> None:
    with pytest.raises(ValueError, match="'kept' or 'all', not 'some'"):
        list(effective_pairs(room.run, include="some"))
