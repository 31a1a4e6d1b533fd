"""The review queue of a run: what is in it, in which order, and what comes next.

A pair is reviewable once its pipeline has ended, with a verdict or with a failure. What counts for
a pair is the human decision, else the verdict. Pages are windows around a key (keyset), so that the
last pair of a long run opens as fast as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from django.db.models import Count, F, FloatField, Q, QuerySet
from django.db.models.functions import Coalesce, Least, Substr

from refinement.models import Decision, Run, RunSample

if TYPE_CHECKING:
    from collections.abc import Mapping

TITLE_CHARACTERS = 90
Action = Decision.Action
State = RunSample.State


class Show(StrEnum):
    """Which pairs the queue holds."""

    UNDECIDED = "undecided"
    DECIDED = "decided"
    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"
    ALL = "all"


class Order(StrEnum):
    """``MARGIN``: the student's closest calls first, pairs without a comparison last."""

    POSITION = "position"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What a reviewer set the queue to."""

    show: Show = Show.UNDECIDED
    order: Order = Order.POSITION

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Self:
        """Read ``show`` and ``order``; what is unknown falls back to the default."""
        show, order = query.get("show"), query.get("order")
        return cls(
            show=Show(show) if show in set(Show) else Show.UNDECIDED,
            order=Order(order) if order in set(Order) else Order.POSITION,
        )


class Mark(StrEnum):
    """What counts for a pair now, and who said so."""

    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One pair in the list. ``margin``: how close the student's call was, in the signal's unit."""

    run_sample_id: int
    position: int
    title: str
    margin: float | None
    mark: Mark
    decided: bool
    edited: bool
    current: bool


@dataclass(frozen=True, slots=True)
class QueueWindow:
    """The lines around the current pair, and its neighbours in the same filter."""

    lines: list[QueueLine]
    previous_id: int | None
    next_id: int | None
    more_before: bool
    more_after: bool


@dataclass(frozen=True, slots=True)
class QueueCounts:
    undecided: int
    decided: int
    kept: int
    dropped: int
    failed: int
    all: int
    total: int

    def of(self, show: Show) -> int:
        return int(getattr(self, show.value))

    @property
    def unfinished(self) -> int:
        """Pairs that the teacher or the student still has to work on."""
        return self.total - self.all


REVIEWABLE = Q(state__in=[State.DONE, State.FAILED])
_NO_WORD = Q(decision=None) | Q(decision__action=Action.ACCEPT)
_BY_HAND = Q(decision__action__in=[Action.ORIGINAL, Action.CANDIDATE, Action.EDIT])
_SHOWN: dict[Show, Q] = {
    Show.UNDECIDED: REVIEWABLE & Q(decision=None),
    Show.DECIDED: Q(decision__isnull=False),
    Show.KEPT: _BY_HAND | (_NO_WORD & Q(state=State.DONE, verdict__kept=True)),
    Show.DROPPED: Q(decision__action=Action.DROP)
    | (_NO_WORD & Q(state=State.DONE, verdict__kept=False)),
    Show.FAILED: Q(state=State.FAILED),
    Show.ALL: REVIEWABLE,
}


def shown(show: Show) -> Q:
    """The condition on the pairs of a run that a filter of the queue has."""
    return _SHOWN[show]


def queue_counts(run: Run) -> QueueCounts:
    """How many pairs each filter holds, in one query."""
    found = run.run_samples.aggregate(
        total=Count("id"), **{show.value: Count("id", filter=_SHOWN[show]) for show in Show}
    )
    return QueueCounts(**found)


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
    rows = _rows(run, queue)
    if within is not None:
        rows = rows.filter(within)
    if after is not None:
        behind = _ids(_side(rows, queue.order, after, behind=True), limit)
        if behind:
            return behind
        rows = rows.exclude(pk=after.pk)
    return _ids(rows, limit)


