import asyncio
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refinement.method.errors import ReplyError, SchemaRefusedError
from refinement.method.pairs import Pair, TeacherReply
from refinement.method.protocols import tagged
from refinement.method.protocols.json_schema import (
    INSTRUCTION_SCHEMA,
    RESPONSE_SCHEMA,
    read_instruction,
    reflect_on_instruction,
    reflect_on_response,
)
from refinement.method.replies import UnusableReply
from tests.method.scripted import Script, cut

PAIR = Pair(instruction="tell me about tea", response="Tea is a drink.", input="green tea")
OBJECT = {
    "criticism": "The instruction is vague.",
    "new_instruction": "Describe how green tea is made.",
    "new_response": "The leaves are heated soon after picking.",
}
ONE, TWO = tagged.tags_for(PAIR)
TAGGED = f"Vague.\n{ONE.around('Say how tea is grown.')}\n{TWO.around('On warm, wet hills.')}"


def read(text):
    return read_instruction(TeacherReply(text, "stop"), PAIR)


def test_an_object_makes_a_pair():
    script = Script(json.dumps(OBJECT))
    reflection = asyncio.run(reflect_on_instruction(PAIR, script))
    assert reflection.pair == Pair(
        OBJECT["new_instruction"], OBJECT["new_response"], input=PAIR.input
    )
    assert reflection.criticism == OBJECT["criticism"]
    assert script.asked[0].json_schema == INSTRUCTION_SCHEMA


def test_an_object_makes_a_response():
    script = Script(json.dumps({"criticism": "Too short.", "new_response": "A hot drink."}))
    reflection = asyncio.run(reflect_on_response(PAIR, script))
    assert reflection.pair == Pair(PAIR.instruction, "A hot drink.", input=PAIR.input)
    assert script.asked[0].json_schema == RESPONSE_SCHEMA


def test_a_refused_schema_leads_to_the_tagged_form():
    script = Script(SchemaRefusedError("no"), TAGGED)
    reflection = asyncio.run(reflect_on_instruction(PAIR, script))
    assert reflection.pair.instruction == "Say how tea is grown."
    assert [asked.json_schema for asked in script.asked] == [INSTRUCTION_SCHEMA, None]
    assert ONE.opening in script.asked[1].text


def test_a_refused_schema_leaves_the_tagged_form_its_retry():
    script = Script(SchemaRefusedError("no"), "chatter", TAGGED)
    assert asyncio.run(reflect_on_instruction(PAIR, script)).pair.response == "On warm, wet hills."


def test_an_ignored_schema_leads_to_the_tagged_form():
    script = Script("Here is what I think: it is vague.", TAGGED)
    reflection = asyncio.run(reflect_on_instruction(PAIR, script))
    assert reflection.pair.response == "On warm, wet hills."
    assert script.steps == [("reflect_instruction", 0), ("reflect_instruction", 1)]
    assert script.asked[1].json_schema is None


def test_two_bad_replies_are_enough():
    with pytest.raises(ReplyError) as caught:
        asyncio.run(reflect_on_response(PAIR, Script("{", cut("x"))))
    assert caught.value.reason == "truncated"


def test_a_fence_around_the_object_is_fine():
    assert read(f"```json\n{json.dumps(OBJECT)}\n```").criticism == OBJECT["criticism"]


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '"text"',
        "{}",
        '{"criticism": "a", "new_instruction": "b"',
        json.dumps(OBJECT | {"new_response": None}),
        json.dumps(OBJECT | {"new_response": " "}),
        json.dumps(OBJECT | {"new_instruction": ["a"]}),
        json.dumps({key: OBJECT[key] for key in ("criticism", "new_response")}),
        "[" * 20_000,
    ],
)
def test_what_is_not_the_object(text):
    with pytest.raises(UnusableReply) as caught:
        read(text)
    assert caught.value.reason == "unparsable"


def test_a_criticism_may_be_empty():
    assert read(json.dumps(OBJECT | {"criticism": ""})).criticism == ""


def test_broken_characters_inside_are_mended():
    text = json.dumps(OBJECT | {"new_response": "half \ud800, NUL \x00"})
    assert read(text).pair.response == "half �, NUL �"


@given(st.recursive(st.one_of(st.none(), st.text(), st.floats()), st.lists).map(json.dumps))
def test_any_other_json_is_refused(text):
    with pytest.raises(UnusableReply):
        read(text)


PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(lambda text: f"x{text}x")


@example(instruction="xAn earlier reply x", response="xAn earlier reply was empty.x")
@given(instruction=PRINTABLE, response=PRINTABLE)
def test_any_text_comes_back(instruction, response):
    text = json.dumps(OBJECT | {"new_instruction": instruction, "new_response": response})
    assert read(text).pair == Pair(instruction, response, input=PAIR.input)
