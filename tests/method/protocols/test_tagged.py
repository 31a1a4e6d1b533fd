import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.method.errors import ReplyError
from refinement.method.pairs import Pair, TeacherReply
from refinement.method.protocols.tagged import (
    Tag,
    read_instruction,
    reflect_on_instruction,
    reflect_on_response,
    split,
    tags_for,
)
from refinement.method.replies import UnusableReply
from tests.method.scripted import Script, cut

PAIR = Pair(instruction="tell me about tea", response="Tea is a drink.", input="green tea")
ONE, TWO = tags_for(PAIR)
CRITICISM = "The instruction is vague."
INSTRUCTION = "Describe how green tea is made."
RESPONSE = "The leaves are heated soon after picking.\n\nThe End.\nEnd of the story."


def tagged(instruction=INSTRUCTION, response=RESPONSE, criticism=CRITICISM):
    return f"{criticism}\n{ONE.around(instruction)}\n{TWO.around(response)}"


def parts(text):
    return split(text, ONE, TWO)


GOOD = [
    tagged(),
    tagged().replace("]\n", "] "),  # text on the line of its tag
    tagged().upper().replace(INSTRUCTION.upper(), INSTRUCTION).replace(RESPONSE.upper(), RESPONSE),
    tagged().replace("[New Instruction]", "**[New Instruction]**"),
    tagged().replace("[New Response]", "### [New Response]:"),
    tagged().replace("\n[End New Response]", ""),
    tagged().replace("\n[End New Instruction]", ""),
    tagged().replace("\n[End", " [End"),
    tagged().replace("]\n", "] ").replace("\n[End", " [End"),
    tagged() + "\n\nI hope this helps!",
    tagged(criticism=f"{CRITICISM} I will now write [New Instruction] as asked."),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_reply_in_the_asked_form_is_read(text):
    criticism, instruction, response = parts(text)
    assert criticism.lower().startswith(CRITICISM.lower())
    assert instruction == INSTRUCTION
    assert response == RESPONSE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The instruction is fine as it is.",
        f"{CRITICISM}\n{ONE.around(INSTRUCTION)}",
        f"{CRITICISM}\n{TWO.around(RESPONSE)}",
        f"{TWO.around(RESPONSE)}\n{ONE.around(INSTRUCTION)}",
        tagged(instruction=""),
        tagged(response=" \n"),
        tagged(instruction="the new instruction"),
        tagged(response="<the new response>"),
        tagged(response="..."),
        f"New Instruction: {INSTRUCTION}\nNew Response: {RESPONSE}",
        tagged() + "\n" + tagged(response="Another one."),
    ],
)
def test_a_half_or_ambiguous_reply_is_never_read(text):
    with pytest.raises(UnusableReply) as caught:
        parts(text)
    assert caught.value.reason == "unparsable"


def test_tags_inside_the_texts_do_no_harm():
    instruction = f"Explain what\n{ONE.opening}\nand\n{ONE.closing}\nmean. [End]"
    response = f"They are tags:\n{TWO.closing}\nends one.\n[End]"
    _, read_first, read_second = parts(tagged(instruction, response))
    assert (read_first, read_second) == (instruction, response)


def test_the_tags_differ_from_everything_in_the_record():
    pair = Pair(
        instruction="What does [new instruction] mean?", response="See [End New Response 2]."
    )
    assert tags_for(pair) == (Tag("New Instruction 3"), Tag("New Response 3"))


def test_a_record_about_tags_is_reflected_on():
    pair = Pair(instruction="Explain:\n[New Instruction]\nx", response="It is a tag.")
    one, two = tags_for(pair)
    new = "Explain the tag\n[New Instruction]\nand the tag\n[New Response]\nto a beginner."
    script = Script(f"Vague.\n{one.around(new)}\n{two.around('Both are tags.')}")
    assert asyncio.run(reflect_on_instruction(pair, script)).pair.instruction == new
    assert one.around("the new instruction") in script.asked[0].text


def test_one_reply_makes_the_new_pair_and_the_input_stays():
    script = Script(tagged())
    reflection = asyncio.run(reflect_on_instruction(PAIR, script))
    assert reflection.pair == Pair(INSTRUCTION, RESPONSE, input=PAIR.input)
    assert reflection.criticism == CRITICISM
    assert script.steps == [("reflect_instruction", 0)]
    assert "exactly the same input" in script.asked[0].text


def test_a_new_response_alone():
    script = Script(f"Too short.\n{TWO.around(RESPONSE)}")
    reflection = asyncio.run(reflect_on_response(PAIR, script))
    assert reflection.pair == Pair(PAIR.instruction, RESPONSE, input=PAIR.input)
    assert script.steps == [("reflect_response", 0)]


@pytest.mark.parametrize(
    ("bad", "reason", "note"),
    [
        (f"Vague.\n{ONE.around(INSTRUCTION)}", "unparsable", "[End New Response] must stand"),
        (cut(tagged(), 300), "truncated", "Use at most 100 words"),
        ("I'm sorry, but I can't assist with that.", "refusal", "was a refusal"),
        (tagged(response="I'm sorry, but I can't assist with that."), "refusal", "was a refusal"),
        ("", "empty", "was empty"),
    ],
)
def test_a_bad_reply_is_explained_once(bad, reason, note):
    script = Script(bad, tagged())
    assert asyncio.run(reflect_on_instruction(PAIR, script)).pair.response == RESPONSE
    assert script.steps == [("reflect_instruction", 0), ("reflect_instruction", 1)]
    assert note in script.asked[1].system

    with pytest.raises(ReplyError) as caught:
        asyncio.run(reflect_on_instruction(PAIR, Script(bad, bad)))
    assert caught.value.reason == reason


# -- Fuzz: whatever comes, a pair is either what the tags hold, or none ---------------------------
PIECES = st.sampled_from(
    [ONE.opening, ONE.closing, TWO.opening, TWO.closing, "[End]", "End", "\n", "\n\n", " ", "**"]
)
MESS = st.lists(st.one_of(PIECES, st.text(max_size=12))).map("".join)
BODY = st.text(min_size=1).map(lambda text: f"x{text}x")  # no outer blanks, no tag line


@given(text=MESS)
def test_a_mess_is_refused_or_read_as_parts_of_it(text):
    try:
        criticism, instruction, response = parts(text)
    except UnusableReply:
        return
    assert instruction
    assert response
    rest = text
    for part in (criticism, instruction, response):  # in this order, without overlap
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]


@given(criticism=BODY, instruction=BODY, response=BODY)
def test_any_text_comes_back_whole(criticism, instruction, response):
    assert parts(tagged(instruction, response, criticism)) == [criticism, instruction, response]


@given(mess=MESS, response=BODY)
def test_a_response_full_of_tags_is_whole_or_refused(mess, response):
    body = f"{response}\n{mess}".strip()
    try:
        _, instruction, read = parts(tagged(response=body))
    except UnusableReply:
        return
    assert instruction == INSTRUCTION
    assert read == body


@given(text=MESS, instruction=st.text(), old=st.text())
def test_no_pair_is_made_of_a_new_and_an_old_half(text, instruction, old):
    pair = Pair(instruction=instruction, response=old)
    try:
        reflection = read_instruction(TeacherReply(text, "stop"), pair)
    except UnusableReply:
        return
    assert reflection.pair.instruction in text
    assert reflection.pair.response in text
