"""Records as lines of JSON: always the same bytes for the same record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

# Valid in JSON, but ends of line to many programs that read a file by lines.
_LINE_ENDS = tuple((c.encode(), f"\\u{ord(c):04x}".encode()) for c in "\u0085\u2028\u2029")


def json_lines(records: Sequence[Any], *, between: bytes = b"\n") -> bytes:
    """Compact UTF-8, ``between`` two records and not behind the last. Keys keep their order."""
    try:
        text = between.join(map(orjson.dumps, records))
    except TypeError:  # a number of more than 64 bits, which JSON and Python may well hold
        text = between.join(map(_dumped, records))
    if not text.isascii():
        for end, escape in _LINE_ENDS:
            text = text.replace(end, escape)
    return text


def json_line(record: Any) -> bytes:
    """One record, without an end of line."""
    return json_lines([record])


def _dumped(record: Any) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
