"""The values that a reader yields: a record that was understood, or one that was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinement.method.pairs import Pair

FIELD_LIMIT = 200  # characters, as are the others
REASON_LIMIT = 300
EXCERPT_LIMIT = 200


@dataclass(slots=True)
class Record:
    """One accepted record.

    ``extra`` holds the fields that are no part of the pair, in their order. ``layout`` names all
    fields of the record in their order, so that an export puts each back in its place; it is empty
    for the plain order of the format without further fields. ``read_bytes`` is how much of the file
    had been read by then, for a progress bar.
    """

    line: int
    pair: Pair
    extra: dict[str, Any]
    layout: tuple[str, ...]
    read_bytes: int


@dataclass(slots=True)
class Rejected:
    """One refused record: where it begins, what is wrong, and how it begins. Free of NUL."""

    line: int
    field: str
    reason: str
    excerpt: str
    read_bytes: int


def rejected(line: int, field: str, reason: str, text: str, read_bytes: int) -> Rejected:
    """Build a ``Rejected`` whose texts any database can hold."""
    return Rejected(
        line=line,
        field=printable(field, FIELD_LIMIT),
        reason=printable(reason, REASON_LIMIT),
        excerpt=printable(text, EXCERPT_LIMIT),
        read_bytes=read_bytes,
    )


def printable(text: str, limit: int) -> str:
    """Clip to ``limit`` characters; show control characters and lone surrogates as escapes."""
    cut = text[: limit + 1]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return cut if len(cut) <= limit else cut[: limit - 1] + "…"
