"""From which runs a run descends: its dataset may be what an earlier one selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.models import Run
from refinement.selectors.kept_statements import kept_statement
from refinement.selectors.queue.counts import counts_of_runs

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import Dataset
    from refinement.selectors.queue import Counts

MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Round:
    """One run of a chain. ``number`` counts from 1, the run over an imported file.

    ``pairs``: the run's own, which may be the first ones of its dataset alone.
    """

    number: int
    run: Run
    pairs: int

    @property
    def dataset(self) -> Dataset:
        return self.run.dataset


def lineage(run: Run, counts: Counts | None = None) -> list[Round]:
    """The chain of runs that ends in ``run``, the first round first.

    ``counts``: those of ``run``, where they are known.
    """
    chain = [run]
    while chain[-1].dataset.source_run_id is not None and len(chain) < MOST_ROUNDS:
        parent = Run.objects.select_related("dataset", "teacher", "student").get(
            pk=chain[-1].dataset.source_run_id
        )
        chain.append(parent)
    known = counts_of_runs(member.pk for member in (chain if counts is None else chain[1:]))
    if counts is not None:
        known[run.pk] = counts
    return [
        Round(number, member, known[member.pk].total)
        for number, member in enumerate(reversed(chain), start=1)
    ]


def later_rounds(run: Run) -> list[Run]:
    """The runs that began with a selection of this one."""
    return _later(run.pk)


@kept_statement
def _later(run_id: int) -> QuerySet[Run]:
    return Run.objects.filter(dataset__source_run_id=run_id).order_by("pk")
