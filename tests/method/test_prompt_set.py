import asyncio
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.method.pairs import Pair
from refinement.method.preview import STAND_INS, questions
from refinement.method.prompt_set import DEFAULT, LONGEST_PROMPT, RULES, PromptSet, problems
from refinement.method.reflection import PROTOCOLS, reflect_on_instruction, reflect_on_response
from tests.method.scripted import Script

PAIR = Pair(instruction="tell me about tea", response="Tea is a drink.", input="green tea")


def texts_of(asked):
    return "\n".join(message["content"] for question in asked for message in question.messages)


def test_the_defaults_are_fine_and_every_prompt_has_a_rule():
    assert problems(DEFAULT.as_dict()) == {}
    assert set(RULES) == set(DEFAULT.as_dict())
    assert DEFAULT.edited == {}


@pytest.mark.parametrize("name", RULES)
def test_a_change_of_any_word_is_another_version(name):
    changed = replace(DEFAULT, **{name: getattr(DEFAULT, name) + " Please."})
    assert changed.version != DEFAULT.version
    assert changed.version == replace(changed).version
    assert list(changed.edited) == [name]
    assert PromptSet.from_dict(changed.as_dict()) == changed


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", RULES)
def test_an_edit_reaches_the_protocols_that_use_it_and_no_other(name, protocol):
    words = replace(DEFAULT, **{name: getattr(DEFAULT, name) + " QUITE SO."})
    reached = "QUITE SO." in texts_of(questions(PAIR, protocol, words))
    assert reached == (protocol in RULES[name].protocols)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("answer", "  ", "Write something"),
        ("answer", "x" * (LONGEST_PROMPT + 1), "Shorten it"),
        ("rewrite_instruction", "Write a better one.", "Put {criticism} where"),
        ("rewrite_response", "Mend {criticism}.", "Put {response} where"),
        ("criticise_response", "Mind {criticsm}.", "{criticsm} is no placeholder"),
        ("reviewer", "You review {form}.", "It may hold: none"),
    ],
)
def test_what_cannot_be_a_prompt(name, text, words):
    assert words in problems({name: text})[name]


def test_braces_that_are_no_placeholder_are_text():
    assert problems({"answer": 'Reply like {"a": 1} or { x }.'}) == {}


@given(criticism=st.text(), response=st.text())
def test_what_is_put_in_is_never_taken_for_a_placeholder(criticism, response):
    words = PromptSet(rewrite_response="{response}|{criticism}")
    filled = words.fill("rewrite_response", response=response, criticism=criticism)
    assert filled == f"{response}|{criticism}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_preview_is_what_is_sent(protocol):
    """The same protocol against a teacher that answers with the stand-ins."""
    words = replace(DEFAULT, response_criteria="its wit")
    shown = questions(PAIR, protocol, words)
    staged = protocol == "staged"
    for reflect, steps in (
        (reflect_on_instruction, 3 if staged else 1),
        (reflect_on_response, 2 if staged else 1),
    ):
        mine, shown = shown[:steps], shown[steps:]
        script = Script(*(STAND_INS.get(question.step, "") for question in mine))
        with nullcontext() if staged else pytest.raises(IndexError):  # it would be asked again
            asyncio.run(reflect(PAIR, script, protocol, words))
        sent = script.asked[: len(mine)]
        assert [(asked.step, tuple(asked.messages)) for asked in sent] == [
            (question.step, question.messages) for question in mine
        ]
        assert [asked.max_tokens for asked in sent] == [question.max_tokens for question in mine]
    assert shown == []
