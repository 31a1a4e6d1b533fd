"""A queue's filter as conditions on run samples, each with the index that finds its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, F, Func, Q

from refinement.selectors.queue.filters import PHASES
from refinement.selectors.queue.texts import has_words, ids_with_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from refinement.models import Run, RunSample
    from refinement.selectors.queue.filters import Cell, QueueFilter, Range

E = "queue_entry__"


@dataclass(frozen=True, slots=True)
class Condition:
    """``tells``: what one row is asked. ``finds``: the same where its own index leads, if it can.

    ``needs_cells``: the index begins with the cell, so the rows are looked for in each.
    """

    tells: Q
    finds: Q | None = None
    needs_cells: bool = False


def conditions(run: Run, queue: QueueFilter) -> list[Condition]:
    """All that narrows the list, in no order."""
    found = [_range(name, wanted) for name, wanted in queue.ranges]
    if queue.verdict:
        found.append(_verdict(queue.verdict))
    if queue.decision:
        decided = Q(**{f"{E}action": queue.decision})
        found.append(Condition(decided, decided))
    if queue.reviewer:
        by = Q(**{f"{E}decided_by__username": queue.reviewer})
        found.append(Condition(by, by))
    if queue.phase is not None:
        found.append(Condition(Q(**{f"{E}accepted": PHASES[queue.phase], f"{E}judged": 2})))
    if queue.flag == "flagged":
        by_people = Q(flag__isnull=False)
        found.append(Condition(by_people, by_people))
    elif queue.flag:
        flagged = Q(**{f"{E}{queue.flag}": True})
        found.append(Condition(flagged, flagged))
    if queue.text:
        found.append(Condition(has_words(queue.text), ids_with_words(run, queue.text)))
    return found


def _verdict(word: str) -> Condition:
    if word in ("kept", "dropped"):
        return Condition(Q(**{f"{E}verdict_kept": word == "kept"}))
    if word == "none":
        return Condition(Q(**{f"{E}verdict_kept": None}))
    coded = Q(**{f"{E}verdict_code": word})
    return Condition(coded, coded)


def _range(name: str, wanted: Range) -> Condition:
    inside = Q()
    if wanted.low is not None:
        inside &= Q(**{f"{E}{name}__gte": wanted.low})
    if wanted.high is not None:
        inside &= Q(**{f"{E}{name}__lte": wanted.high})
    return Condition(inside, inside, needs_cells=True)


class Behind(Func):
    """``(key, position) > (a, b)``: one step along an index, where an OR would be two."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, *sides: Any, operator: str = ">") -> None:
        super().__init__(*sides)
        self.operator = operator

    def as_sql(  # type: ignore[override]
        self, compiler: Any, *_: Any, **__: Any
    ) -> tuple[str, list[Any]]:
        compiled = [compiler.compile(side) for side in self.get_source_expressions()]
        half = len(compiled) // 2
        left, right = (
            ", ".join(sql for sql, _ in part) for part in (compiled[:half], compiled[half:])
        )
        return f"({left}) {self.operator} ({right})", [p for _, params in compiled for p in params]


def in_cells(cells: Sequence[Cell], *, led: bool = False) -> Q:
    """In one of these cells. ``led``: another index leads, and must not be given up for this one's.

    Databases that guess wrongly how rare something is would walk the whole run instead.
    """
    if led:
        return Q(led_cell__in=[int(cell) for cell in cells])
    return Q(**{f"{E}cell__in": [int(cell) for cell in cells]})


def led(rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
    """With ``led_cell``, the cell as no index knows it."""
    return rows.alias(led_cell=F(f"{E}cell") + 0)
