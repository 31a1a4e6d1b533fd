"""What the columns of a table are, found by looking at every record that goes into it.

JSON has no columns: a field may be a number here and a list there, or missing. A field whose values
have one type keeps it; one whose values disagree becomes text, with each value as JSON, and is
named in ``as_json``: no value is bent to fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# A type: None (only nulls so far), MIXED, "bool", "int", "long", "float", "text", ("list", type) or
# a dict of an object's fields.
Type = Any
MIXED = "mixed"
_EXACT = range(-(2**53), 2**53 + 1)  # whole numbers that a float can hold
_INT64 = range(-(2**63), 2**63)
_WIDER = {frozenset({"int", "float"}): "float", frozenset({"int", "long"}): "long"}


class Columns:
    """The fields of all records seen, in the order in which they first came."""

    def __init__(self) -> None:
        self._types: dict[str, Type] = {}

    def see(self, records: Iterable[dict[str, Any]]) -> None:
        types = self._types
        for record in records:
            for name, value in record.items():
                known = types.get(name)
                if known == "text" and type(value) is str:
                    continue  # nearly every value of nearly every dataset
                types[name] = merged(known, type_of(value))

    @property
    def names(self) -> list[str]:
        return list(self._types)

    @property
    def as_json(self) -> list[str]:
        """The columns that hold JSON, since their values are of several types."""
        return [name for name, type_ in self._types.items() if is_json(type_)]

    @property
    def types(self) -> dict[str, Type]:
        """The type of each column, by its name."""
        return dict(self._types)


def type_of(value: Any) -> Type:
    """The type of one JSON value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in _EXACT else "long" if value in _INT64 else MIXED
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        inner: Type = None
        for item in value:
            inner = merged(inner, type_of(item))
        return ("list", inner)
    return {key: type_of(item) for key, item in value.items()}


def merged(one: Type, other: Type) -> Type:
    """The type that holds both without changing a value, or MIXED."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, tuple) and isinstance(other, tuple):
        return ("list", merged(one[1], other[1]))
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: merged(one.get(key), other.get(key)) for key in {**one, **other}}
    if isinstance(one, str) and isinstance(other, str):
        return _WIDER.get(frozenset({one, other}), MIXED)
    return MIXED


def is_json(type_: Type) -> bool:
    """Whether a column cannot be typed. An object without fields is none that Parquet can hold."""
    if isinstance(type_, dict):
        return not type_ or any(map(is_json, type_.values()))
    if isinstance(type_, tuple):
        return is_json(type_[1])
    return bool(type_ == MIXED)
