"""How many pairs an export would hold now, counted by the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Count, F

from refinement.selectors.selection import (
    DROPPED_BY_HAND,
    FAILED,
    KEPT,
    SCORE_COLUMNS,
    UNFINISHED,
    SelectedPair,
    of_choice,
    read_pairs,
    selected_rows,
    with_scores,
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


def selection_figures(rows: QuerySet[RunSample, Any]) -> dict[str, float | None]:
    """Means over the kept pairs, of the original and of what leaves: IFD, r-IFD, length.

    Lengths are in tokens of the student; ``None`` where nothing was scored.
    """
    kept = with_scores(rows.filter(KEPT)).annotate(
        response_tokens_before=F("first__response_tokens"),
        response_tokens_after=of_choice("score__response_tokens", F("first__response_tokens")),
    )
    names = (*SCORE_COLUMNS, "response_tokens_before", "response_tokens_after")
    return kept.order_by().aggregate(**{f"mean_{name}": Avg(name) for name in names})


def export_preview(run: Run) -> SelectionCounts:
    """One query, whatever the size of the run."""
    return count_selection(selected_rows(run))


def first_selected(run: Run, count: int) -> list[SelectedPair]:
    """The first pairs that an export would hold."""
    return list(read_pairs(selected_rows(run).filter(KEPT)[:count]))
