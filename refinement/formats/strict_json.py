"""JSON values, with what ``json`` lets pass noted: duplicate keys, NaN, endless digits.

The standard scanner is written in C and quick; its hooks see just the rare things. A problem is
noted, not raised, so that the reader still learns where the value ends.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from refinement.formats.errors import RecordError

RECORD_LIMIT = 16 * 1024**2  # bytes of one record
MAX_DEPTH = 64
MAX_DIGITS = 300  # far above any id, far below what slows the conversion
KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

_EXACT = frozenset({int, bool, type(None)})

# A string that has no end is taken whole, so that a hostile text costs one pass only.
_STEP = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[\[{\]}]', re.DOTALL)


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    return KINDS[type(value)]


class StrictDecoder:
    """Decodes one value at a time; ``take_problem`` tells what was wrong with the last one."""

    def __init__(self) -> None:
        self._problem: RecordError | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
        )

    def decode_line(self, text: str) -> tuple[Any, int]:
        """The same for a text that holds one value and, most likely, nothing behind it.

        Plain records, as nearly all are, go past the hooks: ``orjson`` is several times as quick.
        """
        self._problem = None
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self.decode(text)
        return (value, len(text)) if _is_sure(value, text) else self.decode(text)

    def decode(self, text: str, start: int = 0) -> tuple[Any, int]:
        """The value at ``start`` and where it ends. No white space before it.

        Raises ``json.JSONDecodeError``; too deep a nesting is a problem noted, and None its value.
        """
        self._problem = None
        try:
            return self._decoder.raw_decode(text, start)
        except RecursionError:
            end = _skip_value(text, start)
            self._problem = RecordError("", f"nested more than {MAX_DEPTH} levels deep")
            return None, end

    def take_problem(self) -> RecordError | None:
        return self._problem

    def _note(self, field: str, reason: str) -> None:
        if self._problem is None:
            self._problem = RecordError(field, reason)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self._note(key, f"the field {key!r} stands twice in one object")
                seen.add(key)
        return found

    def _constant(self, name: str) -> None:
        self._note("", f"{name} is not a JSON number")

    def _integer(self, digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            self._note("", f"a number of {len(digits)} digits")
            return 0
        return int(digits)


def _is_sure(value: Any, text: str) -> bool:
    """Whether ``value`` is all that ``text`` says, as the strict decoder would have it.

    It is for an object of texts, whole numbers and literals whose quotation marks are those of its
    keys and texts: then no key stands twice. A float may be a number that ``orjson`` cut.
    """
    if type(value) is not dict:
        return False
    quotes = 2 * len(value)
    for item in value.values():
        if type(item) is str:
            quotes += 2
        elif type(item) not in _EXACT:
            return False
    if "\\" in text:
        text = text.replace("\\\\", "")
        return text.count('"') - text.count('\\"') == quotes
    return text.count('"') == quotes


def _skip_value(text: str, start: int) -> int:
    """Where the list or object at ``start`` ends. Raises JSONDecodeError where it does not."""
    depth = 0
    for match in _STEP.finditer(text, start):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
            if depth == 0:
                return match.end()
    raise json.JSONDecodeError("Expecting the end of a nested value", text, len(text))


def check_storable(value: object, field: str) -> None:
    """Refuse what a database or a JSON file cannot hold. Raises RecordError.

    That is: NUL characters, lone surrogates, infinite numbers, and nesting that exhausts a stack.
    """
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            check_text(item, field)
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise RecordError(field, f"a number in {field!r} is out of range")
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise RecordError(field, f"nested more than {MAX_DEPTH} levels deep")
            if isinstance(item, dict):
                waiting.extend((key, depth) for key in item)
                waiting.extend((inner, depth + 1) for inner in item.values())
            else:
                waiting.extend((inner, depth + 1) for inner in item)


def check_text(text: str, field: str) -> None:
    """Refuse NUL characters and lone surrogates. Raises RecordError."""
    if "\x00" in text:
        raise RecordError(field, f"{field!r} holds a NUL character, which no database stores")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecordError(field, f"{field!r} holds half a surrogate pair, not text") from None
