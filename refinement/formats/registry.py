"""The door to all formats: what a file holds, found by its content, and its records one by one.

A further shape is one class with ``name``, ``label``, ``hint``, ``recognises`` and ``read``, added
to ``FORMATS``; the containers (JSON array, JSON Lines) serve all of them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from refinement.formats.alpaca import AlpacaReader
from refinement.formats.containers import Raw, read_values
from refinement.formats.errors import FormatError, RecordError
from refinement.formats.records import Record, Rejected, rejected
from refinement.formats.source import TextSource
from refinement.formats.strict_json import kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from refinement.method.pairs import Pair

__all__ = ["FORMATS", "FormatError", "Record", "Rejected", "detect", "read_records"]

RECORD_LIMIT = 16 * 1024**2  # bytes of one record
_LOOK_AHEAD = 100  # records looked at to recognise a shape


class Shape(Protocol):
    """How one record says its pair."""

    name: str
    label: str
    hint: str

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None: ...
    def recognises(self, record: Mapping[str, Any]) -> bool: ...
    def read(
        self, record: dict[str, Any], *, escapes: bool
    ) -> tuple[Pair, dict[str, Any], tuple[str, ...]]: ...


FORMATS: dict[str, type[Shape]] = {AlpacaReader.name: AlpacaReader}


def detect(
    path: Path, *, mapping: Mapping[str, str] | None = None, record_limit: int = RECORD_LIMIT
) -> str:
    """The name of the format in ``FORMATS`` that the first records of a file have.

    Raises FormatError where no record has a known shape, or where the file cannot be read.
    """
    first: Raw | None = None
    with TextSource(path) as source:
        for raw in islice(read_values(source, record_limit), _LOOK_AHEAD):
            first = first or raw
            if isinstance(raw.value, dict):
                for name, shape in FORMATS.items():
                    if shape(mapping).recognises(raw.value):
                        return name
    if first is None:
        raise FormatError(None, "The file holds no records.")
    raise FormatError(first.line, _unknown(first))


def read_records(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 -- the word that users know
    mapping: Mapping[str, str] | None = None,
    record_limit: int = RECORD_LIMIT,
) -> Iterator[Record | Rejected]:
    """Every record of a file in its order, as accepted or refused, in constant memory.

    ``format`` is a name in ``FORMATS``; without one the content tells. ``mapping`` says which field
    of the file stands for which of the format's. ``record_limit`` is in bytes. Raises FormatError
    where the file cannot be read on, and KeyError for an unknown format.
    """
    name = format or detect(path, mapping=mapping, record_limit=record_limit)
    shape = FORMATS[name](mapping)
    with TextSource(path) as source:
        for raw in read_values(source, record_limit):
            yield _read(shape, raw)


def _read(shape: Shape, raw: Raw) -> Record | Rejected:
    try:
        pair, extra, layout = shape.read(_object(raw), escapes=raw.escapes)
    except RecordError as error:
        return rejected(raw.line, error.field, error.reason, raw.head, raw.read_bytes)
    return Record(raw.line, pair, extra, layout, raw.read_bytes)


def _object(raw: Raw) -> dict[str, Any]:
    if raw.problem is not None:
        raise raw.problem
    if type(raw.value) is not dict:
        raise RecordError("", f"the record is {kind(raw.value)}, not an object")
    return raw.value


def _unknown(raw: Raw) -> str:
    """Why no format fits, told by the first record."""
    known = "; ".join(f"{shape.label} ({shape.hint})" for shape in FORMATS.values())
    if raw.problem is not None:
        return f"{raw.problem.reason}. Each record must be one JSON object. Known formats: {known}."
    if isinstance(raw.value, dict):
        names = ", ".join(list(raw.value)[:8]) or "none"
        return f"no known format has these fields: {names}. Known formats: {known}."
    return f"the record is {kind(raw.value)}, not an object. Known formats: {known}."
