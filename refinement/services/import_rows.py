"""What the records of a file become in the tables. Knows no database: the reader is without one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refinement.formats.records import Kept, Record, Rejected

if TYPE_CHECKING:
    from collections.abc import Container

    from refinement.method.pairs import Pair

    Items = list[Record | Kept | Rejected]

SAMPLE_COLUMNS = (
    "dataset_id",
    "position",
    "line",
    "instruction",
    "input",
    "response",
    "part",
    "context",
    "extra",
    "layout",
    "content_hash",
)
KEPT_COLUMNS = ("dataset_id", "position", "line", "reason", "record")
REWRITE_COLUMNS = (
    "dataset_id",
    "position",
    "kind",
    "instruction",
    "input",
    "response",
    "criticism",
)
REJECTED_COLUMNS = ("dataset_id", "line", "field", "reason", "excerpt")

Row = tuple[Any, ...]


@dataclass(slots=True)
class Batch:
    """Rows for the tables, of some whole records of a file that follow one another."""

    read_bytes: int
    records: int
    skipped: int = 0  # records left out as duplicates
    samples: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    rewrites: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)


class Sorter:
    """Puts each record into its table. ``position`` is that of the next sample."""

    def __init__(self, dataset_id: int, position: int) -> None:
        self._dataset_id = dataset_id
        self._position = position

    def sort(self, items: Items, skip: Container[int] = (), pair: int = 0) -> Batch:
        """The rows of ``items``. Records all of whose pairs are in ``skip`` are left out; ``pair``
        is the number of the first pair of them."""
        batch = Batch(items[-1].read_bytes, count_records(items))
        whole: list[Record] = []  # the parts of the present record
        for item in items:
            if type(item) is Record:
                whole.append(item)
                if item.ends:
                    numbers = range(pair, pair + len(whole))
                    pair += len(whole)
                    if skip and all(number in skip for number in numbers):
                        batch.skipped += 1
                    else:
                        self._add_samples(whole, batch)
                    whole = []
            elif type(item) is Kept:
                self._add_kept(item, batch)
            elif type(item) is Rejected:
                batch.rejected.append(
                    (self._dataset_id, item.line, item.field, item.reason, item.excerpt)
                )
        return batch

    def _add_samples(self, parts: list[Record], batch: Batch) -> None:
        for record in parts:
            pair = record.pair
            batch.samples.append(
                (
                    self._dataset_id,
                    self._position,
                    record.line,
                    pair.instruction,
                    pair.input,
                    pair.response,
                    record.part,
                    _context(pair) if pair.context else "[]",
                    _json(record.extra) if record.extra else "{}",
                    _json(record.layout) if record.layout else "[]",
                    content_hash(pair),
                )
            )
            for rewrite in record.rewrites:
                batch.rewrites.append(
                    (
                        self._dataset_id,
                        self._position,
                        rewrite.kind,
                        rewrite.instruction,
                        rewrite.input,
                        rewrite.response,
                        rewrite.criticism,
                    )
                )
            self._position += 1

    def _add_kept(self, kept: Kept, batch: Batch) -> None:
        batch.kept.append(
            (self._dataset_id, self._position, kept.line, kept.reason, _json(kept.record))
        )
        self._position += 1


def count_records(items: Items) -> int:
    return sum(item.ends if type(item) is Record else 1 for item in items)


def count_pairs(items: Items) -> int:
    return sum(type(item) is Record for item in items)


def behind(items: Items, records: int) -> Items:
    """The items without those of the first ``records``."""
    for number, item in enumerate(items):
        if records <= 0:
            return items[number:]
        records -= item.ends if type(item) is Record else 1
    return []


def content_hash(pair: Pair) -> str:
    """SHA-256 of all texts of a pair, in hex. Texts hold no NUL, so it can stand between them."""
    texts = [pair.instruction, pair.input, pair.response]
    for turn in pair.context:
        texts += [turn.role, turn.content]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()


def _context(pair: Pair) -> str:
    return _json([{"role": turn.role, "content": turn.content} for turn in pair.context])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
