"""Rows of Parquet and Arrow files (pyarrow), a few at a time however the file is cut.

What JSON has no word for becomes text: times in ISO 8601, decimals in digits, bytes in Base64. NaN,
which pandas writes where there is nothing, becomes null.
"""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from refinement.formats.containers import Raw
from refinement.formats.errors import FormatError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARQUET, ARROW, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_BATCH_BYTES = 4 * 1024**2
_MOST_ROWS = 2000  # made into Python values at a time
_ROWS_A_BYTE = 10_000  # more than any honest file packs into one
_HEAD = 400


def container_of(head: bytes) -> str:
    """``parquet`` or ``arrow``, by the first bytes of a file; empty for anything else."""
    if head.startswith(PARQUET):
        return "parquet"
    return "arrow" if head.startswith((ARROW, STREAM)) else ""


def read_table(path: Path, container: str, record_limit: int, size_limit: int) -> Iterator[Raw]:
    """Every row as a record; ``line`` is the number of the row. Raises FormatError."""
    size = path.stat().st_size
    row = 0
    try:
        for batch, progress in _batches(path, container, size_limit):
            convert = None if _is_plain(batch.schema) else _in_json
            for record in batch.to_pylist():
                row += 1
                value = record if convert is None else convert(record)
                yield _raw(row, value, record_limit, int(size * min(1.0, progress)))
    except FormatError:
        raise
    except MemoryError:
        raise FormatError(
            None,
            f"Behind row {row:,} this {container.capitalize()} file holds more at once than the "
            "memory takes. Write it with smaller row groups, or split it.",
        ) from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        what = (str(error).splitlines() or ["no reason given"])[0][:200]
        raise FormatError(
            None,
            f"Behind row {row:,} this {container.capitalize()} file is damaged or was cut off "
            f"({what}). Write it again and send all of it.",
        ) from None


def _batches(path: Path, container: str, size_limit: int) -> Iterator[tuple[pa.RecordBatch, float]]:
    """Batches small enough to be held as Python values, and how much of the file they end."""
    if container == "parquet":
        yield from _parquet_batches(path, size_limit)
        return
    with pa.memory_map(str(path)) as file:
        head = file.read(6)
        file.seek(0)
        if head == ARROW:
            reader = pa.ipc.open_file(file)
            count = reader.num_record_batches
            whole = ((reader.get_batch(n), (n + 1) / count) for n in range(count))
        else:
            size = path.stat().st_size
            whole = ((batch, file.tell() / size) for batch in pa.ipc.open_stream(file))
        for batch, progress in whole:
            batch.validate(full=True)  # what lies in it may point anywhere
            yield from _sliced(batch, progress)


def _sliced(batch: pa.RecordBatch, progress: float) -> Iterator[tuple[pa.RecordBatch, float]]:
    rows = _rows_at_once(batch.nbytes, batch.num_rows)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows), progress


def _parquet_batches(path: Path, size_limit: int) -> Iterator[tuple[pa.RecordBatch, float]]:
    with pq.ParquetFile(
        path,
        buffer_size=1024**2,
        pre_buffer=False,
        thrift_string_size_limit=64 * 1024**2,
        thrift_container_size_limit=10**6,
    ) as file:
        told = file.metadata
        groups = [told.row_group(n) for n in range(told.num_row_groups)]
        unpacked = sum(max(0, group.total_byte_size) for group in groups)
        if unpacked > size_limit:
            raise FormatError(
                None,
                f"The file unpacks to {unpacked:,} bytes, the limit is {size_limit:,}. "
                "Split it, and send the parts.",
            )
        rows = sum(group.num_rows for group in groups)
        if rows != told.num_rows or rows > path.stat().st_size * _ROWS_A_BYTE:
            raise FormatError(
                None, f"This Parquet file says it has {told.num_rows:,} rows, which cannot be true."
            )
        done = 0
        for batch in file.iter_batches(_rows_at_once(unpacked, rows), use_threads=False):
            done += batch.num_rows
            yield batch, done / max(1, rows)
        if done != rows:
            raise FormatError(None, f"This Parquet file ends after {done:,} of {rows:,} rows.")


def _rows_at_once(size: int, rows: int) -> int:
    return max(1, min(_MOST_ROWS, rows * _BATCH_BYTES // max(1, size)))


def _raw(row: int, value: dict[str, Any], limit: int, read_bytes: int) -> Raw:
    texts = [text for text in value.values() if type(text) is str]
    problem = None
    if sum(map(len, texts)) > limit:
        problem = RecordError("", f"the record is longer than {limit:,} bytes")
    return Raw(row, value, problem, " | ".join(text[:200] for text in texts[:2]), True, read_bytes)


# -- What JSON has no word for --------------------------------------------------------------------
def _is_plain(schema: pa.Schema) -> bool:
    return all(_is_plain_type(field.type) for field in schema)


def _is_plain_type(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_plain_type(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_is_plain_type(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain_type(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def _in_json(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _in_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID):
        return str(value)
    return str(value)
