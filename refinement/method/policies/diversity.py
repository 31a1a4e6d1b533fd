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

REFERENCES = 4096  # the sum goes over at most so many of the n, evenly taken
BLOCK = 1024  # rows of similarities at a time: 16 MB


def facility_location(vectors: Vectors, k: int) -> NDArray[np.intp]:
    """The rows of k of the n ``vectors`` (n, d), in the order in which they were chosen.

    Similarities are cosines, and below 0 count as 0: an opposite is no likeness. A row of zeros or
    NaN is like nothing and is chosen last.
    """
    units = _units(vectors)
    references = units[_spread(len(units))]
    covered = np.zeros(len(references), dtype=np.float32)
    heap = [(-gain, row) for row, gain in enumerate(_first_gains(units, references))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < k:
        _, row = heapq.heappop(heap)
        likeness = _likeness(units[row : row + 1], references)[0]
        gain = float(np.maximum(likeness - covered, 0).sum(dtype=np.float64))
        if heap and -heap[0][0] > gain:
            heapq.heappush(heap, (-gain, row))
            continue
        chosen.append(row)
        np.maximum(covered, likeness, out=covered)
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


def _spread(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, REFERENCES)).astype(np.intp))


def _likeness(some: Vectors, others: Vectors) -> Vectors:
    likeness: Vectors = np.maximum(some @ others.T, 0)
    return likeness


def _first_gains(units: Vectors, references: Vectors) -> list[float]:
    gains: list[float] = []
    for start in range(0, len(units), BLOCK):
        block = _likeness(units[start : start + BLOCK], references)
        gains.extend(block.sum(axis=1, dtype=np.float64).tolist())
    return gains
