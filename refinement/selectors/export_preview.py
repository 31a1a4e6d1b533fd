"""How many pairs an export would hold now, counted by the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Count

from refinement.selectors.selection import (
    DROPPED_BY_HAND,
    FAILED,
    KEPT,
    UNFINISHED,
    SelectedPair,
    read_pairs,
    selected_rows,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import Run, RunSample


@dataclass(slots=True)
class SelectionCounts:
    """Counts of samples. ``sources``: of the kept ones, by where their text comes from."""

    total: int = 0
    kept: int = 0
    overrides: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # of those that are not kept
    actions: Counter[str] = field(default_factory=Counter)  # of people

    @property
    def decided(self) -> int:
        return self.actions.total()

    @property
    def dropped_by_hand(self) -> int:
        return self.reasons[DROPPED_BY_HAND]

    @property
    def failed(self) -> int:
        return self.reasons[FAILED]

    @property
    def unfinished(self) -> int:
        return self.reasons[UNFINISHED]

    @property
    def dropped_by_student(self) -> int:
        return self.total - self.kept - self.dropped_by_hand - self.failed - self.unfinished


def count_selection(rows: QuerySet[RunSample, Any]) -> SelectionCounts:
    """What ``selected_rows`` come to, in one query."""
    counts = SelectionCounts()
    columns = ("kept", "source", "reason", "action", "overrides")
    groups = rows.order_by().values_list(*columns).annotate(pairs=Count("pk"))
    for kept, source, reason, action, overrides, pairs in groups:
        counts.total += pairs
        counts.overrides += pairs if overrides else 0
        if action:
            counts.actions[action] += pairs
        if kept:
            counts.kept += pairs
            counts.sources[source] += pairs
        else:
            counts.reasons[reason] += pairs
    return counts


def export_preview(run: Run) -> SelectionCounts:
    """One query, whatever the size of the run."""
    return count_selection(selected_rows(run))


def first_selected(run: Run, count: int) -> list[SelectedPair]:
    """The first pairs that an export would hold."""
    return list(read_pairs(selected_rows(run).filter(KEPT)[:count]))
