"""The review queue of a run: what is in it, in which order, and what comes next.

A pair is reviewable once its pipeline has ended, with a verdict or with a failure. What counts for
a pair is the human decision, else the verdict. Pages are windows around a key (keyset), so that the
last pair of a long run opens as fast as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.selectors.queue.counts import Counts, QueueCounts, counts_of, queue_counts
from refinement.selectors.queue.filters import FLAGS, Order, Phase, QueueFilter, Show
from refinement.selectors.queue.lines import Mark, QueueLine, lines_of, mark_of
from refinement.selectors.queue.walks import Queue

if TYPE_CHECKING:
    from django.db.models import Q

    from refinement.models import Run, RunSample

__all__ = [
    "FLAGS",
    "Counts",
    "Mark",
    "Order",
    "Phase",
    "Queue",
    "QueueCounts",
    "QueueFilter",
    "QueueLine",
    "QueueWindow",
    "Show",
    "counts_of",
    "mark_of",
    "next_pair",
    "next_pairs",
    "queue_counts",
    "queue_window",
]


@dataclass(frozen=True, slots=True)
class QueueWindow:
    """The lines around the current pair, and its neighbours in the same filter."""

    lines: list[QueueLine]
    previous_id: int | None
    next_id: int | None
    more_before: bool
    more_after: bool


def next_pair(run: Run, queue: QueueFilter, *, after: RunSample | None = None) -> int | None:
    """The id of the first pair behind ``after``, or from the start where the list has ended.

    ``None``: nothing but perhaps ``after`` itself is left in this filter.
    """
    return next(iter(next_pairs(run, queue, after=after, limit=1)), None)


def next_pairs(
    run: Run,
    queue: QueueFilter,
    *,
    after: RunSample | None = None,
    within: Q | None = None,
    limit: int = 1,
) -> list[int]:
    """The ids of the next pairs as for ``next_pair``, of those alone that fulfil ``within``."""
    walk = Queue(run, queue, within)
    if after is None:
        return walk.first(limit)
    behind = walk.beside(after, limit)
    if behind:
        return behind
    return [pk for pk in walk.first(limit + 1) if pk != after.pk][:limit]


def queue_window(
    run: Run, queue: QueueFilter, *, around: RunSample, before: int = 12, after: int = 28
) -> QueueWindow:
    """The lines before and after a pair. The pair itself is always among them."""
    walk = Queue(run, queue)
    earlier = walk.beside(around, before + 1, back=True)
    later = walk.beside(around, after + 1)
    ids = [*reversed(earlier[:before]), around.pk, *later[:after]]
    return QueueWindow(
        lines=lines_of(ids, current=around.pk),
        previous_id=earlier[0] if earlier else None,
        next_id=later[0] if later else None,
        more_before=len(earlier) > before,
        more_after=len(later) > after,
    )
