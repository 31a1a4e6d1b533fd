"""Dressing: markdown keeps every character, and follows the text through a diff."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from refinement.web.diff import Change, Segment, diff_words
from refinement.web.dress import SIGNS_FOR_BLANKS, dressed

CODE = "Run **this**:\n```python\nx = 1  # `no`\n```\n## Then\nuse `y`.\n"
PIECES = ["```", "`a`", "**b**", "# c", "\n", " ", "word", "~~~"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def dresses(text: str) -> list[tuple[str, str]]:
    return [(p.segment.text, p.dress) for p in dressed([Segment(Change.EQUAL, text)]) if p.dress]


def test_code_headings_and_emphasis_are_dressed() -> None:
    assert dresses(CODE) == [
        ("**this**", "md-strong"),
        ("```python\nx = 1  # `no`\n```", "md-block"),
        ("## Then", "md-heading"),
        ("`y`", "md-code"),
    ]


def test_a_fence_that_never_closes_goes_to_the_end() -> None:
    assert dresses("a\n~~~\nb\n```\nc") == [("~~~\nb\n```\nc", "md-block")]


@given(TEXT, TEXT)
def test_joined_it_is_the_diff_again(old: str, new: str) -> None:
    segments = diff_words(old, new)
    parts = list(dressed(segments))
    for change in Change:
        text = "".join(s.text for s in segments if s.change is change)
        assert "".join(p.segment.text for p in parts if p.segment.change is change) == text


def test_a_change_inside_code_stays_code_on_both_sides() -> None:
    segments = diff_words("```\nx = 1\n```", "```\nx = 2\n```")
    changed = {p.segment.text: p.dress for p in dressed(segments) if p.segment.change != "equal"}
    assert changed == {"1": "md-block", "2": "md-block"}


def test_signs_for_blanks_tell_them_apart() -> None:
    assert "a b\tc\n\u00a0".translate(SIGNS_FOR_BLANKS) == "a·\u200bb→\tc↵\n⍽"
