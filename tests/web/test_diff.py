"""The word-level diff: nothing lost, words whole, and no text that makes it hang."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.web.diff import Change, diff_words, tokens


def marked(old: str, new: str) -> str:
    shapes = {Change.EQUAL: "{}", Change.DELETE: "[-{}-]", Change.INSERT: "[+{}+]"}
    return "".join(shapes[part.change].format(part.text) for part in diff_words(old, new))


def sides(old: str, new: str) -> tuple[str, str]:
    parts = diff_words(old, new)
    return (
        "".join(part.text for part in parts if part.change is not Change.INSERT),
        "".join(part.text for part in parts if part.change is not Change.DELETE),
    )


TEXTS = st.text(alphabet=st.sampled_from("ab é\n .,-我Яש\u200d👩"), max_size=60)


@given(TEXTS, TEXTS)
def test_both_sides_can_be_read_back(old: str, new: str) -> None:
    assert sides(old, new) == (old, new)


@given(TEXTS, TEXTS)
def test_neighbours_differ_and_deletions_come_first(old: str, new: str) -> None:
    changes = [part.change for part in diff_words(old, new)]
    pairs = list(itertools.pairwise(changes))
    assert all(one is not two for one, two in pairs)
    assert (Change.INSERT, Change.DELETE) not in pairs
    assert all(part.text for part in diff_words(old, new))


@given(st.text(max_size=80))
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("", "", ""),
        ("same text", "same text", "same text"),
        ("", "new", "[+new+]"),
        ("old", "", "[-old-]"),
        ("Give three tips.", "Give three good tips.", "Give three [+good +]tips."),
        ("It costs 10 euros.", "It costs 12 euros.", "It costs [-10-][+12+] euros."),
        (
            "a dog and the cat sat",
            "no hen and the cat ran",
            "[-a dog-][+no hen+] and the cat [-sat-][+ran+]",
        ),
        ("我喜欢吃苹果", "我很喜欢吃梨", "我[+很+]喜欢吃[-苹果-][+梨+]"),
        ("नमस्ते दुनिया", "नमस्ते सुन्दर दुनिया", "नमस्ते [+सुन्दर +]दुनिया"),
        ("x = 1\n", "x = 2\ny = 3\n", "x = [-1-][+2\ny = 3+]\n"),
    ],
)
def test_changes_are_whole_words(old: str, new: str, shown: str) -> None:
    assert marked(old, new) == shown


def test_a_lone_word_between_rewritten_phrases_is_part_of_the_change() -> None:
    old = "Regular exercise is a habit of healthy people everywhere."
    new = "Walking daily lowers blood pressure, a cause of strokes in old age."
    kept = [part.text for part in diff_words(old, new) if part.change is Change.EQUAL]
    assert kept == ["."]


def test_long_texts_are_compared_by_lines_first() -> None:
    chance = random.Random(1)
    lines = [" ".join(f"w{chance.randrange(3000)}" for _ in range(12)) for _ in range(4000)]
    old = "\n".join(lines)
    lines[1234] = lines[1234] + " added here"
    del lines[3000]
    new = "\n".join(lines)
    assert sides(old, new) == (old, new)
    inserted = [part.text for part in diff_words(old, new) if part.change is Change.INSERT]
    assert inserted == [" added here"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a " * 200_000, "b " * 200_000),
        ("a b " * 100_000, "b a " * 100_000),
        ("\n" * 300_000, "\n " * 300_000),
        ("x" * 1_000_000, "y" * 1_000_000),
    ],
)
def test_hostile_texts_come_back_whole(old: str, new: str) -> None:
    assert sides(old, new) == (old, new)
