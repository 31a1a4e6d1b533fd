"""Ranges of scores in SQL over a run's entries, and what their indexes tell of them at once.

They are written by hand like the orders (``stretches.py``): each page of such a list asks for them
several times, once for each cell of the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.selectors.planned import planned
from refinement.selectors.queue.stretches import ENTRY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.selectors.queue.filters import Range


@dataclass(frozen=True, slots=True)
class Between:
    """A score's column, and the range that is wanted of it."""

    column: str
    wanted: Range

    def sql(self, *, leads: bool) -> str:
        """``leads``: by its own index. Else as no index knows it, so that the order's leads."""
        column = f"{ENTRY}.{self.column}" if leads else f"({ENTRY}.{self.column} + 0)"
        asked = [(">=", self.wanted.low), ("<=", self.wanted.high)]
        return " AND ".join(f"{column} {sign} %s" for sign, bound in asked if bound is not None)

    @property
    def values(self) -> list[float]:
        return [bound for bound in (self.wanted.low, self.wanted.high) if bound is not None]

    def count(self, run_id: int, cells: Sequence[int], most: int) -> int:
        """How many entries of the cells lie in it, at most ``most``. The index alone is read."""
        rows = (
            f"{_SOME} AND cell IN ({numbers(cells)}) AND {self.sql(leads=True)} LIMIT {int(most)}"
        )
        ((found,),) = planned(f"SELECT COUNT(*) FROM ({rows}) found", [run_id, *self.values])
        return int(found)

    def cells_with_any(self, run_id: int, cells: Sequence[int]) -> list[int]:
        """Those of the cells that have an entry in it: all of another would be walked in vain."""
        rows = f"{_SOME} AND cell = %s AND {self.sql(leads=True)}"
        asked = " UNION ALL ".join([f"SELECT %s WHERE EXISTS ({rows})"] * len(cells))
        values = [value for cell in cells for value in (cell, run_id, cell, *self.values)]
        return [int(cell) for (cell,) in planned(asked, values)]


def numbers(cells: Sequence[int]) -> str:
    """Cells as SQL lists them."""
    return ", ".join(str(int(cell)) for cell in cells)


_SOME = f"SELECT 1 FROM {ENTRY} WHERE run_id = %s"
