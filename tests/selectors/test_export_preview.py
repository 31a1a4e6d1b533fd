"""The counts by the database must be those of the selection, which decides pair by pair."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from refinement.method.pairs import Pair
from refinement.selectors.export_preview import export_preview, first_selected
from refinement.selectors.selection import effective_pairs
from refinement.services.decisions import record_decision, undo_decision
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from refinement.models import RunSample

pytestmark = pytest.mark.django_db


def every_kind_of_pair(room: Room) -> None:
    """Each state a pair may be in, once without a decision and once with each possible one."""
    decisions = (None, "accept", "original", "candidate", "edit", "drop", "undone")
    for decision in decisions:
        for kept in (True, False):
            pair = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, kept=kept)
            decide(room, pair, decision)
        decide(room, room.add(kept=False, r_ifd=(0.5, 0.6)), decision)
        failed = room.add(state="failed", error="Cut off.", instruction=TIPS_INSTRUCTION)
        if decision in {None, "original", "edit", "drop", "undone"}:
            decide(room, failed, decision)
    room.add(instruction=TIPS_INSTRUCTION)
    room.add(state="ready")


def decide(room: Room, pair: RunSample, action: str | None) -> None:
    if action is None:
        return
    candidate = pair.candidates.last() if action == "candidate" else None
    if action == "candidate" and candidate is None:
        return
    edit = Pair(instruction="Mine", response="My own.") if action == "edit" else None
    made = record_decision(
        run_sample=pair,
        user=room.reviewer,
        action="drop" if action == "undone" else action,
        candidate=candidate,
        edit=edit,
    )
    if action == "undone":
        undo_decision(run_sample=pair, user=room.reviewer, seen=made.pk)


def test_the_preview_counts_what_the_selection_selects() -> None:
    room = make_room()
    every_kind_of_pair(room)
    selected = list(effective_pairs(room.run, include="all"))
    kept = [pair for pair in selected if pair.kept]
    reasons = Counter(pair.reason for pair in selected if not pair.kept)
    preview = export_preview(room.run)
    assert preview.total == len(selected)
    assert preview.kept == len(kept)
    assert preview.sources == Counter(pair.source for pair in kept)
    assert set(preview.sources) == {"original", "instruction", "response", "edit"}
    assert preview.dropped_by_hand == reasons.pop("dropped_by_hand")
    assert preview.failed == reasons.pop("failed")
    assert preview.unfinished == reasons.pop("unfinished")
    assert preview.dropped_by_student == reasons.total()
    assert preview.decided == sum(1 for pair in selected if pair.action)


def test_an_empty_run_counts_nothing() -> None:
    preview = export_preview(make_room().run)
    assert (preview.total, preview.kept, preview.dropped_by_student) == (0, 0, 0)
    assert preview.sources == {}


def test_the_first_selected_pairs() -> None:
    room = make_room()
    room.add(kept=False)
    room.add(response=TIPS_RESPONSE)
    room.add(response=TIPS_RESPONSE)
    assert [pair.position for pair in first_selected(room.run, 1)] == [1]
