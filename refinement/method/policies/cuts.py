"""Keeping only so many of the pairs that pass: the best by a signal, or a spread of the better."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from refinement.method.policies.columns import CODES
from refinement.method.policies.diversity import facility_location
from refinement.method.policies.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from refinement.method.policies.columns import Columns, Outcome
    from refinement.method.specs import PolicySpec

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]
    Embeddings = Callable[[Rows], NDArray[np.float32]]

POOL = 4  # times what is wanted: diversity chooses among the better, not among all
_BELOW_CUT = CODES.index("below_cut")


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut did. ``rows`` stay; ``edge`` is the last value among them, as shown."""

    outcome: Outcome
    rows: Rows
    wanted: int
    edge: float | None


def cut(
    spec: PolicySpec,
    columns: Columns,
    outcome: Outcome,
    embeddings: Embeddings | None = None,
) -> Cut:
    """Mark what passes the filters but not the cut as ``below_cut``.

    Equal values go by position. Pairs without the signal come last. With ``spec.diverse`` the
    ``embeddings`` of the best ``POOL`` times as many are asked for; without ``embeddings`` the best
    are taken as if it were off.
    """
    passing = np.flatnonzero(outcome.kept)
    wanted = how_many(spec, len(passing))
    signal = SIGNALS[spec.top_by]
    values = signal.of_all(columns.mixed(outcome.version))[passing]
    order = passing[_best_first(values, higher=signal.higher_wins)]
    if spec.diverse and embeddings is not None:
        pool = order[: POOL * wanted]
        rows = pool[facility_location(embeddings(pool), wanted)]
        edge = None
    else:
        rows = order[:wanted]
        last = signal.of_all(columns.mixed(outcome.version))[rows[-1]] if wanted else math.nan
        edge = None if math.isnan(last) else signal.shown(float(last))
    code = outcome.code.copy()
    code[passing] = _BELOW_CUT
    code[rows] = CODES.index("kept")
    return Cut(outcome=replace(outcome, code=code), rows=rows, wanted=wanted, edge=edge)


def how_many(spec: PolicySpec, passing: int) -> int:
    """How many of the passing pairs stay: at least one where any passes."""
    if spec.top_count is not None:
        return min(spec.top_count, passing)
    if spec.top_percent is not None:
        return min(passing, math.ceil(round(passing * spec.top_percent / 100, 6)))
    return passing


def sentence(spec: PolicySpec, done: Cut) -> str:
    """Why a pair that passes every filter is not kept."""
    signal = SIGNALS[spec.top_by]
    if spec.diverse:
        return f"not kept: not among the {done.wanted:,} chosen to cover the better pairs widely"
    best = "highest" if signal.higher_wins != signal.falls else "lowest"
    words = f"not kept: not among the {done.wanted:,} pairs with the {best} {signal.name}"
    return words if done.edge is None else f"{words}, which end at {done.edge:.4g}"


def _best_first(values: Floats, *, higher: bool) -> Rows:
    keys = -values if higher else values
    return np.argsort(keys, kind="stable")  # NaN sorts last
