"""Figures of a whole file."""

from __future__ import annotations

import random

import pytest

from refinement.formats.keys import Keys
from refinement.formats.records import Kept, Record, Rejected
from refinement.formats.shape import GivenRewrite
from refinement.formats.survey import Survey
from refinement.method.pairs import Pair, Turn

WORDS = [f"word{n}" for n in range(2000)]


def record(instruction: str, response: str, **more: object) -> Record:
    return Record(1, Pair(instruction, response, **more), {}, (), 0)  # type: ignore[arg-type]


def text(seed: int, words: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def test_keys_come_back_from_the_disk() -> None:
    keys = Keys()
    for n in range(200_000):
        keys.append(n % 150_000 - 75_000)
    repeated = keys.repeated()
    assert not repeated[:150_000].any()
    assert repeated[150_000:].all()
    assert keys.repeated().sum() == 50_000


def test_exact_and_near_duplicates_are_told_apart() -> None:
    survey = Survey()
    originals = [text(seed) for seed in range(300)]
    for words in originals:
        survey.add(record("Tell me.", " ".join(words)))
    for words in originals[:50]:  # the same
        survey.add(record("Tell me.", " ".join(words)))
    for words in originals[50:150]:  # one word of sixty is another
        survey.add(record("Tell me.", " ".join(["other", *words[1:]])))
    exact, all_of_them = survey.duplicates(near=False), survey.duplicates(near=True)
    assert not all_of_them[:300].any()
    assert exact[300:350].all()
    assert exact.sum() == 50
    assert all_of_them[350:].sum() >= 95
    figures = survey.figures()["duplicates"]
    assert (figures["exact"], figures["looked_at"]) == (50, 450)
    assert 95 <= figures["near"] <= 100


@pytest.mark.parametrize(
    ("words", "none"),
    [("<noinput>", True), ("No input.", True), ("N/A", True), ("nina", False), ("no", False)],
)
def test_an_input_that_only_says_that_there_is_none(words: str, none: bool) -> None:
    survey = Survey()
    survey.add(record("a", "b", input=words))
    assert survey.figures()["empty"] == {"input": 0, "response": 0, "placeholder": int(none)}


def test_lengths_and_empty_fields_are_counted() -> None:
    survey = Survey()
    survey.add(record("a" * 10, "b" * 100))
    survey.add(record("a" * 20, " ", input="i", context=(Turn("user", "Hi"),)))
    survey.add(record("a" * 40, "b" * 1000))
    figures = survey.figures()
    assert figures["pairs"] == 3
    assert figures["empty"] == {"input": 2, "response": 1, "placeholder": 0}
    assert figures["with_context"] == 1
    lengths = figures["lengths"]["instruction"]
    assert (lengths["median"], lengths["longest"]) == (20, 40)
    assert lengths["bins"] == [[1, 15, 1], [16, 31, 1], [32, 63, 1]]
    assert sum(count for _, _, count in figures["lengths"]["response"]["bins"]) == 3


def test_languages_and_reasons_are_told() -> None:
    survey = Survey()
    for _ in range(3):
        survey.add(record("What is the capital of France?", "The capital of France is Paris."))
    survey.add(record("Was ist die Hauptstadt von Frankreich?", "Die Hauptstadt ist Paris."))
    survey.add(Kept(2, "it has no turn of the assistant", {}, 0))
    survey.add(Rejected(3, "output", "missing", "", 0))
    pair = Pair("a", "b")
    survey.add(Record(4, pair, {}, (), 0, 0, (GivenRewrite("response", "a", "", "c"),)))
    figures = survey.figures()
    told = dict(figures["languages"])
    assert told["en"] >= 3
    assert told["de"] == 1
    assert figures["kept_reasons"] == [("it has no turn of the assistant", 1)]
    assert figures["refused_reasons"] == [("missing", 1)]
    assert figures["rewrites"] == {"response": 1}


def test_a_file_without_pairs_has_figures_too() -> None:
    figures = Survey().figures()
    assert figures["pairs"] == 0
    assert figures["languages"] == []
    assert figures["lengths"]["response"]["bins"] == []
