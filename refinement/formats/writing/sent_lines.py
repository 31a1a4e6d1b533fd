"""Records as the lines of a file that is sent while it is made: JSON Lines, or CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from refinement.formats.writing.containers import safe_cell
from refinement.formats.writing.lines import json_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LINES_TYPES = {"jsonl": "application/x-ndjson; charset=utf-8", "csv": "text/csv; charset=utf-8"}


def lines_of(
    form: str, columns: Sequence[str], records: Iterable[Mapping[str, Any]]
) -> Iterator[str | bytes]:
    """``form``: one of ``LINES_TYPES``. CSV begins with the names of ``columns``."""
    return _json_lines(records) if form == "jsonl" else _csv_lines(columns, records)


def _json_lines(records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for record in records:
        yield json_line(record) + b"\n"


class _Echo:
    """What the csv module writes into: it hands the line back."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for record in records:
        yield writer.writerow([_harmless(value) for value in record.values()])


def _harmless(value: object) -> object:
    """A name that begins like a formula must not be one in a spreadsheet."""
    return safe_cell(value) if isinstance(value, str) else value
