"""One pair of the review room: versions, marks, history, and what it costs to read."""

from __future__ import annotations

from decimal import Decimal as Money
from typing import TYPE_CHECKING

import pytest

from refinement.method.pairs import Pair, Turn
from refinement.selectors.queue import Mark
from refinement.selectors.review import last_own_decision, pair_view
from refinement.services.decisions import add_comment, record_decision, undo_decision
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db

EDITED = Pair(instruction="Give three tips.", response="Sleep, walk, eat well.")


@pytest.fixture
def room() -> Room:
    return make_room()


def test_all_versions_with_their_scores_and_criticism(room: Room) -> None:
    pair = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    view = pair_view(pair)
    assert [version.key for version in view.versions] == ["original", "1", "2"]
    assert [version.pair for version in view.versions] == [TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE]
    assert [version.score and version.score.ifd for version in view.versions] == [0.62, 0.71, 0.71]
    assert view.versions[2].parent_key == "1"
    assert view.versions[1].candidate is not None
    assert "little knowledge" in view.versions[1].candidate.criticism
    assert view.primary.key == "2"
    assert [version.counts for version in view.versions] == [False, False, True]
    assert (view.mark, view.judged) == (Mark.KEPT, True)
    assert len(view.calls) == 4
    assert (view.tokens, view.cost) == (4 * 406, Money("0.00168"))


def test_an_instruction_rewrite_that_won_alone_comes_first(room: Room) -> None:
    pair = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, r_ifd=(0.5, 0.6))
    view = pair_view(pair)
    assert view.primary.key == "1"
    assert view.versions[1].chosen


def test_where_the_original_won_its_rival_is_shown(room: Room) -> None:
    pair = room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.6), kept=False)
    view = pair_view(pair)
    assert view.original.chosen
    assert view.primary.key == "2"
    assert not any(version.counts for version in view.versions)
    assert view.mark is Mark.DROPPED


@pytest.mark.parametrize(
    ("action", "counting", "mark"),
    [
        ("accept", "2", Mark.KEPT),
        ("original", "original", Mark.KEPT),
        ("candidate", "1", Mark.KEPT),
        ("edit", "e", Mark.KEPT),
        ("drop", None, Mark.DROPPED),
    ],
)
def test_what_counts_follows_the_decision(
    room: Room, action: str, counting: str | None, mark: Mark
) -> None:
    pair = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    candidate = pair.candidates.get(kind="instruction")
    record_decision(
        run_sample=pair,
        user=room.reviewer,
        action=action,
        candidate=candidate if action in ("candidate", "edit") else None,
        edit=EDITED if action == "edit" else None,
    )
    view = pair_view(pair)
    found = [version.key[:1] if version.is_edit else version.key for version in view.versions]
    counts = [key for key, version in zip(found, view.versions, strict=True) if version.counts]
    assert counts == ([counting] if counting else [])
    assert view.mark is mark


def test_an_edit_names_its_author_and_what_it_started_from(room: Room) -> None:
    pair = room.add(response=TIPS_RESPONSE, ifd=(0.9, 0.5))
    base = pair.candidates.get()
    decision = record_decision(
        run_sample=pair, user=room.reviewer, action="edit", candidate=base, edit=EDITED
    )
    view = pair_view(pair)
    edit = view.primary
    assert edit.key == f"e{decision.candidate_id}"
    assert (edit.name, edit.parent_key, edit.pair) == (
        f"Edit by {room.reviewer.username}",
        "2",
        EDITED,
    )
    assert view.version(edit.key) is edit
    assert view.version("nonsense") is None


@pytest.mark.parametrize(("state", "mark"), [("ready", Mark.WORKING), ("failed", Mark.FAILED)])
def test_an_unfinished_pair_shows_what_is_there(room: Room, state: str, mark: Mark) -> None:
    pair = room.add(state=state, error="The teacher refused." if state == "failed" else "")
    view = pair_view(pair)
    assert [version.key for version in view.versions] == ["original"]
    assert (view.primary, view.verdict, view.judged) == (view.original, None, False)
    assert view.mark is mark


def test_the_context_goes_with_every_version(room: Room) -> None:
    context = (Turn(role="system", content="Be brief."),)
    original = Pair(instruction="Hi", response="Hello", context=context)
    pair = room.add(original, response=Pair(instruction="Hi", response="Hello there"))
    assert {version.pair.context for version in pair_view(pair).versions} == {context}


def test_history_and_comments_in_the_order_they_came(room: Room) -> None:
    pair = room.add(response=TIPS_RESPONSE)
    record_decision(run_sample=pair, user=room.reviewer, action="drop")
    undo_decision(run_sample=pair, user=room.owner)
    add_comment(run_sample=pair, user=room.viewer, text="Why?")
    view = pair_view(pair)
    assert [(row.user, row.action) for row in view.history] == [
        (room.reviewer, "drop"),
        (room.owner, "undo"),
    ]
    assert view.history[0].undone_by == view.history[1]
    assert [comment.text for comment in view.comments] == ["Why?"]
    assert view.decision is None


def test_reading_a_pair_costs_the_same_whatever_happened_to_it(
    room: Room, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    pair = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)

    def read() -> None:
        view = pair_view(pair)
        for row in view.history:
            str(row), row.user.username, row.candidate and row.candidate.kind
            str(getattr(row, "undone_by", "")), row.undoes and row.undoes.user.username
        for version in view.versions:
            assert version.pair.response
            assert version.name
        assert view.primary
        assert view.tokens
        assert all(comment.user.username for comment in view.comments)

    with django_assert_num_queries(5):
        read()
    for number in range(5):
        edit = Pair(instruction="Say it.", response=f"{number}")
        record_decision(run_sample=pair, user=room.reviewer, action="edit", edit=edit)
        record_decision(run_sample=pair, user=room.owner, action="drop")
        undo_decision(run_sample=pair, user=room.owner)
        add_comment(run_sample=pair, user=room.viewer, text="Again?")
    with django_assert_num_queries(7):
        read()


def test_undo_last_is_the_persons_own_latest_that_still_counts(room: Room) -> None:
    def last() -> int | None:
        found = last_own_decision(room.run, room.reviewer)
        return None if found is None else found.pk

    first, second, third = room.fill(3)
    assert last() is None
    mine = record_decision(run_sample=first, user=room.reviewer, action="drop")
    overruled = record_decision(run_sample=second, user=room.reviewer, action="drop")
    record_decision(run_sample=third, user=room.owner, action="drop")
    assert last() == overruled.pk
    record_decision(run_sample=second, user=room.owner, action="original")
    assert last() == mine.pk
    undo_decision(run_sample=first, user=room.reviewer)
    assert last() is None


def test_what_undo_takes_back_is_found_behind_a_hundred_undone_ones(
    room: Room, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first, second = room.fill(2)
    mine = record_decision(run_sample=first, user=room.reviewer, action="drop")
    for _ in range(50):
        record_decision(run_sample=second, user=room.reviewer, action="drop")
        undo_decision(run_sample=second, user=room.reviewer)
    with django_assert_num_queries(3):  # 20, 80 and the rest
        found = last_own_decision(room.run, room.reviewer)
    assert found is not None
    assert (found.pk, found.position) == (mine.pk, first.position)
