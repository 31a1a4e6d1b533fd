from __future__ import annotations

import pytest

from refinement.selectors.outcomes import run_outcomes
from refinement.services.decisions import record_decision
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, make_room

pytestmark = pytest.mark.django_db


def test_outcomes_count_choices_and_lengths() -> None:
    room = make_room()
    taken = room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, ifd=(0.5, 0.9))
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, ifd=(0.5, 0.4), kept=False)
    room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.8), kept=False)
    room.add(state="failed", error="Cut off.")
    record_decision(run_sample=taken, user=room.reviewer, action="drop")
    found = run_outcomes(room.run)
    assert (found.instruction_choices, found.accepted_instructions) == (3, 1)
    assert (found.response_choices, found.accepted_responses) == (3, 2)
    assert (found.concluded, found.kept, found.dropped, found.decided) == (3, 1, 2, 1)
    assert (found.tokens_before, found.tokens_after) == (24, 64)


def test_a_run_without_a_verdict_has_no_outcome() -> None:
    found = run_outcomes(make_room().run)
    assert (found.instruction_choices, found.concluded, found.kept) == (0, 0, 0)
    assert found.tokens_before is None
    assert found.tokens_after is None
