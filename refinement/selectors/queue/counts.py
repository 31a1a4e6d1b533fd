"""The kept counts of a run: read, never counted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refinement.models import RunCount
from refinement.selectors.ids import one_of
from refinement.selectors.planned import planned
from refinement.selectors.queue.filters import CELLS, Show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refinement.models import Run


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


@dataclass(frozen=True, slots=True)
class Judged:
    """How many samples the student judged alike. ``accepted``: bits as in ``QueueEntry``.

    The tokens are sums over those whose response rewrite was accepted, before and after it.
    """

    judged: int
    accepted: int
    kept: bool | None
    n: int
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Counts:
    """All that is counted of a run."""

    cells: dict[int, int] = field(default_factory=dict)
    states: dict[str, dict[str, int]] = field(default_factory=dict)  # stage -> state -> samples
    reasons: dict[str, int] = field(default_factory=dict)  # of failures
    judged: list[Judged] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(sum(states.values()) for states in self.states.values())

    def in_state(self, state: str) -> int:
        return sum(states.get(state, 0) for states in self.states.values())


def counts_of(run: Run) -> Counts:
    """In one query over some dozens of rows."""
    return counts_of_runs([run.pk])[run.pk]


def counts_of_runs(run_ids: Iterable[int]) -> dict[int, Counts]:
    """The counts of several runs in one query; of a run without samples, all empty."""
    found: dict[int, Counts] = defaultdict(Counts)
    ids = list(run_ids)
    if not ids:
        return found
    # By hand, as each page of a run and of the room asks for it.
    asked, value = one_of("run_id", ids)
    rows = planned(
        "SELECT run_id, key, SUM(n), SUM(tokens_before), SUM(tokens_after) "
        f"FROM {RunCount._meta.db_table} WHERE {asked} GROUP BY run_id, key",
        [value],
    )
    for run_id, key, *sums in rows:
        n, before, after = map(int, sums)
        if not n:
            continue
        kind, _, rest = key.partition(":")
        counts = found[run_id]
        if kind == "cell":
            counts.cells[int(rest)] = n
        elif kind == "state":
            stage, _, state = rest.partition(":")
            counts.states.setdefault(stage, {})[state] = n
        elif kind == "reason":
            counts.reasons[rest] = n
        else:
            judged, accepted, kept = rest.split(":")
            kept_word = None if not kept else kept == "1"
            counts.judged.append(Judged(int(judged), int(accepted), kept_word, n, before, after))
    return found


def queue_counts(run: Run) -> QueueCounts:
    """How many pairs each list holds."""
    counts = counts_of(run)
    shown = {
        show.value: sum(counts.cells.get(cell, 0) for cell in cells)
        for show, cells in CELLS.items()
    }
    return QueueCounts(total=counts.total, **shown)
