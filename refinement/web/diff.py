"""What changed between two texts, word by word, for a person to read.

Longest common subsequence over words (rapidfuzz, bit-parallel), then islands too small to carry
meaning are joined to the changes around them, as a reader would mark them. Long texts are compared
by lines first, so that the cost stays near linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rapidfuzz.distance import Indel

from refinement.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# About 30 ms of comparing; beyond it lines are compared before words.
MAX_WORD_PRODUCT = 60_000_000
MAX_LINE_PRODUCT = 400_000_000
ISLAND_CHARACTERS = 12
ISLAND_WORDS = 2

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKS = "!-/:-@\\[-`{-~\u00a1-\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u303f\uff01-\uff0f"
# A line end, a run of blanks, one ideograph (no blanks between words there), one mark, or a word.
# Words are what is left, so that combining marks and joiners stay with their letters.
_TOKEN = re.compile(
    rf"\n|[^\S\n]+|[{_IDEOGRAPHS}]|[{_MARKS}]|[^\s{_IDEOGRAPHS}{_MARKS}]+", re.UNICODE
)


class Change(StrEnum):
    EQUAL = "equal"
    DELETE = "delete"
    INSERT = "insert"


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text that both sides share, or that only the old or the new one has."""

    change: Change
    text: str

    @property
    def visible(self) -> str:
        """The text with signs for the characters that hide themselves or turn others round."""
        return visible(self.text)

    @property
    def blank(self) -> str:
        """``line`` or ``space`` for a text of blanks alone, which a reader could not see."""
        if self.text.strip():
            return ""
        return "line" if "\n" in self.text else "space"


@dataclass(slots=True)
class _Block:
    """Text that both share (``old == new``, shared) or that was replaced."""

    old: str
    new: str
    shared: bool

    @property
    def size(self) -> int:
        return max(len(self.old), len(self.new))


def diff_words(old: str, new: str) -> list[Segment]:
    """Segments in reading order; deletions come before the insertions that replace them.

    Joining the equal and deleted segments gives ``old``, the equal and inserted ones ``new``.
    """
    return list(_segments(_join_islands(_merge(_compare(old, new)))))


def tokens(text: str) -> list[str]:
    """The words, marks and blanks of a text; joined they are the text again."""
    return _TOKEN.findall(text)


def _compare(old: str, new: str) -> Iterator[_Block]:
    """Blocks in order, by words where there are few enough, else by lines and then words."""
    old_words, new_words = tokens(old), tokens(new)
    start, end = _shared_ends(old_words, new_words)
    yield _shared(old_words[:start])
    old_rest = old_words[start : len(old_words) - end]
    new_rest = new_words[start : len(new_words) - end]
    if len(old_rest) * len(new_rest) <= MAX_WORD_PRODUCT:
        yield from _blocks(old_rest, new_rest)
    else:
        yield from _compare_lines("".join(old_rest), "".join(new_rest))
    yield _shared(old_words[len(old_words) - end :])


def _compare_lines(old: str, new: str) -> Iterator[_Block]:
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(old_lines) * len(new_lines) > MAX_LINE_PRODUCT:
        yield _Block(old, new, shared=False)
        return
    for block in _merge(_blocks(old_lines, new_lines)):
        if block.shared:
            yield block
        else:
            yield from _compare_block(block)


def _compare_block(block: _Block) -> Iterator[_Block]:
    """The words of a block of changed lines, where there are few enough to compare."""
    old_words, new_words = tokens(block.old), tokens(block.new)
    if len(old_words) * len(new_words) <= MAX_WORD_PRODUCT // 10:
        yield from _blocks(old_words, new_words)
    else:
        yield block


def _shared_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many tokens both begin with, and end with."""
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, end


def _shared(words: Sequence[str]) -> _Block:
    text = "".join(words)
    return _Block(text, text, shared=True)


def _blocks(old: Sequence[str], new: Sequence[str]) -> Iterator[_Block]:
    numbers: dict[str, int] = {}  # rapidfuzz hashes what is no integer; numbers cannot collide
    old_ids = [numbers.setdefault(token, len(numbers)) for token in old]
    new_ids = [numbers.setdefault(token, len(numbers)) for token in new]
    for code in Indel.opcodes(old_ids, new_ids):
        yield _Block(
            old="".join(old[code.src_start : code.src_end]),
            new="".join(new[code.dest_start : code.dest_end]),
            shared=code.tag == "equal",
        )


def _merge(blocks: Iterable[_Block]) -> list[_Block]:
    """Neighbours of one sort become one block, so that shared and changed ones alternate."""
    merged: list[_Block] = []
    for block in blocks:
        if not block.size:
            continue
        if merged and merged[-1].shared == block.shared:
            merged[-1].old += block.old
            merged[-1].new += block.new
        else:
            merged.append(block)
    return merged


def _join_islands(blocks: list[_Block]) -> list[_Block]:
    """Give up shared islands of a word or two between longer changes.

    An "and" kept by chance between two rewritten sentences tells a reader nothing. A line end is
    structure and is never given up.
    """
    kept: list[_Block] = []
    for block in blocks:
        kept.append(block)
        while len(kept) >= 3 and not kept[-1].shared and _is_island(*kept[-3:]):
            after, island, before = kept.pop(), kept.pop(), kept.pop()
            kept.append(
                _Block(
                    old=before.old + island.old + after.old,
                    new=before.new + island.new + after.new,
                    shared=False,
                )
            )
    return kept


def _is_island(before: _Block, island: _Block, after: _Block) -> bool:
    text = island.old
    if "\n" in text:
        return False
    if not any(character.isalnum() for character in text):
        return True
    short = len(text) <= ISLAND_CHARACTERS and len(text.split()) <= ISLAND_WORDS
    return short and len(text) <= min(before.size, after.size)


def _segments(blocks: Iterable[_Block]) -> Iterator[Segment]:
    for block in blocks:
        if block.shared:
            yield Segment(Change.EQUAL, block.old)
            continue
        if block.old:
            yield Segment(Change.DELETE, block.old)
        if block.new:
            yield Segment(Change.INSERT, block.new)
