"""What a run will use, from what a few samples used: the mean, and the range it may lie in."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Two-sided 95 % quantiles of Student's t for 1, 2, 3, ... degrees of freedom; then it is 1.96.
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
T_LARGE = ((30, 2.10), (60, 2.02), (10**9, 1.97))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A total: about ``expected``, and in 95 of 100 cases between ``low`` and ``high``.

    ``low`` and ``high`` are None where a single measurement says nothing of a range.
    """

    expected: float
    low: float | None
    high: float | None
    measured: int  # samples


def estimate_total(measured: Sequence[float], count: int) -> Estimate | None:
    """The total of ``count`` samples, of which those measured are a fair choice.

    The range is the prediction interval of a sum of ``count`` further values, t · s · count ·
    sqrt(1/k + 1/count) around the mean, and never below zero. None where nothing was measured.
    """
    known = len(measured)
    if not known or count < 1:
        return None
    mean = statistics.fmean(measured)
    if known == 1:
        return Estimate(mean * count, None, None, 1)
    spread = statistics.stdev(measured) * count * math.sqrt(1 / known + 1 / count)
    margin = student_t(known - 1) * spread
    return Estimate(mean * count, max(0.0, mean * count - margin), mean * count + margin, known)


def student_t(freedom: int) -> float:
    if freedom <= len(T_95):
        return T_95[freedom - 1]
    return next(value for most, value in T_LARGE if freedom <= most)
