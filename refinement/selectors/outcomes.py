"""What came of a run so far: how often the student took a rewrite, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Avg, Count, Q

from refinement.method.pairs import Side
from refinement.models import RunSample, Score, Verdict

if TYPE_CHECKING:
    from refinement.models import Run


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


def run_outcomes(run: Run) -> RunOutcomes:
    """Four queries over the verdicts of a run."""
    verdicts = Verdict.objects.filter(run_sample__run=run)
    counts = verdicts.aggregate(
        instruction_choices=Count("pk"),
        accepted_instructions=Count("pk", filter=Q(instruction_winner=Side.CANDIDATE.value)),
        response_choices=Count("pk", filter=~Q(response_winner="")),
        accepted_responses=Count("pk", filter=Q(response_winner=Side.CANDIDATE.value)),
        concluded=Count("pk", filter=Q(kept__isnull=False)),
        kept=Count("pk", filter=Q(kept=True)),
    )
    accepted = verdicts.filter(response_winner=Side.CANDIDATE.value)
    after = accepted.aggregate(mean=Avg("chosen__score__response_tokens"))["mean"]
    before = Score.objects.filter(
        run_sample__in=accepted.values("run_sample"), candidate__isnull=True
    ).aggregate(mean=Avg("response_tokens"))["mean"]
    return RunOutcomes(
        **counts,
        decided=RunSample.objects.filter(run=run, decision__isnull=False).count(),
        tokens_before=before,
        tokens_after=after,
    )
