import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refinement.method.errors import ReplyError, TransientTeacherError
from refinement.method.pairs import Pair, Turn
from refinement.method.protocols.staged import reflect_on_instruction, reflect_on_response
from tests.method.scripted import Script, cut

PAIR = Pair(
    instruction="tell me about tea",
    response="Tea is a drink.",
    input="green tea",
    context=(Turn("system", "You like tea."), Turn("user", "Hi!")),
)
CRITICISM = "The instruction is vague."
NEW_INSTRUCTION = "Describe how green tea is made."
LABELLED = f"Better instruction: {NEW_INSTRUCTION}"
NEW_RESPONSE = "The leaves are heated soon after picking."


def on_instruction(script, pair=PAIR):
    return asyncio.run(reflect_on_instruction(pair, script))


def on_response(script, pair=PAIR):
    return asyncio.run(reflect_on_response(pair, script))


def test_three_turns_make_a_new_instruction_and_its_own_response():
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    reflection = on_instruction(script)
    assert script.steps == [
        ("criticise_instruction", 0),
        ("rewrite_instruction", 0),
        ("answer_instruction", 0),
    ]
    assert reflection.criticism == CRITICISM
    assert reflection.pair == Pair(
        instruction=NEW_INSTRUCTION,
        response=NEW_RESPONSE,
        input=PAIR.input,
        context=PAIR.context,
    )


def test_the_teacher_sees_the_whole_record_and_its_own_criticism():
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    on_instruction(script)
    criticise, rewrite, _ = script.asked
    for text in (PAIR.instruction, PAIR.input, PAIR.response, "You like tea.", "user: Hi!"):
        assert text in criticise.text
    for text in (PAIR.instruction, PAIR.input, "You like tea.", "user: Hi!"):
        assert text in rewrite.text
    assert CRITICISM in rewrite.system
    assert "the same input" in rewrite.system


def test_what_is_asked_for_stands_at_the_end_of_each_example_and_of_the_record():
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    on_instruction(script)
    for asked in script.asked[:2]:
        questions = [m["content"].splitlines()[-1] for m in asked.messages if m["role"] == "user"]
        assert len(questions) > 1
        assert set(questions) == {questions[-1]}
        assert questions[-1].startswith(("Criticise this instruction", "Write a better instruct"))


def test_the_new_instruction_is_answered_from_itself_and_its_input_alone():
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    on_instruction(script)
    seen = "\n".join(message["content"] for message in script.asked[-1].messages)
    assert NEW_INSTRUCTION in seen
    assert PAIR.input in seen
    assert "Hi!" in seen
    assert PAIR.instruction not in seen
    assert PAIR.response not in seen
    assert CRITICISM not in seen


def test_a_new_instruction_without_its_label_is_asked_for_again_then_taken():
    script = Script(CRITICISM, "Tea is made of leaves.", NEW_INSTRUCTION, NEW_RESPONSE)
    assert on_instruction(script).pair.instruction == NEW_INSTRUCTION
    assert script.steps[1:3] == [("rewrite_instruction", 0), ("rewrite_instruction", 1)]
    assert "was no instruction" in script.asked[2].system


def test_two_turns_make_a_new_response():
    script = Script("It is too short.", f"Better response:\n{NEW_RESPONSE}")
    reflection = on_response(script)
    assert script.steps == [("criticise_response", 0), ("rewrite_response", 0)]
    assert "It is too short." in script.asked[1].system
    assert PAIR.response in script.asked[1].system
    assert reflection.criticism == "It is too short."
    assert reflection.pair.instruction == PAIR.instruction
    assert reflection.pair.response == NEW_RESPONSE
    assert reflection.pair.input == PAIR.input


def test_a_cut_criticism_is_good_enough():
    script = Script(cut("It is vague. It al"), LABELLED, NEW_RESPONSE)
    assert on_instruction(script).criticism == "It is vague."


@pytest.mark.parametrize("at", [1, 2])
def test_a_cut_rewrite_is_asked_for_again_with_the_reason(at):
    replies = [CRITICISM, LABELLED, NEW_RESPONSE]
    script = Script(*replies[:at], cut("Describe how gre", 120), *replies[at:])
    assert on_instruction(script).pair.response == NEW_RESPONSE
    first, second = script.asked[at : at + 2]
    assert (first.step, first.attempt) == (second.step, 0)
    assert second.attempt == 1
    if first.step == "answer_instruction":
        assert second.text == f"{first.text}\n\nAnswer in one or two sentences."
    else:
        assert PAIR.instruction in second.text
        assert PAIR.input not in second.text
    assert "cut off. Use at most 40 words" in second.system


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        ("", "empty", "While rewriting the response, the teacher sent an empty reply, also when"),
        (cut("Tea is"), "truncated", "raise the endpoint's token limit"),
        (
            "I'm sorry, but I can't help with that.",
            "refusal",
            "the teacher refused, also when asked again",
        ),
        ("Hi! How can I help you today?", "unparsable", "made conversation"),
    ],
)
def test_two_replies_of_no_use_end_the_step(bad, reason, words):
    script = Script(CRITICISM, bad, bad)
    with pytest.raises(ReplyError, match=words) as caught:
        on_response(script)
    assert caught.value.reason == reason
    assert script.steps[-2:] == [("rewrite_response", 0), ("rewrite_response", 1)]
    assert script.used_up


def test_half_a_reflection_is_none():
    script = Script(CRITICISM, LABELLED, "", "")
    with pytest.raises(ReplyError) as caught:
        on_instruction(script)
    assert caught.value.reason == "empty"


def test_errors_of_the_teacher_pass_through():
    with pytest.raises(TransientTeacherError):
        on_response(Script(TransientTeacherError("later")))


def test_an_error_of_the_teacher_is_no_reason_to_ask_again():
    script = Script(ReplyError("filtered", "stopped"))
    with pytest.raises(ReplyError):
        on_response(script)
    assert len(script.asked) == 1


def test_steps_have_token_limits_that_grow_with_the_instruction():
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    on_instruction(script)
    criticise, rewrite, answer = (asked.max_tokens for asked in script.asked)
    assert criticise
    assert answer is None
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    on_instruction(script, Pair(instruction="tea " * 300, response="Tea."))
    assert script.asked[1].max_tokens >= rewrite + 300


def test_our_label_is_no_part_of_an_instruction_even_where_the_record_has_one():
    pair = Pair(instruction="Instruction: tell me about tea", response="Tea is a drink.")
    script = Script(CRITICISM, LABELLED, NEW_RESPONSE)
    assert on_instruction(script, pair).pair.instruction == NEW_INSTRUCTION


def test_a_label_alone_is_no_instruction():
    with pytest.raises(ReplyError) as caught:
        on_instruction(Script(CRITICISM, "Better instruction:", " better instruction: "))
    assert caught.value.reason == "unparsable"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(lambda text: f"x{text}x")


@example("An earlier reply was empty.", "xAn earlier reply x", "xAn earlier reply was empty.x")
@given(criticism=TEXT, instruction=TEXT, response=TEXT)
def test_any_text_comes_back(criticism, instruction, response):
    script = Script(criticism, f"Better instruction: {instruction}", response)
    reflection = on_instruction(script)
    assert reflection.criticism == criticism
    assert (reflection.pair.instruction, reflection.pair.response) == (instruction, response)
