from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement.method.pairs import Pair, PairLosses, Scores, Status, Turn, UnscorableReason
from refinement.method.scoring import score_pairs
from refinement.method.spans import LossCache, Span
from refinement.method.templates import TEMPLATE_NAMES, get_template
from tests.method.tiny_student import load_tiny_student, reload

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.student import Student
    from tests.method.plain_loop import PlainLoop

VICUNA = get_template("vicuna")
TURNS = (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello"))
PAIRS = [
    Pair("Name the three primary colours.", "Red, yellow and blue."),
    Pair("Summarise the text.", "Bread is baked.", input="It tells how bread is baked."),
    Pair(
        "x of it", "\n\nStarts with empty lines, and what it asks, x of it, stands in it: x of it"
    ),
    Pair("Übersetze: 東京", "Tokyo 🙂"),
    Pair("Go on", "Blue, then.", context=TURNS),
    Pair("Repeat the word " + "very " * 40, "very " * 60),
]


def four(scores: Scores) -> tuple[float | None, ...]:
    losses = scores.losses
    return (
        losses.instruction,
        losses.response,
        losses.instruction_given_response,
        losses.response_given_instruction,
    )


class Counting:
    """Counts what a student is asked for."""

    def __init__(self, student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spans = 0
        inner = student.span_losses

        def counted(spans: Any, **options: Any) -> Any:
            self.spans += len(spans)
            return inner(spans, **options)

        monkeypatch.setattr(student, "span_losses", counted)


# -- Against a plain reading of the definitions ---------------------------------------------------
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_losses_follow_the_definitions(name: str, tiny: Student, plain: PlainLoop) -> None:
    template = get_template(name)

    for pair, scores in zip(PAIRS, score_pairs(tiny, PAIRS, template), strict=True):
        assert four(scores) == pytest.approx(plain.losses(pair, template), abs=1e-5)
        assert (scores.status, scores.reason) == (Status.SCORED, UnscorableReason.NONE)
        assert not scores.truncated


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_a_tokenizer_with_bos_predicts_the_first_token_too(
    name: str, tiny_bos: Student, plain_bos: PlainLoop
) -> None:
    template = get_template(name)
    pairs = [*PAIRS, Pair("x", "y")]

    for pair, scores in zip(pairs, score_pairs(tiny_bos, pairs, template), strict=True):
        assert four(scores) == pytest.approx(plain_bos.losses(pair, template), abs=1e-5)
        assert scores.status == Status.SCORED


def test_an_eos_that_the_tokenizer_appends_is_no_target(tmp_path: Path, tiny_bos: Student) -> None:
    student = load_tiny_student(tmp_path, bos=True, eos=True)

    expected = score_pairs(tiny_bos, PAIRS, VICUNA)
    for scores, other in zip(score_pairs(student, PAIRS, VICUNA), expected, strict=True):
        assert four(scores) == pytest.approx(four(other), abs=1e-6)


def test_token_counts_are_those_of_the_texts(tiny_bos: Student) -> None:
    [scores] = score_pairs(tiny_bos, [PAIRS[1]], VICUNA)
    asked, response = tiny_bos.tokenize([PAIRS[1].instruction + PAIRS[1].input, PAIRS[1].response])

    assert (scores.instruction_tokens, scores.response_tokens) == (len(asked), len(response))


def test_chat_takes_no_bos_besides_its_own(tiny_bos: Student, plain_bos: PlainLoop) -> None:
    chat = tiny_bos.template("chat")
    [scores] = score_pairs(tiny_bos, [PAIRS[4]], chat)

    def conditional(prompt: str, target: str) -> float | None:
        encode = plain_bos.tokenizer
        ids = encode(prompt + target, add_special_tokens=False).input_ids
        return plain_bos.loss_of(ids, len(encode(prompt, add_special_tokens=False).input_ids))

    pair = PAIRS[4]
    assert chat.prompt(pair).startswith("<|system|>Be brief.</s><|user|>Hi</s><|assistant|>Hello")
    assert four(scores) == pytest.approx(
        (
            plain_bos.loss("", pair.instruction),
            plain_bos.loss("", pair.response),
            conditional(chat.guess_prompt(pair.response), pair.instruction),
            conditional(chat.prompt(pair), pair.response),
        ),
        abs=1e-5,
    )


def test_context_changes_what_the_response_costs_and_nothing_else(tiny: Student) -> None:
    bare, full = Pair("Go on", "Blue, then."), PAIRS[4]
    first, second = score_pairs(tiny, [bare, full], VICUNA)

    assert four(first)[:3] == four(second)[:3]
    assert four(first)[3] != pytest.approx(four(second)[3], abs=1e-3)


def test_a_token_across_the_border_belongs_to_the_prompt(tiny: Student) -> None:
    """The tiny tokenizer reads two colons as one token, the first of which is the template's."""
    pair = Pair("Say it", ":Yes indeed")
    prompt, whole = tiny.tokenize([VICUNA.prompt(pair), VICUNA.prompt(pair) + pair.response])
    assert whole[: len(prompt)] != prompt
    [scores] = score_pairs(tiny, [pair], VICUNA)

    [loss] = tiny.span_losses([Span(tuple(whole), len(whole) - len(prompt))])
    assert scores.losses.response_given_instruction == pytest.approx(loss.mean, abs=1e-6)


# -- Whatever the company -------------------------------------------------------------------------
texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    pairs=st.lists(st.builds(Pair, instruction=texts, response=texts, input=texts), max_size=4),
    budget=st.integers(1, 4000),
    data=st.data(),
)
@settings(max_examples=8, deadline=None)
def test_a_pair_scores_the_same_in_any_company(
    shared_tiny: Student, pairs: list[Pair], budget: int, data: st.DataObject
) -> None:
    shared_tiny.budget = 1
    alone = [score_pairs(_forgetful(shared_tiny), [pair], VICUNA)[0] for pair in pairs]

    order = data.draw(st.permutations(range(len(pairs))))
    shared_tiny.budget = budget
    together = score_pairs(_forgetful(shared_tiny), [pairs[index] for index in order], VICUNA)

    for place, index in enumerate(order):
        assert four(together[place]) == pytest.approx(four(alone[index]), abs=1e-5)
        assert together[place].reason == alone[index].reason


# -- Asking no more than once ---------------------------------------------------------------------
def test_equal_spans_are_asked_for_once(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(tiny, monkeypatch)
    pair = PAIRS[0]
    rewrite = Pair(pair.instruction, "Cyan, magenta and yellow.")

    results = score_pairs(tiny, [pair, rewrite, pair], VICUNA)

    assert counting.spans == 4 + 3  # the instruction is shared
    assert results[0] == results[2]


def test_halves_are_remembered_between_calls(
    tiny: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(tiny, monkeypatch)
    pair = PAIRS[0]

    first = score_pairs(tiny, [pair], VICUNA)
    assert counting.spans == 4
    assert score_pairs(tiny, [pair], VICUNA) == first
    assert counting.spans == 4 + 2
    assert len(tiny.cache) == 2


# -- What cannot be scored ------------------------------------------------------------------------
@pytest.mark.parametrize("pair", [Pair("", "y and z"), Pair("x and y", ""), Pair("", "")])
def test_an_empty_half_leaves_no_signal(pair: Pair, tiny: Student) -> None:
    [scores] = score_pairs(tiny, [pair], VICUNA)

    assert (scores.status, scores.reason) == (Status.UNSCORABLE, UnscorableReason.EMPTY)
    assert (scores.ifd, scores.r_ifd) == (None, None)
    assert (scores.losses.response is None) == (pair.response == "")
    assert (scores.losses.instruction is None) == (pair.instruction == "")


def test_an_input_alone_is_something_to_answer(tiny: Student) -> None:
    [scores] = score_pairs(tiny, [Pair("", "y and z", input="x and w")], VICUNA)

    assert scores.status == Status.SCORED


def test_a_response_of_one_token_has_an_r_ifd_and_no_ifd(tiny: Student) -> None:
    [scores] = score_pairs(tiny, [Pair("Categorise this.", "2")], VICUNA)

    assert (scores.status, scores.reason) == (Status.UNSCORABLE, UnscorableReason.TOO_SHORT)
    assert scores.response_tokens == 1
    assert scores.losses.response is None
    assert scores.losses.response_given_instruction is not None
    assert scores.ifd is None
    assert scores.r_ifd is not None


def test_a_student_without_numbers_makes_every_pair_unscorable(tiny: Student) -> None:
    tiny._model.get_output_embeddings().weight.data.fill_(float("nan"))
    [scores] = score_pairs(tiny, PAIRS[:1], VICUNA)

    assert scores.reason == UnscorableReason.NON_FINITE
    assert scores.losses == PairLosses()


def test_an_unscorable_pair_breaks_no_other(tiny: Student) -> None:
    [_, second] = score_pairs(tiny, [Pair("", ""), PAIRS[0]], VICUNA)

    assert second == score_pairs(tiny, [PAIRS[0]], VICUNA)[0]


# -- Longer than the context ----------------------------------------------------------------------
@pytest.mark.parametrize("max_length", [120, 150, 200])
@pytest.mark.parametrize("bos", [False, True])
def test_what_does_not_fit_is_cut_at_the_end_and_recorded(
    bos: bool,
    max_length: int,
    tiny_folder: Path,
    tiny_bos_folder: Path,
    plain: PlainLoop,
    plain_bos: PlainLoop,
) -> None:
    student = reload(tiny_bos_folder if bos else tiny_folder, max_length=max_length)
    loop = plain_bos if bos else plain
    template = get_template("none")
    pair = Pair("word " * 12, "sentence after sentence, " * 9)
    expected = loop.losses(pair, template, max_length)

    [scores] = score_pairs(student, [pair], template)

    assert scores.truncated
    assert scores.response_tokens == len(student.tokenize([pair.response])[0])
    assert four(scores)[1] == pytest.approx(expected[1], abs=1e-5)
    assert four(scores)[3] == pytest.approx(expected[3], abs=1e-5)
    assert scores.ifd is not None


def test_a_prompt_that_fills_the_context_leaves_nothing_to_predict(tiny_folder: Path) -> None:
    student = reload(tiny_folder, max_length=64)
    [scores] = score_pairs(student, [Pair("word " * 100, "yes, it is")], get_template("none"))

    assert (scores.status, scores.reason) == (Status.UNSCORABLE, UnscorableReason.TRUNCATED)
    assert scores.truncated
    assert scores.losses.response_given_instruction is None
    assert scores.losses.response is not None
    assert scores.ifd is None


def test_a_context_cut_from_a_pair_that_fits_changes_nothing(
    tiny_folder: Path, tiny: Student
) -> None:
    template = get_template("none")
    [whole] = score_pairs(tiny, [PAIRS[0]], template)
    ample = reload(tiny_folder, max_length=1000)

    assert four(score_pairs(ample, [PAIRS[0]], template)[0]) == pytest.approx(four(whole), abs=1e-6)


def _forgetful(student: Student) -> Student:
    student.cache = LossCache()
    return student
