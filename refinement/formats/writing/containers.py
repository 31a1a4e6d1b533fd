"""The files that records can lie in: JSON Lines, a JSON array, Parquet, CSV.

Records are written as they come, in constant memory, and the same records give the same bytes.
Parquet and CSV must know all columns before the first row, so their records wait in a scratch file
beside the target until the last one has been seen.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TextIO

from refinement.formats.writing.columns import Columns
from refinement.formats.writing.lines import json_line, json_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

ROW_GROUP = 5000  # rows of Parquet held in memory at a time, or fewer if they are long
GROUP_BYTES = 16 * 1024**2
NESTED = "srt"  # the field of ours whose members become columns of a table


class Container(Protocol):
    """Writes records to an open binary file. ``close`` finishes the file but leaves it open."""

    name: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(self, file: BinaryIO, *, scratch: Path) -> None: ...

    def write(self, records: Sequence[dict[str, Any]]) -> None: ...

    def close(self) -> None: ...

    def notes(self) -> dict[str, Any]:
        """What a reader of the file should know, for the manifest."""


class JsonLines:
    name: ClassVar[str] = "jsonl"
    suffix: ClassVar[str] = ".jsonl"

    def __init__(self, file: BinaryIO, *, scratch: Path) -> None:  # noqa: ARG002
        self._file = file

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        if records:
            self._file.write(json_lines(records) + b"\n")

    def close(self) -> None:
        pass

    def notes(self) -> dict[str, Any]:
        return {}


class JsonArray(JsonLines):
    name = "json"
    suffix = ".json"
    _next = b"[\n"

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        if records:
            self._file.write(self._next + json_lines(records, between=b",\n"))
            self._next = b",\n"

    def close(self) -> None:
        self._file.write(b"[]\n" if self._next == b"[\n" else b"\n]\n")


class _Table:
    """What Parquet and CSV share: records wait in a scratch file until the columns are known."""

    def __init__(self, file: BinaryIO, *, scratch: Path) -> None:
        self._file = file
        self._columns = Columns()
        self._waiting = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - lives as long as we do

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        self._columns.see(records)
        if records:
            self._waiting.write(json_lines(records) + b"\n")

    def _groups(self) -> Iterator[list[dict[str, Any]]]:
        self._waiting.seek(0)
        group, size = [], 0
        for line in self._waiting:
            group.append(json.loads(line))
            size += len(line)
            if len(group) == ROW_GROUP or size > GROUP_BYTES:
                yield group
                group, size = [], 0
        if group:
            yield group

    def notes(self) -> dict[str, Any]:
        return {"columns_as_json": self._columns.as_json} if self._columns.as_json else {}


class Parquet(_Table):
    """Row groups of ``ROW_GROUP`` rows at most, Zstandard, and no metadata but the schema."""

    name: ClassVar[str] = "parquet"
    suffix: ClassVar[str] = ".parquet"

    def close(self) -> None:
        from refinement.formats.writing.parquet import write_parquet

        with self._waiting:
            groups = self._groups()
            write_parquet(self._file, self._columns.types, groups, row_group=ROW_GROUP)


class Csv(_Table):
    """For spreadsheets: RFC 4180, with a byte order mark, and no cell is a formula.

    A cell that a spreadsheet would run (it begins with = + - @, a tab or a new line) gets an
    apostrophe in front, and so does one that looks like the outcome of this, so that it can be
    undone: ``plain_cell``. What is neither text nor a number is JSON.
    """

    name: ClassVar[str] = "csv"
    suffix: ClassVar[str] = ".csv"
    _mark = b"\xef\xbb\xbf"

    def __init__(self, file: BinaryIO, *, scratch: Path) -> None:
        super().__init__(file, scratch=scratch)
        self._guarded = 0

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        super().write([_flat(record) for record in records])

    def close(self) -> None:
        self._file.write(self._mark)
        names = self._columns.names
        text = io.TextIOWrapper(self._file, "utf-8", newline="")
        with self._waiting:
            if names:
                self._rows(text, names)
        text.flush()
        text.detach()  # the file is whoever's opened it

    def _rows(self, text: TextIO, names: list[str]) -> None:
        rows = csv.writer(text, lineterminator="\r\n")
        rows.writerow([self._guard(name) for name in names])
        for group in self._groups():
            for record in group:
                rows.writerow([self._guard(cell(record.get(name))) for name in names])

    def _guard(self, text: str) -> str:
        guarded = safe_cell(text)
        self._guarded += guarded is not text
        return guarded

    def notes(self) -> dict[str, Any]:
        return {"cells_guarded": self._guarded} if self._guarded else {}


class ExactCsv(Csv):
    """For programs: every cell as it is. A spreadsheet may run what is in it."""

    name = "csv_exact"
    _mark = b""

    def _guard(self, text: str) -> str:
        return text


CONTAINERS: dict[str, type[Container]] = {
    container.name: container for container in (JsonLines, JsonArray, Parquet, Csv, ExactCsv)
}

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def safe_cell(text: str) -> str:
    """OWASP's guard against formula injection."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_cell(text: str) -> str:
    """The text that ``safe_cell`` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def cell(value: Any) -> str:
    """A value as the text of a cell."""
    if isinstance(value, str):
        return value
    return "" if value is None else json_line(value).decode()


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    ours = record.get(NESTED)
    if not isinstance(ours, dict):
        return record
    rest = {name: value for name, value in record.items() if name != NESTED}
    return rest | {f"{NESTED}.{name}": value for name, value in ours.items()}
