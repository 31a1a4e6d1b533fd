"""The orders of a queue as ranges of its entries' indexes.

They are written in SQL: each page of each list asks for them, and Django takes several times longer
to put such a statement together than a database to run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from refinement.models import QueueEntry
from refinement.selectors.queue.filters import Order

if TYPE_CHECKING:
    from refinement.models import RunSample
    from refinement.selectors.queue.filters import QueueFilter

ENTRY = QueueEntry._meta.db_table


@dataclass(frozen=True, slots=True)
class Sorting:
    """An order's column, from the low end or the high one. The file's order where it is equal."""

    column: str
    down: bool = False
    nullable: bool = False

    def goes_down(self, *, back: bool) -> bool:
        return self.down is not back


SORTINGS: dict[Order, Sorting] = {
    Order.POSITION: Sorting("position"),
    Order.MARGIN: Sorting("margin", nullable=True),
    Order.IFD: Sorting("ifd", down=True, nullable=True),
    Order.R_IFD: Sorting("r_ifd", nullable=True),
    Order.LENGTH: Sorting("length", down=True),
    Order.DISAGREEMENT: Sorting("disagreement", down=True),
    Order.RANDOM: Sorting("shuffle"),
}


class Place(NamedTuple):
    """A pair by what a walk knows of it."""

    pk: int
    position: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an order that is one range of its index; an order is one or two of these.

    ``column`` tells its rows apart, ``where`` and ``values`` are its bounds. ``from_above``:
    whether it is bounded above or below, where it is.
    """

    number: int
    column: str
    where: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    from_above: bool | None = None

    def beyond(self, around: Place | RunSample, key: Any, *, down: bool) -> Stretch:
        """What lies behind a pair with this key in it."""
        sign = "<" if down else ">"
        if self.column == "position" or key is None:
            bound, values = f"{ENTRY}.position {sign} %s", [around.position]
        else:  # one step along an index, where an OR would be two
            sides = f"({ENTRY}.{self.column}, {ENTRY}.position)"
            bound, values = f"{sides} {sign} (%s, %s)", [key, around.position]
            if self.from_above is down:
                # The pair's place is the closer bound of the two, and SQLite would begin at the
                # other: at a million pairs it passed half of them.
                return Stretch(self.number, self.column, (bound,), tuple(values))
        return Stretch(self.number, self.column, (*self.where, bound), (*self.values, *values))

    def entries(self, ordered_by: str, *, among: str) -> str:
        """All of its rows in no order: its number, pair, what it is ordered by, and position."""
        return (
            f"SELECT {self.number} AS stretch, run_sample_id, {ordered_by} AS ranked, "
            f"position AS place FROM {ENTRY} WHERE "
            + " AND ".join(("run_id = %s", among, *self.where))
        )

    def rows(
        self,
        ordered_by: str,
        limit: int,
        *,
        down: bool,
        among: str,
        source: str = ENTRY,
        run: str = "run_id",
    ) -> str:
        """Pair, key and position of its first rows; its values follow a run's id and ``among``'s.

        ``among``: what is asked of the entries besides. ``run``: the run as the index knows it.
        """
        direction = "DESC" if down else "ASC"
        return (
            f"SELECT run_sample_id, {self.column} AS key, position AS place FROM {source} WHERE "
            + " AND ".join((f"{run} = %s", among, *self.where))
            + f" ORDER BY {ordered_by} {direction}, position {direction} LIMIT {int(limit)}"
        )


def by_index(column: str) -> str:
    """The entries by a column's index: SQLite takes any other one that begins with the run."""
    return f"{ENTRY} INDEXED BY queue_{column}" if connection.vendor == "sqlite" else ENTRY


def stretches_of(queue: QueueFilter) -> list[Stretch]:
    """All of an order, from its start."""
    sorting = SORTINGS[queue.order]
    column = sorting.column
    if queue.order is Order.RANDOM:
        start = (_start(queue.seed),)
        return [
            Stretch(0, column, (f"{ENTRY}.shuffle >= %s",), start, from_above=False),
            Stretch(1, column, (f"{ENTRY}.shuffle < %s",), start, from_above=True),
        ]
    if sorting.nullable:
        return [
            Stretch(0, column, (f"{ENTRY}.{column} IS NOT NULL",)),
            Stretch(1, "position", (f"{ENTRY}.{column} IS NULL",)),
        ]
    return [Stretch(0, column)]


def on_from(
    queue: QueueFilter, around: Place | RunSample, key: Any, *, back: bool
) -> list[Stretch]:
    """What of the order lies behind a pair, or before it; ``key`` is the pair's in the order."""
    sorting = SORTINGS[queue.order]
    if queue.order is Order.RANDOM:
        here = 0 if key is None or key >= _start(queue.seed) else 1
    else:
        here = 1 if key is None and sorting.nullable else 0
    stretches = stretches_of(queue)
    beyond = stretches[here].beyond(around, key, down=sorting.goes_down(back=back))
    return [*stretches[:here], beyond] if back else [beyond, *stretches[here + 1 :]]


def _start(seed: int) -> int:
    """Where in the shuffled run a seed begins: neighbouring seeds lie far from each other."""
    return (seed * 2_654_435_761) % (2**31 - 1)