def queue_window(
    run: Run, queue: QueueFilter, *, around: RunSample, before: int = 12, after: int = 28
) -> QueueWindow:
    """The lines before and after a pair, in three queries. The pair itself is always among them."""
    rows = _rows(run, queue)
    earlier = _lines(_side(rows, queue.order, around, behind=False)[: before + 1])
    later = _lines(_side(rows, queue.order, around, behind=True)[: after + 1])
    own = _lines(_annotated(run).filter(pk=around.pk), current=True)
    shown_earlier = list(reversed(earlier[:before]))
    return QueueWindow(
        lines=shown_earlier + own + later[:after],
        previous_id=earlier[0].run_sample_id if earlier else None,
        next_id=later[0].run_sample_id if later else None,
        more_before=len(earlier) > before,
        more_after=len(later) > after,
    )


def _margin() -> Coalesce:
    """The smaller of the student's two margins: how close its closest call was."""
    first, second = F("verdict__instruction_margin"), F("verdict__response_margin")
    # SQLite's MIN() is null when one side is, PostgreSQL's LEAST() is not: both end here alike.
    return Coalesce(Least(first, second), first, second, output_field=FloatField())


def _annotated(run: Run) -> QuerySet[RunSample, Any]:
    return RunSample.objects.filter(run=run).annotate(margin=_margin())


def _rows(run: Run, queue: QueueFilter) -> QuerySet[RunSample, Any]:
    rows = _annotated(run).filter(_SHOWN[queue.show])
    if queue.order is Order.MARGIN:
        return rows.order_by(F("margin").asc(nulls_last=True), "position")
    return rows.order_by("position")


def _side(
    rows: QuerySet[RunSample, Any], order: Order, around: RunSample, *, behind: bool
) -> QuerySet[RunSample, Any]:
    """The rows behind (or before, nearest first) a pair in the queue's order."""
    position = Q(position__gt=around.position) if behind else Q(position__lt=around.position)
    if order is Order.POSITION:
        return rows.filter(position).order_by("position" if behind else "-position")
    margin = (
        RunSample.objects.annotate(margin=_margin())
        .values_list("margin", flat=True)
        .get(pk=around.pk)
    )
    if behind:
        beyond = Q(margin__gt=margin) | Q(margin=None) if margin is not None else Q(pk__in=[])
    else:
        beyond = Q(margin__lt=margin) if margin is not None else Q(margin__isnull=False)
    same = (Q(margin=margin) if margin is not None else Q(margin=None)) & position
    by_margin = F("margin").asc(nulls_last=True) if behind else F("margin").desc(nulls_first=True)
    return rows.filter(beyond | same).order_by(by_margin, "position" if behind else "-position")


def _ids(rows: QuerySet[RunSample, Any], limit: int) -> list[int]:
    return list(rows.values_list("pk", flat=True)[:limit])


def _lines(rows: QuerySet[RunSample, Any], *, current: bool = False) -> list[QueueLine]:
    """Lines with only the beginning of each instruction, however long the texts are."""
    found = rows.annotate(title=Substr("sample__instruction", 1, TITLE_CHARACTERS)).values_list(
        "pk", "position", "title", "margin", "state", "verdict__kept", "decision__action"
    )
    return [
        QueueLine(
            run_sample_id=pk,
            position=position,
            title=" ".join(title.split()),
            margin=margin,
            mark=mark_of(state=state, verdict_kept=kept, action=action),
            decided=action is not None,
            edited=action == Action.EDIT,
            current=current,
        )
        for pk, position, title, margin, state, kept, action in found
    ]


def mark_of(*, state: str, verdict_kept: bool | None, action: str | None) -> Mark:
    """What counts for a pair: the decision, else the verdict, else where the pipeline stands."""
    if action in (Action.ORIGINAL, Action.CANDIDATE, Action.EDIT):
        return Mark.KEPT
    if action == Action.DROP:
        return Mark.DROPPED
    if state == State.FAILED:
        return Mark.FAILED
    if state != State.DONE or verdict_kept is None:
        return Mark.WORKING
    return Mark.KEPT if verdict_kept else Mark.DROPPED
