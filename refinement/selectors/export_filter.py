"""The review queue's filter, for an export: the same words select the same pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.selectors.queue.conditions import conditions, in_cells
from refinement.selectors.queue.filters import CELLS, Show

if TYPE_CHECKING:
    from django.db.models import Q

    from refinement.models import Run
    from refinement.selectors.queue import QueueFilter


def matching(run: Run, queue: QueueFilter) -> list[Q]:
    """The pairs of ``run`` that ``queue`` shows, whatever their order, as filters one by one.

    ``all`` narrows nothing, also not to what the pipeline is done with.
    """
    cells = [] if queue.show is Show.ALL else [in_cells(CELLS[queue.show])]
    return [*cells, *(condition.tells for condition in conditions(run, queue))]
