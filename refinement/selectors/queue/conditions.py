"""A queue's filter as conditions on run samples, each with the index that finds its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from refinement.selectors.ids import by_ids
from refinement.selectors.queue.between import Between
from refinement.selectors.queue.filters import PHASES
from refinement.selectors.queue.texts import few_with_words, ids_with_words, pairs_with_words
from refinement.selectors.queue.turned import Turned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.models import QuerySet

    from refinement.models import Run, RunSample
    from refinement.selectors.queue.filters import QueueFilter, Range

E = "queue_entry__"
FEW = 4_000  # rows that their own index finds and a page sorts, rather than meeting them on the way


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """``tells``: what one row is asked. ``finds``: the same where its own index leads, if it can.

    ``needs_cells``: the index begins with the cell, so the rows are looked for in each. ``fits``:
    which of some rows fulfil it, in place of ``tells`` where it is cheaper to ask many at once.
    ``few``: whether few enough fulfil it to find all; ``None``: to be counted. ``ids``: all that
    fulfil it, where they are few and known already.
    ``counts``: the same as ``finds`` of the queue's entries alone, where their index tells it.
    ``mark``: a column of the entry whose index has all that a list of the mark needs. ``between``:
    the same as a range of the entry's scores.
    """

    tells: Q = field(default_factory=Q)
    finds: Q | None = None
    counts: Q | None = None
    needs_cells: bool = False
    fits: Callable[[Sequence[int]], set[int]] | None = None
    few: bool | None = None
    ids: Sequence[int] | None = None
    mark: str = ""
    between: Between | None = None


def conditions(run: Run, queue: QueueFilter) -> list[Condition]:
    """All that narrows the list, in no order."""
    found = [_range(name, wanted) for name, wanted in queue.ranges]
    if queue.verdict:
        found.append(_verdict(queue.verdict))
    if queue.decision:
        found.append(_of_entry(action=queue.decision))
    if queue.reviewer:
        found.append(_of_entry(decided_by__username=queue.reviewer))
    if queue.phase is not None:
        found.append(Condition(Q(**{f"{E}accepted": PHASES[queue.phase], f"{E}judged": 2})))
    if queue.flag == "flagged":
        by_people = Q(flag__isnull=False)
        found.append(Condition(by_people, by_people))
    elif queue.flag:
        found.append(replace(_of_entry(**{queue.flag: True}), mark=queue.flag))
    if queue.text:
        found.append(_text(run, queue.text))
    if queue.turned:
        turned = Turned(run, queue.turned, against=queue.against)
        found.append(_few_or_many(turned.ids.tolist(), turned.fits))
    return found


def _text(run: Run, search: str) -> Condition:
    ids = few_with_words(run, search)
    fits = partial(pairs_with_words, search)
    if ids is None:
        return Condition(finds=ids_with_words(run, search), fits=fits, few=False)
    return _few_or_many(ids, fits)


def _few_or_many(ids: list[int], fits: Callable[[Sequence[int]], set[int]]) -> Condition:
    few = len(ids) <= FEW
    return Condition(finds=by_ids(ids), fits=fits, few=few, ids=ids if few else None)


def _verdict(word: str) -> Condition:
    if word in ("kept", "dropped"):
        return Condition(Q(**{f"{E}verdict_kept": word == "kept"}))
    if word == "none":
        return Condition(Q(**{f"{E}verdict_kept": None}))
    return _of_entry(verdict_code=word)


def _of_entry(**columns: Any) -> Condition:
    """Columns of the entry that have an index of their own."""
    of_pair = Q(**{f"{E}{name}": value for name, value in columns.items()})
    return Condition(of_pair, of_pair, Q(**columns))


def _range(name: str, wanted: Range) -> Condition:
    column = F(f"{E}{name}")
    # As no index knows it: where it is asked of rows on the way, the order's index leads.
    met, found, counted = (_within(one, wanted) for one in (column + 0, column, F(name)))
    return Condition(met, found, counted, needs_cells=True, between=Between(name, wanted))


def _within(column: Any, wanted: Range) -> Q:
    inside = Q()
    if wanted.low is not None:
        inside &= Q(GreaterThanOrEqual(column, wanted.low))
    if wanted.high is not None:
        inside &= Q(LessThanOrEqual(column, wanted.high))
    return inside


def in_cells(cells: Sequence[int], *, led: bool = False) -> Q:
    """In one of these cells. ``led``: another index leads, and must not be given up for this one's.

    Databases that guess wrongly how rare something is would walk the whole run instead.
    """
    if led:
        return Q(led_cell__in=[int(cell) for cell in cells])
    return Q(**{f"{E}cell__in": [int(cell) for cell in cells]})


def led(rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
    """With ``led_cell``, the cell as no index knows it."""
    return rows.alias(led_cell=F(f"{E}cell") + 0)


def of_run(
    rows: QuerySet[RunSample, Any], run: Run, leader: Condition | None
) -> QuerySet[RunSample, Any]:
    """Those of a run, by the leader's index, or by the order's where none leads.

    Where the leader's index does not begin with the run, the run is told as no index knows it:
    without statistics SQLite would read all pairs of the run and ask each.
    """
    if leader is None or leader.counts is not None:
        return rows.filter(queue_entry__run=run)
    return rows.alias(led_run=F(f"{E}run_id") + 0).filter(led_run=run.pk)
