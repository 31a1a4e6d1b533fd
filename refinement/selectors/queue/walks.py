"""Walks along a queue from any of its pairs, forwards and back, as fast at its end as at its start.

A list is a few cells (``CELLS``), and an order within one cell is an index, so a page is the first
rows of a few index ranges, put together. What narrows the list is asked of each row on the way, as
long as enough rows fulfil it. Where few do, their own index finds them all, and they are sorted: at
most ``FEW``, which the first query makes sure of. So no page reads more than some thousand rows.
"""

from __future__ import annotations

from functools import cached_property
from math import isqrt
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from refinement.models import QueueEntry, Run, RunSample
from refinement.selectors.ids import one_of
from refinement.selectors.planned import planned
from refinement.selectors.queue.between import numbers
from refinement.selectors.queue.conditions import FEW, E, conditions, in_cells, led, of_run
from refinement.selectors.queue.counts import counts_of
from refinement.selectors.queue.filters import CELLS, QueueFilter
from refinement.selectors.queue.stretches import (
    ENTRY,
    SORTINGS,
    Place,
    Stretch,
    by_index,
    on_from,
    stretches_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.selectors.queue.conditions import Condition

_ANY_CELL = -9_007_199_254  # a parameter that stands for each cell, and like which is no other
COVERED = 20_000  # as FEW, where an index has all that the page asks
LINES = 42  # of a page, both directions together
MOST_TRIED = 1_500  # rows asked in lots, before all that fulfil a condition are found instead

Rows = QuerySet[RunSample, Any]


class Queue:
    """One run's queue under one filter."""

    def __init__(self, run: Run, queue: QueueFilter, within: Q | None = None) -> None:
        self.run = run
        self.filter = queue
        self.sorting = SORTINGS[queue.order]
        self.cells = CELLS[queue.show]
        self._keys: dict[int, Any] = {}
        self.within = within
        self.conditions = conditions(run, queue)
        self._lead(self._leader())

    def first(self, limit: int) -> list[int]:
        """Ids of run samples, from the start."""
        return [place.pk for place in self._go(None, limit, back=False)]

    def beside(self, around: RunSample, limit: int, *, back: bool = False) -> list[int]:
        """Ids behind a pair, or before it, the nearest first. The pair need not be in the queue."""
        return [place.pk for place in self._go(around, limit, back=back)]

    def everything(self) -> Rows:
        """All of it, in no order: for acts on the whole queue."""
        rows = self._narrowed(self.cells)
        for condition in self.conditions:
            if condition is not self.leader and condition.fits and condition.finds:
                rows = rows.filter(condition.finds)
        return rows

    # -- What is asked of many rows at once -----------------------------------------------------
    def _go(self, around: Place | RunSample | None, limit: int, *, back: bool) -> list[Place]:
        """On from a pair, a lot at a time where some of the conditions are asked of whole lots."""
        if not self.fits:
            return self._collect(self._parts(around, back=back), limit, back=back)
        found: list[Place] = []
        at, lot, tried = around, max(32, limit), 0
        while len(found) < limit and (self.leader or tried < MOST_TRIED):
            met = self._collect(self._parts(at, back=back), lot, back=back)
            if not met:
                return found
            ids = [place.pk for place in met]
            fitting = set(ids).intersection(*(fits(ids) for fits in self.fits))
            found += [place for place in met if place.pk in fitting]
            at = met[-1]
            tried, lot = tried + len(met), min(2 * lot, 1_000)
        if len(found) >= limit:
            return found[:limit]
        # Spread too thinly to be met on the way.
        self._lead(next(condition for condition in self.conditions if condition.fits))
        return self._go(around, limit, back=back)

    # -- Which index leads --------------------------------------------------------------------
    def _lead(self, leader: Condition | None) -> None:
        """Ask of each row what the leader's index does not say already."""
        self.leader = leader
        asked = [condition for condition in self.conditions if condition is not leader]
        self.asked = [condition.tells for condition in asked if condition.fits is None]
        self.ranges = [condition.between for condition in asked if condition.between]
        self.fits = [condition.fits for condition in asked if condition.fits is not None]
        if leader is not None and leader.finds is not None:
            self.asked.append(leader.finds)
        if self.within:
            self.asked.append(self.within)
        # Whether the entries tell all that is asked besides.
        self.by_entries = len(self.ranges) == len(self.asked) - (leader is not None)

    def _leader(self) -> Condition | None:
        """The condition that finds the fewest rows, if those are few."""
        found: list[tuple[int, Condition]] = []
        for condition in self.conditions:
            if condition.finds is None or condition.few is False:
                continue
            few = self._few(condition)
            count = self._count(condition, few + 1)
            if count <= few:
                found.append((count, condition))
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def _few(self, condition: Condition) -> int:
        """Up to how many rows are found and sorted, rather than met on the way."""
        if self._is_covered(condition):
            return COVERED
        if condition.between is None:
            return FEW
        # Found they are read for both directions; a page that meets them passes, for each of its
        # lines, as many as there are to one of them. This is where both come to the same.
        return min(FEW, isqrt(LINES // 2 * counts_of(self.run).total))

    def _count(self, condition: Condition, most: int) -> int:
        """How many the condition finds, counted up to ``most``."""
        if condition.ids is not None:
            return len(condition.ids)
        if condition.counts is None:
            return self._count_found(condition, most)
        if self._is_covered(condition):
            return self._count_marked(condition.mark, most)
        if condition.between:
            return condition.between.count(self.run.pk, self.cells, most)
        entries = QueueEntry.objects.filter(condition.counts, run=self.run)
        # Every index has the position, so the index alone is read.
        return entries.order_by().values_list("position")[:most].count()

    def _count_marked(self, mark: str, most: int) -> int:
        rows = f"SELECT 1 FROM {by_index(mark)} WHERE run_id = %s AND {mark} LIMIT {int(most)}"
        ((found,),) = planned(f"SELECT COUNT(*) FROM ({rows}) found", [self.run.pk])
        return int(found)

    def _is_covered(self, condition: Condition) -> bool:
        """Whether its index has all that is asked, so that no row of the table is read."""
        return bool(condition.mark) and len(self.conditions) == 1 and not self.within

    def _count_found(self, condition: Condition, most: int) -> int:
        rows = of_run(RunSample.objects.filter(condition.finds), self.run, condition)
        if condition.needs_cells:
            rows = rows.filter(in_cells(self.cells))
        return rows.order_by().values_list("pk")[:most].count()

    # -- Rows ---------------------------------------------------------------------------------
    def _narrowed(self, cells: Sequence[int]) -> Rows:
        rows = of_run(RunSample.objects.all(), self.run, self.leader)
        if self.leader is None or self.leader.needs_cells:
            rows = rows.filter(in_cells(cells))
        else:
            rows = led(rows).filter(in_cells(cells, led=True))
        for condition in self.asked:
            rows = rows.filter(condition)
        return rows

    def _parts(self, around: Place | RunSample | None, *, back: bool) -> list[Stretch]:
        """The ranges that lie on the way."""
        if around is None:
            return stretches_of(self.filter)
        return on_from(self.filter, around, self._key(around.pk), back=back)

    def _key(self, run_sample_id: int) -> Any:
        """What the pair is ordered by, read once for both directions."""
        if self.sorting.column == "position":
            return None  # known without a look; the stretch is one
        if run_sample_id not in self._keys:
            key = f"SELECT {self.sorting.column} FROM {ENTRY} WHERE run_sample_id = %s"
            found = planned(key, [run_sample_id])
            self._keys[run_sample_id] = found[0][0] if found else None
        return self._keys[run_sample_id]

    # -- Putting the ranges together ----------------------------------------------------------
    def _collect(self, stretches: list[Stretch], limit: int, *, back: bool) -> list[Place]:
        """One statement over all ranges, each cut where no more of it could be needed."""
        if self.by_entries and self.leader is None:
            return self._merge(stretches, limit, back=back)
        down = self.sorting.goes_down(back=back)
        texts: list[str] = []
        parameters: list[Any] = []
        for stretch in stretches:
            try:
                sql, values = self._cut(stretch, limit, down=down)
            except EmptyResultSet:
                continue  # a search without a word finds nothing
            # The same statement for each cell: putting it together takes longer than running it.
            for cell in (None,) if self.leader else self._walked_cells:
                # Names differ between databases and between columns, so they are given by place.
                texts.append(f"SELECT {stretch.number} AS stretch, p.* FROM ({sql}) p")
                parameters += [cell if value == _ANY_CELL else value for value in values]
        if not texts:
            return []
        direction = "DESC" if down else "ASC"
        first = "DESC" if back else "ASC"
        statement = (
            " UNION ALL ".join(texts)
            + f" ORDER BY 1 {first}, 3 {direction}, 4 {direction} LIMIT {int(limit)}"
        )
        if self.leader and self.leader.ids is not None and self.by_entries:
            return _places(planned(statement, parameters))
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return _places(cursor.fetchall())

    def _merge(self, stretches: list[Stretch], limit: int, *, back: bool) -> list[Place]:
        """The same by hand. Both databases go along the order's index in all cells at once, and
        stop at the last row that is asked for: PostgreSQL as each part is ordered by what the whole
        is, SQLite as the whole is.
        """
        direction = "DESC" if self.sorting.goes_down(back=back) else "ASC"
        order = f"3 {direction}, 4 {direction} LIMIT {int(limit)}"
        # Of what the order goes by, the range is a part of its index.
        ranges = [one.sql(leads=one.column == self.sorting.column) for one in self.ranges]
        among = " AND ".join(["cell = %s", *ranges])
        asked = [value for one in self.ranges for value in one.values]
        texts, parameters = [], []
        for stretch in stretches if self._walked_cells else ():
            rows = stretch.entries(self.sorting.column, among=among)
            if connection.vendor == "postgresql":  # cut, or it might read and sort all there is
                rows = f"SELECT * FROM ({rows} ORDER BY {order}) cut"
            together = " UNION ALL ".join([rows] * len(self._walked_cells))
            texts.append(f"{together} ORDER BY {order}")
            for cell in self._walked_cells:
                parameters += [self.run.pk, cell, *asked, *stretch.values]
        if not texts:
            return []
        statement = texts[0]
        if len(texts) > 1:
            first = "DESC" if back else "ASC"
            parts = (f"SELECT * FROM ({text}) part" for text in texts)
            statement = " UNION ALL ".join(parts) + f" ORDER BY 1 {first}, {order}"
        # Nothing but the order's index could lead, whatever is asked of it.
        return _places(planned(statement, parameters))

    @cached_property
    def _walked_cells(self) -> Sequence[int]:
        """Those that have something of each range: another would be walked to its end."""
        cells: Sequence[int] = self.cells
        for one in self.ranges:
            cells = one.cells_with_any(self.run.pk, cells) if cells else []
        return cells

    def _cut(self, stretch: Stretch, limit: int, *, down: bool) -> tuple[str, Sequence[Any]]:
        """The statement for the first rows of one range: pair, key and position.

        By the order's own column even where it is the same throughout a stretch: PostgreSQL then
        reads the order's index, and not one that has the stretch's rows among all others.
        """
        if self.leader is not None and self._is_covered(self.leader):
            # No other index shall lead by the cell.
            among = f"{self.leader.mark} AND cell + 0 IN ({numbers(self.cells)})"
            return self._cut_led(self.leader.mark, [among], [], stretch, limit, down=down)
        if self.leader is not None and self.leader.ids is not None and self.by_entries:
            known, ids = one_of("run_sample_id", self.leader.ids)
            asked = [known, f"cell + 0 IN ({numbers(self.cells)})"]
            asked += [one.sql(leads=False) for one in self.ranges]
            values = [ids, *(value for one in self.ranges for value in one.values)]
            return self._cut_led(None, asked, values, stretch, limit, down=down)
        if self.leader is not None and self.leader.between and self.by_entries:
            own, others = self.leader.between, self.ranges
            among = f"cell IN ({numbers(self.cells)}) AND {own.sql(leads=True)}"
            asked = [among, *(one.sql(leads=False) for one in others)]
            values = [value for one in (own, *others) for value in one.values]
            return self._cut_led(own.column, asked, values, stretch, limit, down=down)
        rows = self._narrowed(self.cells if self.leader else (_ANY_CELL,))
        if stretch.where:
            bounds = RawSQL(" AND ".join(stretch.where), stretch.values, BooleanField())
            rows = rows.filter(bounds)
        sign = "-" if down else ""
        rows = rows.order_by(f"{sign}{E}{self.sorting.column}", f"{sign}{E}position")
        cut = rows.values_list("pk", f"{E}{stretch.column}", f"{E}position")[:limit]
        return cut.query.sql_with_params()

    def _cut_led(
        self,
        index: str | None,
        among: list[str],
        values: list[Any],
        stretch: Stretch,
        limit: int,
        *,
        down: bool,
    ) -> tuple[str, Sequence[Any]]:
        """The same where the entries have all that is asked, and an index of theirs leads.

        ``None``: their ids do, and none that begins with the run shall.
        """
        sql = stretch.rows(
            self.sorting.column,
            limit,
            down=down,
            among=" AND ".join(among),
            source=by_index(index) if index else ENTRY,
            run="run_id" if index else "run_id + 0",
        )
        return sql, (self.run.pk, *values, *stretch.values)


def _places(rows: list[tuple[Any, ...]]) -> list[Place]:
    """Of rows of a stretch's number, a pair, its key and its position."""
    return [Place(row[1], row[3]) for row in rows]
