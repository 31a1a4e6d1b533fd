"""What a run looks like: the figures behind each picture, from its table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from django.utils.translation import gettext

from refinement.method.policies.columns import INSTRUCTION, ORIGINAL, RESPONSE
from refinement.models import User
from refinement.selectors.slices import slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refinement.method.policies.columns import Outcome
    from refinement.models import Run
    from refinement.selectors.run_columns import RunTable

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

BINS = 40
LOSSES = (
    ("loss_instruction", "L(x)"),
    ("loss_instruction_given_response", "L(x|y′)"),
    ("loss_response", "L(y)"),
    ("loss_response_given_instruction", "L(y|x)"),
)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equal bins; ``edges`` has one more than each of ``counts``.

    Values beyond an end are counted in the last bin there, which reaches to ``lowest`` or
    ``highest``.
    """

    names: list[str]
    edges: list[float]
    lowest: float
    highest: float
    counts: list[list[int]]
    medians: list[float | None]

    @property
    def bins(self) -> list[Bin]:
        reach = [self.lowest, *self.edges[1:-1], self.highest]
        drawn, real, counts = pairwise(self.edges), pairwise(reach), zip(*self.counts, strict=True)
        return [Bin(*parts) for parts in zip(drawn, real, counts, strict=True)]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar: from where to where it is ``drawn``, what values it ``holds``, how many a series."""

    drawn: tuple[float, float]
    holds: tuple[float, float]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole`` pairs."""

    label: str
    part: int
    whole: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class LossRow:
    """Medians of the four losses, in nats a token, in the order of ``LOSSES``."""

    label: str
    medians: list[float | None]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of the response, before and after, where the student took or left the rewrite."""

    label: str
    pairs: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the pictures of a run are drawn from."""

    ifd: Histogram
    r_ifd: Histogram
    length: Histogram
    lengths: list[Lengths]
    losses: list[LossRow]
    acceptance: list[Share]
    reviewers: list[Share]


def figures(run: Run, table: RunTable, outcome: Outcome) -> Figures:
    """Of a table with at least one row."""
    return Figures(
        ifd=ifd_histogram(table, outcome),
        r_ifd=r_ifd_histogram(table, outcome),
        length=length_histogram(table, outcome),
        lengths=lengths(table, outcome),
        losses=loss_rows(table),
        acceptance=acceptance(run, table, outcome),
        reviewers=reviewers(table, outcome),
    )


def ifd_histogram(table: RunTable, outcome: Outcome) -> Histogram:
    read = table.columns.read
    return _histogram(
        [gettext("original"), gettext("rewritten instruction"), gettext("chosen pair")],
        [
            read(ORIGINAL)("ifd"),
            read(INSTRUCTION)("ifd"),
            table.columns.mixed(outcome.version)("ifd"),
        ],
    )


def r_ifd_histogram(table: RunTable, outcome: Outcome) -> Histogram:
    return _histogram(
        [
            gettext("before the response was rewritten"),
            gettext("rewritten response"),
            gettext("chosen pair"),
        ],
        [
            table.columns.mixed(rewritten_from(table))("r_ifd"),
            table.columns.read(RESPONSE)("r_ifd"),
            table.columns.mixed(outcome.version)("r_ifd"),
        ],
    )


def length_histogram(table: RunTable, outcome: Outcome) -> Histogram:
    """How much longer the rewritten response is, as a power of two, by the student's choice."""
    before = table.columns.mixed(rewritten_from(table))("response_tokens")
    after = table.columns.read(RESPONSE)("response_tokens")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(after / before)
    ratio[~np.isfinite(ratio)] = np.nan
    took = outcome.took_response
    return _histogram(
        [gettext("taken"), gettext("left")],
        [np.where(took, ratio, np.nan), np.where(took, np.nan, ratio)],
        low=-3.0,
        high=5.0,
        most=32,
    )


def lengths(table: RunTable, outcome: Outcome) -> list[Lengths]:
    before = table.columns.mixed(rewritten_from(table))("response_tokens")
    after = table.columns.read(RESPONSE)("response_tokens")
    return [
        Lengths(label, int(where.sum()), _mean(before[where]), _mean(after[where]))
        for label, where in (
            (gettext("taken"), outcome.took_response),
            (gettext("left"), ~outcome.took_response),
        )
    ]


def loss_rows(table: RunTable) -> list[LossRow]:
    versions = ((ORIGINAL, gettext("original")), (INSTRUCTION, gettext("rewritten instruction")))
    return [
        LossRow(label, [_median(table.columns.read(version)(name)) for name, _ in LOSSES])
        for version, label in (*versions, (RESPONSE, gettext("rewritten response")))
    ]


