"""The review queue's filter, for an export: the same words select the same pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.selectors.queue.conditions import conditions, in_cells
from refinement.selectors.queue.filters import CELLS, Show

if TYPE_CHECKING:
    from django.db.models import Q

    from refinement.models import Run
    from refinement.selectors.queue import QueueFilter
    from refinement.selectors.queue.conditions import Condition


def matching(run: Run, queue: QueueFilter) -> list[Q]:
    """The pairs of ``run`` that ``queue`` shows, whatever their order, as filters one by one.

    ``all`` narrows nothing, also not to what the pipeline is done with.
    """
    cells = [] if queue.show is Show.ALL else [in_cells(CELLS[queue.show])]
    return [*cells, *(_told(condition) for condition in conditions(run, queue))]


def _told(condition: Condition) -> Q:
    """What is asked of lots of rows in a queue is here found by its index: words, turned pairs."""
    return condition.finds if condition.fits and condition.finds else condition.tells
