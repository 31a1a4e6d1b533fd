"""What an act on everything that a filter matches would touch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from refinement.selectors.queue import Order, Queue, QueueFilter, QueueLine, queue_counts
from refinement.selectors.queue.lines import lines_of

if TYPE_CHECKING:
    from refinement.models import Run

SHOWN = 8


@dataclass(frozen=True, slots=True)
class ActPreview:
    """``sample``: a few pairs from anywhere in the list, the same each time."""

    count: int
    sample: list[QueueLine]


def act_preview(run: Run, queue: QueueFilter) -> ActPreview:
    count = (
        Queue(run, queue).everything().count()
        if queue.is_narrowed
        else queue_counts(run).of(queue.show)
    )
    spread = Queue(run, replace(queue, order=Order.RANDOM, seed=1))
    return ActPreview(count, lines_of(spread.first(SHOWN)))
