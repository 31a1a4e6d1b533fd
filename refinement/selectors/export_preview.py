"""How many pairs an export would hold now, counted by the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Avg, Count, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from refinement.selectors.selection import (
    DROPPED_BY_HAND,
    FAILED,
    KEPT,
    UNFINISHED,
    SelectedPair,
    of_choice,
    outcome_rows,
    read_pairs,
    selected_rows,
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


COLUMNS = ("source", "reason", "action", "overrides")  # whose values are counted
FIGURES = ("ifd", "r_ifd", "response_tokens")  # of a score, whose means are told


def count_selection(rows: QuerySet[RunSample, Any]) -> SelectionCounts:
    """What ``outcome_rows`` come to, in one query."""
    return _counted(rows.values_list(*COLUMNS).annotate(pairs=Count("pk")))


def mean_figures(rows: QuerySet[RunSample, Any]) -> dict[str, float | None]:
    """Means over the kept pairs, of the original (``_before``) and of what leaves (``_after``).

    They are of IFD, r-IFD and the response's tokens of the student; ``None`` where nothing was
    scored. One query, which reads the scores once and tells them apart: joined for each of the
    three texts that may leave, they take PostgreSQL twice as long.
    """
    of_original = Q(scores__candidate=None)
    chosen = Coalesce(of_choice("pk", Value(None)), 0)
    leaves = Exact(Coalesce("scores__candidate_id", 0), chosen)
    means = {
        f"mean_{name}_{when}": Avg(f"scores__{name}", filter=which)
        for when, which in (("before", of_original), ("after", leaves))
        for name in FIGURES
    }
    return rows.filter(KEPT).aggregate(**means)


def count_unscorable(rows: QuerySet[RunSample, Any]) -> dict[str, int]:
    """Of these run samples: the originals and the rewrites without a score."""
    return rows.filter(scores__status="unscorable").aggregate(
        originals=Count("scores", filter=Q(scores__candidate=None)),
        rewrites=Count("scores", filter=Q(scores__candidate__isnull=False)),
    )


def _counted(groups: Iterable[tuple[Any, ...]]) -> SelectionCounts:
    counts = SelectionCounts()
    for source, reason, action, overrides, pairs in groups:
        counts.total += pairs
        counts.overrides += pairs if overrides else 0
        if action:
            counts.actions[action] += pairs
        if reason:
            counts.reasons[reason] += pairs
        else:
            counts.kept += pairs
            counts.sources[source] += pairs
    return counts


def export_preview(run: Run) -> SelectionCounts:
    """One query, whatever the size of the run."""
    return count_selection(outcome_rows(run))


def first_selected(run: Run, count: int) -> list[SelectedPair]:
    """The first pairs that an export would hold."""
    return list(read_pairs(selected_rows(run).filter(KEPT)[:count]))
