"""The door to all formats: what a file holds, found by its content, and its records one by one.

A further shape is one class as in ``formats/shape.py``, added to ``shapes.FORMATS``; the containers
(``formats/files.py``) serve all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinement.formats.errors import FormatError, RecordError
from refinement.formats.files import open_values
from refinement.formats.guess import look, unknown_shape
from refinement.formats.records import Kept, Record, Rejected, rejected
from refinement.formats.shape import LAST, KeptAsIs, Shape
from refinement.formats.shapes import FORMATS, shape_of
from refinement.formats.streams import SIZE_LIMIT
from refinement.formats.strict_json import RECORD_LIMIT, kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from refinement.formats.containers import Raw

__all__ = [
    "FORMATS",
    "FormatError",
    "Kept",
    "Record",
    "Rejected",
    "detect",
    "read_records",
    "shape_of",
]

Read = Record | Kept | Rejected


def detect(
    path: Path, *, mapping: Mapping[str, str] | None = None, record_limit: int = RECORD_LIMIT
) -> tuple[str, dict[str, str]]:
    """The name in ``FORMATS`` that the first records fit best, and the mapping to read them with.

    A ``mapping`` that was given stays, and only shapes that have its fields come into question.
    Raises FormatError where no record has a known shape, or where the file cannot be read.
    """
    found = look(path, record_limit=record_limit)
    if not mapping:
        if not found.format:
            raise unknown_shape(found)
        return found.format, found.mapping
    objects = [raw.value for raw in found.raws if isinstance(raw.value, dict)]
    for name, shape in FORMATS.items():
        if set(mapping) <= set(shape.fields) and any(map(shape(mapping).recognises, objects)):
            return name, dict(mapping)
    raise unknown_shape(found)


def read_records(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 -- the word that users know
    mapping: Mapping[str, str] | None = None,
    turns: str = LAST,
    record_limit: int = RECORD_LIMIT,
    size_limit: int = SIZE_LIMIT,
) -> Iterator[Read]:
    """Every record of a file in its order: accepted, kept as it is, or refused; constant memory.

    ``format`` is a name in ``FORMATS``; without one the content tells. ``mapping`` says which field
    of the file stands for which of the format's. With ``turns="every"`` a chat may be several
    ``Record``s. The limits are in bytes. Raises FormatError where the file cannot be read on, and
    KeyError for an unknown format.
    """
    if format is None:
        format, mapping = detect(path, mapping=mapping, record_limit=record_limit)  # noqa: A001
    shape = shape_of(format, mapping, turns=turns)
    with open_values(path, record_limit=record_limit, size_limit=size_limit) as (_, values):
        for raw in values:
            yield from read_raw(shape, raw)


def read_raw(shape: Shape, raw: Raw) -> list[Read]:
    """One value of a file, through the eyes of a shape. Never empty."""
    try:
        parts = shape.read(_object(raw), escapes=raw.escapes)
    except RecordError as error:
        return [rejected(raw.line, error.field, error.reason, raw.head, raw.read_bytes)]
    except KeptAsIs as kept:
        return [Kept(raw.line, kept.reason, raw.value, raw.read_bytes)]
    last = len(parts) - 1
    return [
        Record(
            raw.line,
            part.pair,
            part.extra,
            part.layout,
            raw.read_bytes,
            part.part,
            part.rewrites,
            number == last,
        )
        for number, part in enumerate(parts)
    ]


def _object(raw: Raw) -> dict[str, Any]:
    if raw.problem is not None:
        raise raw.problem
    if type(raw.value) is not dict:
        raise RecordError("", f"the record is {kind(raw.value)}, not an object")
    return raw.value
