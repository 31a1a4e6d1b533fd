"""What a reader yields: a record that was understood, kept as it is, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinement.formats.shape import GivenRewrite
    from refinement.method.pairs import Pair

FIELD_LIMIT = 200  # characters, as are the others
REASON_LIMIT = 300
EXCERPT_LIMIT = 200


@dataclass(slots=True)
class Record:
    """One accepted pair of a record, as its shape took it apart (``shape.Parts``).

    ``read_bytes`` is how much of the file had been read by then, for a progress bar. ``ends`` is
    whether the record has no further part.
    """

    line: int
    pair: Pair
    extra: dict[str, Any]
    layout: tuple[str | int, ...]
    read_bytes: int
    part: int = 0
    rewrites: tuple[GivenRewrite, ...] = ()
    ends: bool = True


@dataclass(slots=True)
class Kept:
    """One record that holds nothing to refine, and why. It goes in and out as it is."""

    line: int
    reason: str
    record: dict[str, Any]
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
