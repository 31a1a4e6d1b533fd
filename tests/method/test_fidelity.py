"""Whatever it is batched with, and whichever the tokenizer: the numbers of a plain reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement.method.pairs import Pair, Turn
from refinement.method.scoring import score_pairs
from refinement.method.spans import LossCache
from refinement.method.templates import get_template
from tests.method.test_scoring import four
from tests.method.tiny_student import reload

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.pairs import Scores
    from refinement.method.student import Student
    from tests.method.plain_loop import PlainLoop

TURNS = st.sampled_from(
    [(), (Turn("system", "Be brief."),), (Turn("user", "Hi"), Turn("assistant", "Hello"))]
)
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=50)
pairs_of_any_text = st.lists(
    st.builds(Pair, instruction=texts, response=texts, input=st.just("") | texts, context=TURNS),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module", params=["no BOS", "BOS"])
def either(
    request: pytest.FixtureRequest,
    tiny_folder: Path,
    tiny_bos_folder: Path,
    plain: PlainLoop,
    plain_bos: PlainLoop,
) -> tuple[Student, PlainLoop]:
    if request.param == "BOS":
        return reload(tiny_bos_folder), plain_bos
    return reload(tiny_folder), plain


@given(
    pairs=pairs_of_any_text,
    budget=st.integers(1, 3000),
    packed=st.booleans(),
    template=st.sampled_from(["vicuna", "alpaca"]),
    data=st.data(),
)
@settings(max_examples=12, deadline=None)
def test_shuffled_padded_and_packed_pairs_score_as_the_definitions_say(
    either: tuple[Student, PlainLoop],
    pairs: list[Pair],
    budget: int,
    packed: bool,
    template: str,
    data: st.DataObject,
) -> None:
    student, plain = either
    way = student._packed
    assert way is not None
    order = data.draw(st.permutations(pairs))
    expected = [plain.losses(pair, get_template(template)) for pair in order]
    student.cache, student.budget = LossCache(), budget
    try:
        student._packed = way if packed else None
        found = score_pairs(student, order, get_template(template))
    finally:
        student._packed = way

    for scores, losses in zip(found, expected, strict=True):
        assert four(scores) == pytest.approx(losses, abs=1e-5)


def signals(scores: Scores) -> tuple[float | None, ...]:
    return (scores.ifd, scores.r_ifd, scores.s_ifd, scores.grape, scores.rsr)


def test_every_signal_is_the_same_in_any_company(tiny: Student) -> None:
    pairs = [Pair(f"Name {n} colours.", "Red, yellow and blue. " * n) for n in range(1, 6)]
    alone = [signals(score_pairs(tiny, [pair], get_template("alpaca"))[0]) for pair in pairs]
    tiny.cache = LossCache()

    together = score_pairs(tiny, list(reversed(pairs)), get_template("alpaca"))

    for one, scores in zip(alone, reversed(together), strict=True):
        assert None not in one
        assert signals(scores) == pytest.approx(one, abs=1e-4)


# -- Tokens across a border -----------------------------------------------------------------------
def test_a_token_across_the_border_flags_the_pair(tiny: Student) -> None:
    # "::" is one token of the tiny tokenizer, and the prompt ends with ":".
    across, plain = score_pairs(
        tiny, [Pair("x of it", ": and more"), Pair("x of it", "and more")], get_template("vicuna")
    )

    assert across.straddled
    assert not plain.straddled
    assert across.response_tokens > 1
    assert across.ifd is not None


def test_the_tokens_of_a_flagged_pair_leave_out_what_belongs_to_the_prompt(tiny: Student) -> None:
    from refinement.method.scoring import score_with_tokens

    pair = Pair("x of it", ": and more")
    [(_, tokens)] = score_with_tokens(tiny, [pair], get_template("vicuna"))

    assert min(token.start for token in tokens.given_instruction) == 1
    assert max(token.end for token in tokens.given_instruction) == len(pair.response)


# -- Chats ----------------------------------------------------------------------------------------
def test_a_chat_puts_system_prompt_and_earlier_turns_into_the_condition(
    tiny_bos: Student, plain_bos: PlainLoop
) -> None:
    chat = tiny_bos.template("chat")
    pair = Pair("Go on", "Blue.", context=(Turn("system", "Be brief."), Turn("user", "Hi")))
    [scores] = score_pairs(tiny_bos, [pair], chat)
    [bare] = score_pairs(tiny_bos, [Pair("Go on", "Blue.")], chat)

    prompt = "<|system|>Be brief.</s><|user|>Hi</s><|user|>Go on</s><|assistant|>"
    encode = plain_bos.tokenizer
    whole = encode(prompt + "Blue.", add_special_tokens=False).input_ids
    start = len(encode(prompt, add_special_tokens=False).input_ids)
    assert scores.losses.response_given_instruction == pytest.approx(
        plain_bos.loss_of(whole, start), abs=1e-5
    )
    assert scores.losses.response == bare.losses.response
    assert scores.losses.instruction_given_response == bare.losses.instruction_given_response
