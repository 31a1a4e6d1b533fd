"""What a file seems to be: its container, the shape of its records, and a mapping to begin with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from refinement.formats.chats import ChatShape
from refinement.formats.errors import FormatError, RecordError
from refinement.formats.fields import REWRITE_FIELDS, FieldsShape
from refinement.formats.files import open_values
from refinement.formats.shape import KeptAsIs
from refinement.formats.shapes import FORMATS, shape_of
from refinement.formats.streams import SIZE_LIMIT
from refinement.formats.strict_json import RECORD_LIMIT, kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from refinement.formats.containers import Raw

LOOK_AHEAD = 100  # records
_LOOK_CHARACTERS = 2_000_000  # of them, so that large records do not cost much
_MOST_FIELDS = 60

# Names that mean one of ours, the most usual first.
USUAL = {
    "instruction": ("instruction", "prompt", "question", "query", "problem", "task", "user"),
    "output": (
        "output",
        "response",
        "completion",
        "answer",
        "target",
        "solution",
        "assistant",
        "generation",
    ),
    "input": ("input", "context", "passage"),
    "system": ("system", "system_prompt", "system_message"),
    **{name: (name,) for name in REWRITE_FIELDS},
}


@dataclass(slots=True)
class Look:
    """The first records of a file. ``format`` is empty where no shape fits.

    ``columns`` are the names at the top of the records, by which files of one kind are known again;
    ``places`` all fields and paths that hold something.
    """

    container: str
    format: str = ""
    mapping: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    raws: list[Raw] = field(default_factory=list)
    whole: bool = False  # whether these are all records of the file


def look(path: Path, *, record_limit: int = RECORD_LIMIT, size_limit: int = SIZE_LIMIT) -> Look:
    """Look at the first records of a file. Raises FormatError where it cannot be read."""
    with open_values(path, record_limit=record_limit, size_limit=size_limit) as (container, values):
        found = Look(container, raws=list(_first(values)))
        found.whole = next(values, None) is None
    if not found.raws:
        raise FormatError(None, "The file holds no records.")
    objects = [raw.value for raw in found.raws if isinstance(raw.value, dict)]
    found.columns = list(dict.fromkeys(name for record in objects for name in record))
    found.places = list(
        dict.fromkeys(place for record in objects[:20] for place in places_in(record))
    )[:_MOST_FIELDS]
    found.format, found.mapping = _best(objects, found.places)
    return found


def _first(values: Iterator[Raw]) -> Iterator[Raw]:
    characters = 0
    for raw in islice(values, LOOK_AHEAD):
        yield raw
        characters += len(str(raw.value)) if raw.value is not None else len(raw.head)
        if characters > _LOOK_CHARACTERS:
            return


def places_in(record: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[str]:
    """Fields and paths of a record that a mapping may name, outer ones first."""
    for name, value in record.items():
        place = f"{before}.{name}" if before else name
        yield place
        if depth < 2 and isinstance(value, list) and value and isinstance(value[0], dict):
            yield from places_in(value[0], f"{place}[0]", depth + 1)
        elif depth < 2 and isinstance(value, dict):
            yield from places_in(value, place, depth + 1)


def _best(records: list[dict[str, Any]], places: list[str]) -> tuple[str, dict[str, str]]:
    """The shape that can read the most of the records, and the mapping that it does so with.

    Fields of any name must read clearly more than a shape that is known, since they hide its rules.
    """
    known = [(name, _given_rewrites(name, places)) for name in FORMATS if name != FieldsShape.name]
    counts = {name: _readable(name, mapping, records) for name, mapping in known}
    best = max(known, key=lambda one: counts[one[0]])
    free = guess_fields(places)
    if len(records) == 1 and any("[0]" in place for place in free.values()):
        free = {}  # one object that holds all records: its first is not the file
    if _readable(FieldsShape.name, free, records) > 2 * counts[best[0]]:
        return FieldsShape.name, free
    if counts[best[0]]:
        return best
    for name, mapping in known:  # nothing can be read, but some shape can say what is amiss
        if any(shape_of(name, mapping).recognises(record) for record in records):
            return name, mapping
    return "", {}


def _given_rewrites(name: str, places: list[str]) -> dict[str, str]:
    if issubclass(FORMATS[name], ChatShape):
        return {}
    return {field: field for field in REWRITE_FIELDS if field in places}


def _readable(name: str, mapping: Mapping[str, str], records: list[dict[str, Any]]) -> int:
    """Records that the shape can read, in halves where it can only keep them as they are."""
    shape = shape_of(name, mapping)
    told: Counter[str] = Counter()
    for record in records:
        if not shape.recognises(record):
            continue
        try:
            shape.read(record, escapes=True)
        except RecordError:
            continue
        except KeptAsIs:
            told["kept"] += 1
        else:
            told["read"] += 1
    return 2 * told["read"] + told["kept"]


def guess_fields(places: list[str]) -> dict[str, str]:
    """A mapping by usual names, at the top or within; fields of ours that are not found are out."""
    mapping: dict[str, str] = {}
    for ours, names in USUAL.items():
        by_name = {place.rsplit(".", 1)[-1].lower(): place for place in reversed(places)}
        found = next((by_name[name] for name in names if name in by_name), None)
        if found is not None and found not in mapping.values():
            mapping[ours] = found
    return mapping


def unknown_shape(found: Look) -> FormatError:
    """Why no format fits, told by the first record."""
    first = found.raws[0]
    known = "; ".join(f"{shape.label} ({shape.hint})" for shape in FORMATS.values())
    if first.problem is not None:
        reason = f"{first.problem.reason}. Each record must be one JSON object."
    elif isinstance(first.value, dict):
        names = ", ".join(list(first.value)[:8]) or "none"
        reason = f"no known format has these fields: {names}."
    else:
        reason = f"the record is {kind(first.value)}, not an object."
    return FormatError(first.line, f"{reason} Known formats: {known}.")
