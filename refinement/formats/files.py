"""A file of any kind as its records: JSON array, JSON Lines, CSV, TSV, Parquet, Arrow; packed."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from refinement.formats.containers import first_text, not_json, read_json
from refinement.formats.delimited import delimiter_of, read_rows
from refinement.formats.source import TextSource
from refinement.formats.streams import SIZE_LIMIT, ByteSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.formats.containers import Raw

# The beginnings of Parquet, of an Arrow file and of an Arrow stream.
_TABLES = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))


@contextmanager
def open_values(
    path: Path, *, record_limit: int, size_limit: int = SIZE_LIMIT
) -> Iterator[tuple[str, Iterator[Raw]]]:
    """How the records lie in the file (``json``, ``jsonl``, ``csv``, ``parquet``, ``arrow``), and
    the records. Both limits are in bytes. Raises FormatError, at once or while they are read."""
    table, packed = _table_in(path, size_limit)
    if table:
        with _unpacked(path, size_limit) if packed else _as_it_is(path) as plain:
            # Large, and only for these files.
            from refinement.formats.arrow import read_table

            yield table, read_table(plain, table, record_limit, size_limit)
        return
    with TextSource(path, size_limit) as source:
        yield read_text(source, record_limit)


def _table_in(path: Path, size_limit: int) -> tuple[str, bool]:
    with ByteSource(path, size_limit) as source:
        head = source.read(8)
        found = (name for magic, name in _TABLES if head.startswith(magic))
        return next(found, ""), source.packed


def is_plain_text(path: Path) -> bool:
    """Whether the file is neither a table nor packed: reading it takes what it has in bytes."""
    table, packed = _table_in(path, SIZE_LIMIT)
    return not table and not packed


def read_text(source: TextSource, record_limit: int) -> tuple[str, Iterator[Raw]]:
    """The container of a text, told by how it begins, and its records. Raises FormatError."""
    text, line = first_text(source)
    if text[0] in "[{":
        container = "json" if text[0] == "[" else "jsonl"
        return container, read_json(source, record_limit, text, line)
    delimiter = delimiter_of(text)
    if delimiter is None:
        raise not_json(text, line)
    return "csv", read_rows(source, record_limit, text, line, delimiter)


@contextmanager
def _as_it_is(path: Path) -> Iterator[Path]:
    yield path


@contextmanager
def _unpacked(path: Path, size_limit: int) -> Iterator[Path]:
    """These files are read back and forth, so a packed one is unpacked to the disk first."""
    with tempfile.TemporaryDirectory(prefix="srt-unpacked-") as folder:
        plain = Path(folder) / "table"
        with ByteSource(path, size_limit) as source, plain.open("wb") as file:
            while data := source.read(1024**2):
                file.write(data)
        yield plain
