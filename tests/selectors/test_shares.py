from __future__ import annotations

import pytest

from refinement.selectors.shares import share_of


@pytest.mark.parametrize(
    ("ceiling", "priority", "others", "share"),
    [
        (16, "normal", [], 16),
        (16, "low", [], 16),  # alone, a run takes all there is
        (16, "normal", ["normal"], 8),
        (16, "normal", ["normal", "normal"], 5),
        (20, "high", ["normal"], 16),
        (20, "normal", ["high"], 4),
        (20, "low", ["normal"], 4),
        (4, "low", ["high"] * 9, 1),  # none stands still
    ],
)
def test_runs_divide_a_teacher_by_their_priorities(
    ceiling: int, priority: str, others: list[str], share: int
) -> None:
    assert share_of(ceiling, priority, others) == share
