"""What came of a run so far: how often the student took a rewrite, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.models import QueueEntry
from refinement.selectors.queue import counts_of
from refinement.selectors.queue.filters import CELLS, Show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refinement.models import Run
    from refinement.selectors.queue import Counts


@dataclass(frozen=True, slots=True)
class RunOutcomes:
    """Counts of samples. A choice is only counted where there was a rewrite to choose.

    ``tokens_before`` and ``tokens_after`` are the mean lengths of the response where the student
    took a rewritten one: the method is known to favour longer responses.
    """

    instruction_choices: int
    accepted_instructions: int
    response_choices: int
    accepted_responses: int
    concluded: int
    kept: int
    decided: int  # by people
    tokens_before: float | None
    tokens_after: float | None

    @property
    def dropped(self) -> int:
        return self.concluded - self.kept


def run_outcomes(run: Run, counts: Counts | None = None) -> RunOutcomes:
    """From the kept counts of a run, which are read where they are not given."""
    counts = counts_of(run) if counts is None else counts
    judged = [found for found in counts.judged if found.judged]
    whole = [found for found in judged if found.judged == QueueEntry.Judged.WHOLE]
    answered = [found for found in judged if found.accepted & QueueEntry.RESPONSE]
    accepted = sum(found.n for found in answered)
    return RunOutcomes(
        instruction_choices=sum(found.n for found in judged),
        accepted_instructions=sum(
            found.n for found in judged if found.accepted & QueueEntry.INSTRUCTION
        ),
        response_choices=sum(found.n for found in whole),
        accepted_responses=accepted,
        concluded=sum(found.n for found in whole if found.kept is not None),
        kept=sum(found.n for found in whole if found.kept),
        decided=sum(counts.cells.get(cell, 0) for cell in CELLS[Show.DECIDED]),
        tokens_before=_mean((found.tokens_before for found in answered), accepted),
        tokens_after=_mean((found.tokens_after for found in answered), accepted),
    )


def _mean(sums: Iterable[int], count: int) -> float | None:
    return sum(sums) / count if count else None
