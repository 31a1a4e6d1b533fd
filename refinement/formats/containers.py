"""How records lie in a file: one JSON array, or one JSON object a line.

Both readers hold one record and one chunk, however large the file is, and count lines exactly.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.formats.errors import FormatError, RecordError
from refinement.formats.records import EXCERPT_LIMIT
from refinement.formats.source import CHUNK_BYTES
from refinement.formats.strict_json import StrictDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.formats.source import TextSource

_SPACE = re.compile(r"[ \t\n\r]*")
_HEAD = 2 * EXCERPT_LIMIT  # characters of a record kept for an excerpt
_DIGITS = re.compile(r"[0-9.eE+-]*")  # what may belong to the number before it

# What the scanner stumbles over when the text ends within a literal, a number or an escape.
_CUT = re.compile(
    r"\s*|t(ru?)?|f(a(ls?)?)?|n(ul?)?|Na?|-?(I(n(f(i(n(it?)?)?)?)?)?)?|\.|[eE][+-]?|u[0-9a-fA-F]{0,4}"
)


@dataclass(slots=True)
class Raw:
    """One value of a file. ``problem`` is set where it must be refused whatever its shape is.

    ``escapes``: its JSON has ``\\u`` escapes, the only way to NUL and to lone surrogates.
    """

    line: int
    value: Any
    problem: RecordError | None
    head: str
    escapes: bool
    read_bytes: int


def read_json(source: TextSource, record_limit: int, text: str, line: int) -> Iterator[Raw]:
    """All values of a JSON array or of JSON Lines that ``text`` begins. Raises FormatError."""
    if text[0] == "[":
        return _Array(source, record_limit, text, line).values()
    _refuse_spread_object(text, line)
    return _read_lines(source, record_limit, text, line)


def not_json(text: str, line: int) -> FormatError:
    return FormatError(
        line,
        "this is no known kind of file: JSON begins with [ (an array) or { (JSON Lines), CSV with "
        f"a line of column names, but it begins with {text[:20]!r}.",
    )


def first_text(source: TextSource) -> tuple[str, int]:
    """The text from the first character that is no white space, and its line."""
    line = 1
    while chunk := source.read():
        start = _end_of_space(chunk, 0)
        line += chunk.count("\n", 0, start)
        if start < len(chunk):
            return chunk[start:], line
    raise FormatError(None, "The file holds nothing but blank lines.")


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _too_long(text: str, limit: int) -> bool:
    return len(text) > limit or (len(text) * 4 > limit and len(text.encode()) > limit)


def _limit_problem(limit: int) -> RecordError:
    return RecordError("", f"the record is longer than {limit:,} bytes")


# -- JSON Lines -----------------------------------------------------------------------------------


def _read_lines(source: TextSource, limit: int, text: str, line: int) -> Iterator[Raw]:
    decoder = StrictDecoder()
    for number, content, ended in _lines(source, limit, text, line):
        stripped = content.strip(" \t\r\ufeff")  # files put together keep their marks
        if stripped:
            value, problem = None, None
            if _too_long(stripped, limit):
                problem = _limit_problem(limit)
            else:
                value, problem = _decode_line(decoder, stripped, number, ended=ended)
            yield Raw(
                number, value, problem, stripped[:_HEAD], "\\u" in stripped, source.read_bytes
            )


def _refuse_spread_object(text: str, line: int) -> None:
    """One object over many lines is neither of the two. Raises FormatError.

    It is one if its first line is only a beginning and the second is no record of its own.
    """
    first, _, rest = text.partition("\n")
    second = rest.lstrip().partition("\n")[0]
    if second and _is_beginning(first) and not second.startswith("{"):
        raise FormatError(
            line,
            "a JSON object begins here and does not end on this line. "
            "Send a JSON array of records, or JSON Lines with one record a line.",
        )


def _is_beginning(text: str) -> bool:
    try:
        StrictDecoder().decode(text)
    except json.JSONDecodeError as error:
        return _may_be_cut(error)
    return False


def _lines(source: TextSource, limit: int, text: str, line: int) -> Iterator[tuple[int, str, bool]]:
    """Number, text (of one over the limit the beginning) and whether a newline ended it."""
    tail = text
    while True:
        parts = tail.split("\n")
        tail = parts.pop()
        for part in parts:
            yield line, part, True
            line += 1
        if len(tail) > limit:
            yield line, tail, True
            tail = _skip_line(source)
            line += 1
        else:
            chunk = source.read()
            if not chunk:
                break
            tail += chunk
    if tail:
        yield line, tail, False


def _skip_line(source: TextSource) -> str:
    """Read past the end of the present line; return what was read beyond it."""
    while chunk := source.read():
        _, newline, rest = chunk.partition("\n")
        if newline:
            return rest
    return ""


def _decode_line(
    decoder: StrictDecoder, text: str, line: int, *, ended: bool
) -> tuple[Any, RecordError | None]:
    try:
        value, end = decoder.decode_line(text)
    except json.JSONDecodeError as error:
        if not ended and _may_be_cut(error):
            raise FormatError(
                line, "the file ends in the middle of a record: it was cut off. Send all of it."
            ) from None
        return None, RecordError(
            "", f"not valid JSON: {_explain(error)} at character {error.pos + 1}"
        )
    if end < len(text):
        after = text[_end_of_space(text, end) :][:20]
        return None, RecordError("", f"not valid JSON: {after!r} follows the end of the record")
    return value, decoder.take_problem()


def _may_be_cut(error: json.JSONDecodeError) -> bool:
    """Whether more text could have made this valid JSON."""
    return error.msg.startswith("Unterminated string") or bool(_CUT.fullmatch(error.doc, error.pos))


def _explain(error: json.JSONDecodeError) -> str:
    """The scanner's message, fit to be followed by a place."""
    return error.msg[0].lower() + error.msg[1:].removesuffix(" at")


