"""Choosing k of n so that the chosen resemble all the others as well as k can.

Facility location (Lin and Bilmes, ACL 2011): f(S) = sum over i of the best similarity of i to any
member of S. It grows ever more slowly as S grows (submodular), so the greedy choice reaches at
least 1 - 1/e of the best possible sum, and a gain computed earlier is a ceiling on the gain now:
lazy greedy (Minoux 1978) only looks again at what may still be the best.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

CELLS = 64_000_000  # similarities held at a time, 256 MB: fewer references for a larger pool
REFERENCES = 4_096  # the sum goes over at most so many of the n, evenly taken
BLOCK = 1_024  # rows of similarities computed at a time


def facility_location(vectors: Vectors, k: int) -> NDArray[np.intp]:
    """The rows of k of the n ``vectors`` (n, d), in the order in which they were chosen.

    Similarities are cosines, and below 0 count as 0: an opposite is no likeness. A row of zeros or
    NaN is like nothing and is chosen last.
    """
    likeness = _to_references(_units(vectors))  # (n, m)
    covered = np.zeros(likeness.shape[1], dtype=np.float32)
    gains = likeness.sum(axis=1, dtype=np.float64).tolist()
    heap = [(-gain, row) for row, gain in enumerate(gains)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < k:
        _, row = heapq.heappop(heap)
        gain = float(np.maximum(likeness[row] - covered, 0).sum(dtype=np.float64))
        if heap and -heap[0][0] > gain:
            heapq.heappush(heap, (-gain, row))
            continue
        chosen.append(row)
        np.maximum(covered, likeness[row], out=covered)
    return np.array(chosen, dtype=np.intp)


def coverage(vectors: Vectors, rows: NDArray[np.intp]) -> float:
    """f(S) over all n, divided by n: the mean of the best similarity to a chosen row."""
    if not len(rows) or not len(vectors):
        return 0.0
    units = _units(vectors)
    return float(_likeness(units, units[rows]).max(axis=1).mean())


def _units(vectors: Vectors) -> Vectors:
    clean = np.nan_to_num(np.asarray(vectors, dtype=np.float32))
    lengths = np.linalg.norm(clean, axis=1, keepdims=True)
    units: Vectors = np.divide(clean, lengths, out=np.zeros_like(clean), where=lengths > 0)
    return units


def _to_references(units: Vectors) -> Vectors:
    """Every row's likeness to an even selection of all rows, shape (n, m)."""
    n = len(units)
    m = min(n, REFERENCES, max(1, CELLS // max(n, 1)))
    references = units[np.unique(np.linspace(0, n - 1, m).astype(np.intp))] if n else units
    found: Vectors = np.empty((n, len(references)), dtype=np.float32)
    for start in range(0, n, BLOCK):
        found[start : start + BLOCK] = _likeness(units[start : start + BLOCK], references)
    return found


def _likeness(some: Vectors, others: Vectors) -> Vectors:
    likeness: Vectors = np.maximum(some @ others.T, 0)
    return likeness
