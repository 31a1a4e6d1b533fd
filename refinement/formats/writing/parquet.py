"""Records as a Parquet file. Loaded where one is written: pyarrow takes a while to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from refinement.formats.writing.columns import is_json
from refinement.formats.writing.lines import json_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

    from refinement.formats.writing.columns import Type

Records = list[dict[str, Any]]
_ARROW = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
}


def write_parquet(
    file: BinaryIO, types: Mapping[str, Type], groups: Iterable[Records], *, row_group: int
) -> None:
    """Zstandard, row groups of ``row_group`` rows at most, and no metadata but the schema."""
    schema = schema_of(types)
    with pq.ParquetWriter(
        file, schema, compression="zstd", version="2.6", store_schema=False
    ) as writer:
        for group in groups:
            writer.write_table(table_of(group, types, schema), row_group_size=row_group)


def schema_of(types: Mapping[str, Type]) -> pa.Schema:
    return pa.schema([(name, _arrow(type_)) for name, type_ in types.items()])


def table_of(records: Records, types: Mapping[str, Type], schema: pa.Schema) -> pa.Table:
    """The records as columns of ``schema``. A field that is missing is null."""
    columns = []
    for field in schema:
        values = [record.get(field.name) for record in records]
        if is_json(types[field.name]):
            values = [None if v is None else json_line(v).decode() for v in values]
        columns.append(pa.array(values, type=field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _arrow(type_: Type) -> pa.DataType:
    if type_ is None or is_json(type_):
        return pa.string()
    if isinstance(type_, dict):
        return pa.struct([(key, _arrow(item)) for key, item in type_.items()])
    if isinstance(type_, tuple):
        return pa.list_(_arrow(type_[1]))
    return _ARROW[type_]