# -- JSON array -----------------------------------------------------------------------------------


class _Array:
    """Walks one JSON array. ``_text`` is the part not yet consumed plus what lies before it."""

    def __init__(self, source: TextSource, limit: int, text: str, line: int) -> None:
        self._source = source
        self._limit = limit
        self._text = text
        self._at = 1  # behind the opening bracket
        self._line = line  # of ``_at``
        self._decoder = StrictDecoder()

    def values(self) -> Iterator[Raw]:
        character = self._next_character()
        while character != "]":
            yield self._value()
            character = self._next_character()
            if character == ",":
                self._at += 1
                character = self._next_character()
                if character == "]":
                    raise FormatError(
                        self._line, "a comma stands before the closing bracket. Remove it."
                    )
            elif character != "]":
                raise FormatError(
                    self._line, f"a comma is missing between two records, before {self._near()}."
                )
        self._at += 1
        self._check_end()

    def _value(self) -> Raw:
        value, end = self._decode()
        raw = Raw(
            self._line,
            value,
            self._decoder.take_problem(),
            self._text[self._at : min(end, self._at + _HEAD)],
            self._text.find("\\u", self._at, end) >= 0,
            self._source.read_bytes,
        )
        self._line += self._text.count("\n", self._at, end)
        self._at = end
        return raw

    def _decode(self) -> tuple[Any, int]:
        """Decode the value at ``_at``, reading on as long as it may just be incomplete."""
        while True:
            try:
                value, end = self._decoder.decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not _may_be_cut(error) or not self._more():
                    raise self._broken(error) from None
            else:
                goes_on = type(value) in {int, float} and _DIGITS.fullmatch(self._text, end)
                if not goes_on or not self._more():
                    self._check_length(end)
                    return value, end

    def _check_length(self, end: int) -> None:
        if (end - self._at) * 4 > self._limit and _too_long(
            self._text[self._at : end], self._limit
        ):
            raise FormatError(self._line, f"{_limit_problem(self._limit)}.")

    def _more(self) -> bool:
        """Read at least as much as is held, so that a long record is decoded a few times only."""
        held = len(self._text) - self._at
        if held > self._limit:
            raise FormatError(self._line, f"{_limit_problem(self._limit)}.")
        chunk = self._source.read(max(CHUNK_BYTES, held))
        if not chunk:
            return False
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return True

    def _next_character(self) -> str:
        """Go to the next character that is no white space. Raises FormatError at the end."""
        while True:
            end = _end_of_space(self._text, self._at)
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if not self._more():
                raise FormatError(
                    self._line,
                    "the file ends before the array is closed: it was cut off. Send all of it.",
                )

    def _broken(self, error: json.JSONDecodeError) -> FormatError:
        if _may_be_cut(error):
            return FormatError(
                self._line,
                "the file ends in the middle of this record: it was cut off. Send all of it.",
            )
        line = self._line + self._text.count("\n", self._at, error.pos)
        return FormatError(
            line, f"not valid JSON: {_explain(error)}, before {self._near(error.pos)}."
        )

    def _near(self, position: int | None = None) -> str:
        at = self._at if position is None else position
        return repr(self._text[at : at + 20])

    def _check_end(self) -> None:
        while True:
            end = _end_of_space(self._text, self._at)
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                raise FormatError(
                    self._line, f"more text follows the end of the array: {self._near()}."
                )
            if not self._more():
                return
