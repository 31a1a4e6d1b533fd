"""Rows of CSV and TSV: a header line, then one record a row, every cell a text."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from refinement.formats.containers import Raw
from refinement.formats.errors import FormatError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.formats.source import TextSource

DELIMITERS = ",\t;"
_HEAD = 400  # characters of a row kept for an excerpt


def delimiter_of(text: str) -> str | None:
    """What parts the cells of the header line; ``None`` where it is no such line."""
    header = text.partition("\n")[0]
    counts = {delimiter: header.count(delimiter) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else None


def read_rows(
    source: TextSource, limit: int, text: str, line: int, delimiter: str
) -> Iterator[Raw]:
    """Every row behind the header, as a record of texts. Raises FormatError."""
    csv.field_size_limit(limit)
    lines = _Lines(source, limit, text, line)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = _header(reader, line)
    while True:
        first = lines.line
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken = _problem(error, first, at_end=lines.ended)
            yield Raw(first, None, broken, lines.last[:_HEAD], True, source.read_bytes)
            continue
        if row:
            record, problem = _record(header, row)
            head = delimiter.join(row)[:_HEAD]
            yield Raw(first, record, problem, head, True, source.read_bytes)


class _Lines:
    """The lines of the text with their ends, counted. ``line`` is that of the next one."""

    def __init__(self, source: TextSource, limit: int, text: str, line: int) -> None:
        self._source = source
        self._limit = limit
        self._text = text
        self._at = 0
        self.line = line
        self.last = ""
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        end = self._text.find("\n", self._at)
        while end < 0:
            held = len(self._text) - self._at
            if held > self._limit:
                raise FormatError(self.line, f"the row is longer than {self._limit:,} bytes.")
            more = self._source.read()
            if not more:
                break
            self._text = self._text[self._at :] + more
            self._at = 0
            end = self._text.find("\n", held)
        stop = end + 1 if end >= 0 else len(self._text)
        found = self._text[self._at : stop]
        if not found:
            self.ended = True
            raise StopIteration
        self._at = stop
        self.line += 1
        self.last = found
        return found


def _header(reader: Iterator[list[str]], line: int) -> list[str]:
    try:
        header = next(reader)
    except (csv.Error, StopIteration) as error:
        raise FormatError(line, f"the header of this CSV file cannot be read ({error}).") from None
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise FormatError(
            line, f"the column {twice[0]!r} stands twice in the header. Give each its own name."
        )
    return header


def _record(header: list[str], row: list[str]) -> tuple[dict[str, str] | None, RecordError | None]:
    if len(row) != len(header):
        return None, RecordError(
            "", f"the row has {len(row)} cells where the header has {len(header)}"
        )
    return dict(zip(header, row, strict=True)), None


def _problem(error: csv.Error, line: int, *, at_end: bool) -> RecordError:
    if at_end or "field larger" in str(error):
        raise FormatError(
            line,
            "a quotation mark is opened in this row and never closed, up to the file's end. "
            "Close it, or double it where it is meant as such.",
        ) from None
    return RecordError("", f"not valid CSV: {error}")
