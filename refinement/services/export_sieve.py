"""What is left out of an export beyond the selection: duplicates, and all but the best.

Both need to remember every pair that went by. They do so in a scratch database on the disk, so that
memory stays the same however many there are.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from refinement.selectors.selection import SelectedPair

_SIGNALS = {"ifd": (0, -1), "r_ifd": (1, 1)}  # the place in Ratios; -1: the highest are the best


class Scratch:
    """A nameless SQLite database that disappears when it is closed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA cache_size = -16000")  # KiB
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._database.close()


class Seen(Scratch):
    """Which texts went by."""

    def __init__(self) -> None:
        super().__init__()
        self._database.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")

    def is_new(self, pair: SelectedPair) -> bool:
        """Whether no pair with these texts went by before."""
        added = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [texts_hash(pair)])
        return added.rowcount == 1


class Cut(Scratch):
    """The best so many percent of all pairs by a signal; pairs without it are never among them."""

    def __init__(self, *, by: str, percent: float) -> None:
        super().__init__()
        self._place, self._sign = _SIGNALS[by]
        self._percent = percent
        self._cut: tuple[float, int] | None = None
        self.total = 0  # pairs that were added
        self._database.execute("CREATE TABLE pairs (value REAL, position INTEGER)")

    def add(self, pairs: Iterable[SelectedPair]) -> None:
        rows = (self._key(pair) for pair in pairs)
        self._database.executemany("INSERT INTO pairs VALUES (?, ?)", rows)

    def decide(self) -> int:
        """Find where the cut lies, once all were added; how many are above it."""
        ((self.total, scored),) = self._database.execute("SELECT count(*), count(value) FROM pairs")
        best = min(scored, math.ceil(round(self.total * self._percent / 100, 6)))
        if best:
            ((value, position),) = self._database.execute(
                "SELECT value, position FROM pairs WHERE value IS NOT NULL "
                "ORDER BY value, position LIMIT 1 OFFSET ?",
                [best - 1],
            )
            self._cut = (value, position)
        return int(best)

    def keeps(self, pair: SelectedPair) -> bool:
        value, position = self._key(pair)
        return self._cut is not None and value is not None and (value, position) <= self._cut

    def _key(self, pair: SelectedPair) -> tuple[float | None, int]:
        ratios = pair.after
        value = ratios[self._place] if ratios else None
        return (None if value is None else self._sign * value), pair.position


def texts_hash(pair: SelectedPair) -> bytes:
    """Of all that a student would learn from: 16 bytes. Texts hold no NUL."""
    texts = (pair.instruction, pair.input, pair.response, pair.context_json)
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()


def goes_to_validation(content_hash: str, *, percent: float, seed: int) -> bool:
    """By the content of the original alone: the same in every export, round and dataset."""
    if not percent:
        return False
    digest = hashlib.blake2b(f"{seed}:{content_hash}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < percent / 100 * 2**64
