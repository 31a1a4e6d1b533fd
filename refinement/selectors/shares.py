"""How running runs divide a teacher, and the time of the students."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from refinement.models import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

WEIGHTS = {Run.Priority.LOW: 0.25, Run.Priority.NORMAL: 1.0, Run.Priority.HIGH: 4.0}


def share_of(ceiling: int, priority: str, others: Iterable[str]) -> int:
    """Of ``ceiling`` requests at a time those of a run beside ``others``, by their priorities.

    At least one, so that no run ever stands still.
    """
    counts = Counter(others)
    rest = sum(weight * counts[name] for name, weight in WEIGHTS.items())
    own = WEIGHTS[Run.Priority(priority)]
    return max(1, int(ceiling * own / (own + rest)))
