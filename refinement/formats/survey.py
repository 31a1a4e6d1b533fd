"""Figures of a whole file, gathered record by record: lengths, empty fields, languages, duplicates.

Memory is 8 bytes a record, for two lengths; hashes by which duplicates are found lie on the disk.
Near duplicates are pairs whose sets of words overlap by four fifths or more. They are found by
MinHash (``rensa``) of 64 permutations in 8 bands, so a few are missed: of pairs that overlap by
90 %, one in a hundred. The first record of each group is the original, the others the duplicates.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rensa import RMinHash

from refinement.formats.keys import Keys
from refinement.formats.records import Kept, Record, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from refinement.method.pairs import Pair

PERMUTATIONS, BANDS = 64, 8
NEAR = 0.8  # of the words of both
MOST_NEAR = 2_000_000  # records among which near duplicates are looked for
LANGUAGE_SAMPLE = 400  # records, drawn evenly
_LANGUAGE_CHARACTERS = 300
_MOST_REASONS = 20
_AT_ONCE = 1000  # signatures hashed together
_LONGEST_PLACEHOLDER = 24
_PLACEHOLDERS = frozenset(
    ("noinput", "noinputneeded", "noinputrequired", "noinputprovided", "none", "na", "无输入")
)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # wraps around, as is meant


class Survey:
    """Feed it all records of a file in their order; then ask for ``figures``."""

    def __init__(self, *, near: bool = True) -> None:
        self._near = near
        self._lengths = {"instruction": array("I"), "response": array("I")}
        self._empty: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._context = 0
        self._rewrites: Counter[str] = Counter()
        self._whole = Keys()
        self._bands = [Keys() for _ in range(BANDS)]
        self._sketches = array("I")  # not yet hashed
        self._texts: list[str] = []
        self._random = random.Random(0)  # noqa: S311 - the same file has the same figures

    def add(self, item: Record | Kept | Rejected) -> None:
        if type(item) is Record:
            self._add_pair(item.pair)
            for rewrite in item.rewrites:
                self._rewrites[rewrite.kind] += 1
        elif type(item) is Kept:
            self._kept[item.reason] += 1
        elif type(item) is Rejected:
            self._refused[item.reason] += 1

    def _add_pair(self, pair: Pair) -> None:
        self._lengths["instruction"].append(min(len(pair.instruction), 2**32 - 1))
        self._lengths["response"].append(min(len(pair.response), 2**32 - 1))
        if not pair.response or pair.response.isspace():
            self._empty["response"] += 1
        if not pair.input:
            self._empty["input"] += 1
        elif len(pair.input) <= _LONGEST_PLACEHOLDER and _says_none(pair.input):
            self._empty["placeholder"] += 1
        if pair.context:
            self._context += 1
        self._whole.append(hash(pair))
        if self._near and len(self._whole) <= MOST_NEAR:
            self._sketches.extend(_sketch(pair))
            if len(self._sketches) == _AT_ONCE * PERMUTATIONS:
                self._hash_bands()
        self._draw(pair)

    def _draw(self, pair: Pair) -> None:
        count = len(self._whole)
        if count <= LANGUAGE_SAMPLE:
            self._texts.append(_beginning(pair))
        elif (place := int(self._random.random() * count)) < LANGUAGE_SAMPLE:
            self._texts[place] = _beginning(pair)

    def _hash_bands(self) -> None:
        if self._sketches:
            hashes = _band_hashes(np.frombuffer(self._sketches, dtype=np.uint32))
            for band, keys in enumerate(self._bands):
                keys.extend(hashes[:, band])
            self._sketches = array("I")

    # -- Duplicates -------------------------------------------------------------------------------
    def duplicates(self, *, near: bool) -> NDArray[np.bool_]:
        """For each pair, in order, whether an earlier one is the same, or nearly the same."""
        found = self._whole.repeated()
        if near:
            self._hash_bands()
            for keys in self._bands:
                found[: len(keys)] |= keys.repeated()
        return found

    # -- Figures ----------------------------------------------------------------------------------
    def figures(self) -> dict[str, Any]:
        """All that was found, as JSON values."""
        pairs = len(self._whole)
        exact = int(self.duplicates(near=False).sum())
        near = int(self.duplicates(near=True).sum()) - exact if self._near else None
        return {
            "pairs": pairs,
            "lengths": {name: _spread(values) for name, values in self._lengths.items()},
            "empty": {name: self._empty[name] for name in ("input", "response", "placeholder")},
            "with_context": self._context,
            "rewrites": dict(self._rewrites),
            "duplicates": {"exact": exact, "near": near, "looked_at": min(pairs, MOST_NEAR)},
            "languages": languages(self._texts),
            "kept_reasons": self._kept.most_common(_MOST_REASONS),
            "refused_reasons": self._refused.most_common(_MOST_REASONS),
        }


def _says_none(text: str) -> bool:
    """Whether an input only says that there is none, as in many files made by models."""
    return "".join(filter(str.isalnum, text)).casefold() in _PLACEHOLDERS


def _sketch(pair: Pair) -> list[int]:
    """The signature of the pair's words: PERMUTATIONS numbers of 32 bits."""
    sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update(f"{pair.instruction} {pair.input} {pair.response}".split())
    rows: list[int] = sketch.digest()
    return rows


def _band_hashes(sketches: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One hash for each band of each signature. Shapes: (n · PERMUTATIONS) → (n, BANDS)."""
    rows = sketches.reshape(-1, BANDS, PERMUTATIONS // BANDS).astype(np.uint64)
    hashes = np.zeros(rows.shape[:2], dtype=np.uint64)
    for row in range(rows.shape[2]):
        hashes = (hashes ^ rows[:, :, row]) * _MIX
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _spread(values: array[int]) -> dict[str, Any]:
    """The distribution of a length in characters; ``bins`` by powers of two, each with its end."""
    if not values:
        return {"median": 0, "p95": 0, "longest": 0, "bins": []}
    numbers = np.frombuffer(values, dtype=np.uint32)
    edges = [0, 1, *(2**power for power in range(4, 33))]
    counts, _ = np.histogram(numbers, bins=np.array(edges, dtype=np.float64))
    filled = np.nonzero(counts)[0]
    first, last = int(filled[0]), int(filled[-1])
    return {
        "median": int(np.percentile(numbers, 50, method="lower")),
        "p95": int(np.percentile(numbers, 95, method="lower")),
        "longest": int(numbers.max()),
        "bins": [[edges[n], edges[n + 1] - 1, int(counts[n])] for n in range(first, last + 1)],
    }


def _beginning(pair: Pair) -> str:
    return f"{pair.instruction} {pair.response}"[:_LANGUAGE_CHARACTERS]


def languages(texts: Iterable[str]) -> list[list[Any]]:
    """Language codes with how many of ``texts`` are in each, the most frequent first."""
    from py3langid import classify

    found = Counter(str(classify(text)[0]) for text in texts if text.strip())
    return [[code, count] for code, count in found.most_common(8)]