def rewritten_from(table: RunTable) -> NDArray[np.uint8]:
    """The version whose response the teacher rewrote."""
    of_instruction = table.columns.response_of_instruction
    return np.where(of_instruction, np.uint8(INSTRUCTION), np.uint8(ORIGINAL))


def deltas(table: RunTable) -> tuple[Floats, Floats]:
    """Rewrite less what it would replace: IFD of the instruction, r-IFD of the response."""
    read, mixed = table.columns.read, table.columns.mixed
    return (
        read(INSTRUCTION)("ifd") - read(ORIGINAL)("ifd"),
        read(RESPONSE)("r_ifd") - mixed(rewritten_from(table))("r_ifd"),
    )


def verdict_classes(outcome: Outcome) -> NDArray[np.uint8]:
    """0: not kept; kept with 1: no rewrite, 2: the instruction's, 3: the response's, 4: both."""
    rewrites = 1 + outcome.took_instruction + 2 * outcome.took_response.astype(np.uint8)
    return np.where(outcome.kept, rewrites, 0).astype(np.uint8)


# -- Acceptance -----------------------------------------------------------------------------------
def acceptance(run: Run, table: RunTable, outcome: Outcome) -> list[Share]:
    """How often the student took a rewrite: by phase, then of the response by slices."""
    everywhere = np.ones(len(table), dtype=np.bool_)
    shares = [
        _share(
            gettext("instruction rewrites"),
            outcome.took_instruction,
            table.columns.has_instruction,
            gettext("phase"),
        ),
        _share(gettext("response rewrites"), outcome.took_response, everywhere, gettext("phase")),
    ]
    for group, label, where in slices(run, table):
        shares.append(_share(label, outcome.took_response, where, group))
    return shares


def reviewers(table: RunTable, outcome: Outcome) -> list[Share]:
    """How often each person's decision is what the verdict says, most decisions first."""
    people = table.said
    agrees = people.decided & (people.kept == outcome.kept)
    ids, counts = np.unique(people.user_id[people.decided], return_counts=True)
    names = dict(User.objects.filter(pk__in=ids.tolist()).values_list("pk", "username"))
    order = np.argsort(-counts, kind="stable")
    return [
        _share(names.get(int(ids[i]), "?"), agrees, people.user_id == ids[i], "reviewer")
        for i in order
    ]


# -- Small ----------------------------------------------------------------------------------------
def _share(label: str, which: Bools, where: Bools, group: str) -> Share:
    return Share(label, int((which & where).sum()), int(where.sum()), group)


def _mean(values: Floats) -> float | None:
    return float(np.nanmean(values)) if len(values) and not np.isnan(values).all() else None


def _median(values: Floats) -> float | None:
    return float(np.nanmedian(values)) if len(values) and not np.isnan(values).all() else None


def _histogram(
    names: list[str],
    series: list[Floats],
    *,
    low: float = 0.0,
    high: float | None = None,
    most: int = BINS,
) -> Histogram:
    known = [values[~np.isnan(values)] for values in series]
    every = np.concatenate([*known, [low]])
    if high is None:
        high = max(1.25, math.ceil(_last_of_the_bulk(every) * 4) / 4)
    edges = np.linspace(low, high, _bars(most, max(map(len, known))) + 1)
    inside = [np.clip(values, low, high) for values in known]
    return Histogram(
        names=names,
        edges=[round(float(edge), 4) for edge in edges],
        lowest=math.floor(min(low, float(every.min())) * 1e4) / 1e4,
        highest=math.ceil(max(high, float(every.max())) * 1e4) / 1e4,
        counts=[np.histogram(values, edges)[0].tolist() for values in inside],
        medians=[_median(values) for values in series],
    )


def _bars(most: int, values: int) -> int:
    """The root of their number, as bars of few values each would only show chance."""
    wanted = max(10, math.isqrt(values))
    while most > wanted:
        most //= 2
    return most


def _last_of_the_bulk(values: Floats) -> float:
    """The largest value that is no stray: a few of them would squeeze all others into a corner.

    A stray lies more than three times the middle half's width above it (Tukey's far out), or among
    the topmost half per cent.
    """
    quarter, three_quarters, topmost = np.quantile(values, [0.25, 0.75, 0.995])
    width = three_quarters - quarter
    fence = three_quarters + 3 * width if width else np.inf
    return float(values[values <= min(fence, topmost)].max())
