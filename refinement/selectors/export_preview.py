"""How many pairs an export would hold now, counted by the database."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, Sum

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
    from collections.abc import Iterable

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


COLUMNS = ("kept", "source", "reason", "action", "overrides")  # whose values are counted
FIGURES = (*SCORE_COLUMNS, "response_tokens_before", "response_tokens_after")


def count_selection(rows: QuerySet[RunSample, Any]) -> SelectionCounts:
    """What ``selected_rows`` come to, in one query."""
    groups = rows.order_by().values_list(*COLUMNS).annotate(pairs=Count("pk"))
    return _counted(groups)


def measure_selection(
    rows: QuerySet[RunSample, Any],
) -> tuple[SelectionCounts, dict[str, float | None]]:
    """The counts, and means over the kept pairs, of the original and of what leaves; in one query.

    The means are of IFD, r-IFD and the response's tokens of the student; ``None`` where nothing
    was scored.
    """
    rows = with_scores(rows).annotate(
        response_tokens_before=F("first__response_tokens"),
        response_tokens_after=of_choice("score__response_tokens", F("first__response_tokens")),
    )
    sums = {f"{way.name}_{name}": way(name) for name in FIGURES for way in (Sum, Count)}
    groups = list(rows.order_by().values_list(*COLUMNS).annotate(pairs=Count("pk"), **sums))
    figures: dict[str, float | None] = {}
    for number, name in enumerate(FIGURES):
        at = len(COLUMNS) + 1 + 2 * number
        found = [group[at : at + 2] for group in groups if group[0] and group[at + 1]]
        total, count = math.fsum(group[0] for group in found), sum(group[1] for group in found)
        figures[f"mean_{name}"] = total / count if count else None
    return _counted(group[: len(COLUMNS) + 1] for group in groups), figures


def _counted(groups: Iterable[tuple[Any, ...]]) -> SelectionCounts:
    counts = SelectionCounts()
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
