"""Places within a record: a field's name, or a path such as ``instances[0].output``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Step = str | int
Path = tuple[Step, ...]

MISSING: Any = object()
_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")
_PATH = re.compile(r"[^.\[\]]+(\[\d{1,6}\]|\.[^.\[\]]+)*")


def parse_path(text: str) -> Path:
    """The steps of a path. What is no path is one field's name: names may hold anything."""
    if not _PATH.fullmatch(text):
        return (text,)
    return tuple(int(index) if index else name for name, index in _STEP.findall(text))


def path_in(record: Mapping[str, Any], text: str) -> Path:
    """The same, but a field that is called so goes before a path that is written so."""
    return (text,) if text in record else parse_path(text)


def get(record: Any, path: Path) -> Any:
    """The value at ``path``, or MISSING."""
    value = record
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return MISSING
            value = value[step]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return MISSING
    return value


def replaced(record: Any, path: Path, value: Any) -> Any:
    """A copy of ``record`` with ``value`` at ``path``; only what lies on the way is copied.

    A last field that is not there is added. Raises KeyError where the way does not exist.
    """
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(record, list) or step >= len(record):
            raise KeyError(step)
        return [*record[:step], replaced(record[step], rest, value), *record[step + 1 :]]
    if not isinstance(record, dict) or (rest and step not in record):
        raise KeyError(step)
    return {**record, step: replaced(record.get(step), rest, value)}
