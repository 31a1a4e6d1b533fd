"""From which runs a run descends: its dataset may be what an earlier one selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.models import Run

if TYPE_CHECKING:
    from refinement.models import Dataset

MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Round:
    """One run of a chain. ``number`` counts from 1, the run over an imported file."""

    number: int
    run: Run

    @property
    def dataset(self) -> Dataset:
        return self.run.dataset


def lineage(run: Run) -> list[Round]:
    """The chain of runs that ends in ``run``, the first round first."""
    chain = [run]
    while chain[-1].dataset.source_run_id is not None and len(chain) < MOST_ROUNDS:
        parent = Run.objects.select_related("dataset", "teacher", "student").get(
            pk=chain[-1].dataset.source_run_id
        )
        chain.append(parent)
    return [Round(number, member) for number, member in enumerate(reversed(chain), start=1)]


def later_rounds(run: Run) -> list[Run]:
    """The runs that began with a selection of this one."""
    return list(Run.objects.filter(dataset__source_run=run).order_by("pk"))
