"""A text dressed for reading: code in monospace, headings and emphasis marked, blanks on demand.

Markdown is dressed, not rendered: every character stays where it is, since a reviewer judges the
text that a student will learn from, signs and all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.web.diff import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refinement.web.diff import Segment

MOST_CHARACTERS = 200_000  # beyond it nothing is dressed: nobody reads so much, and it costs time
_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL
)
_LINE_PARTS = re.compile(
    r"(?P<heading>^#{1,6} [^\n]+$)"
    r"|(?P<code>(?<!`)`[^`\n]+`(?!`))"
    r"|(?P<strong>\*\*(?=\S)[^*\n]+(?<=\S)\*\*)",
    re.MULTILINE,
)
# A sign for each blank; a place to break stays behind it.
_BLANKS = {
    " ": "·\u200b",
    "\t": "→\t",
    "\n": "↵\n",
    "\r": "␍",
    "\u00a0": "⍽",
    "\u202f": "⍽",
    "\u3000": "□",
}
SIGNS_FOR_BLANKS = str.maketrans(_BLANKS)


@dataclass(frozen=True, slots=True)
class Part:
    """A run of text of one change and one dress (a class of styles, or empty)."""

    segment: Segment
    dress: str


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int
    dress: str


def dressed(segments: Sequence[Segment]) -> Iterator[Part]:
    """The segments, cut where a dress begins or ends; joined they are the same text again.

    What both sides share and what is new is dressed as it reads in the new text, what is deleted as
    it read in the old one.
    """
    old = _ranges(s.text for s in segments if s.change is not Change.INSERT)
    new = _ranges(s.text for s in segments if s.change is not Change.DELETE)
    old_at = new_at = 0
    for segment in segments:
        size = len(segment.text)
        if segment.change is Change.DELETE:
            yield from _cut(segment, old_at, old)
        else:
            yield from _cut(segment, new_at, new)
            new_at += size
        if segment.change is not Change.INSERT:
            old_at += size


def _cut(segment: Segment, at: int, ranges: Sequence[_Range]) -> Iterator[Part]:
    """``at``: where the segment begins in the text that ``ranges`` count in."""
    kind = type(segment)
    end = at + len(segment.text)
    place = at
    for found in ranges:
        if found.end <= place:
            continue
        if found.start >= end:
            break
        if found.start > place:
            yield Part(kind(segment.change, segment.text[place - at : found.start - at]), "")
            place = found.start
        stop = min(found.end, end)
        yield Part(kind(segment.change, segment.text[place - at : stop - at]), found.dress)
        place = stop
    if place < end:
        yield Part(kind(segment.change, segment.text[place - at :]), "")


def _ranges(pieces: Iterable[str]) -> list[_Range]:
    """What is to be dressed in a text, in order and without overlaps."""
    text = "".join(pieces)
    if len(text) > MOST_CHARACTERS:
        return []
    found: list[_Range] = []
    at = 0
    for fence in _FENCE.finditer(text):
        found += _inline(text, at, fence.start())
        found.append(_Range(fence.start(), fence.end(), "md-block"))
        at = fence.end()
    return found + _inline(text, at, len(text))


def _inline(text: str, start: int, end: int) -> list[_Range]:
    return [
        _Range(match.start(), match.end(), f"md-{match.lastgroup}")
        for match in _LINE_PARTS.finditer(text, start, end)
    ]
