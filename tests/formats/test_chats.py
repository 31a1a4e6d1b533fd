"""Chats in ShareGPT's and OpenAI's shapes, in and out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.formats.chats import MessagesShape, ShareGPTShape
from refinement.formats.errors import RecordError
from refinement.formats.shape import EVERY, KeptAsIs, Parts
from refinement.method.pairs import Pair, Turn
from tests.formats.test_alpaca import JSON, TEXTS, exact


def say(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
ASK, ANSWER = say("user", "2 and 2?"), say("assistant", "4", weight=1.0)


def messages(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 7, "messages": list(turns), **more}


def test_the_last_exchange_is_the_pair_and_the_rest_its_context() -> None:
    record = messages(
        say("developer", "Be brief."), say("user", "Hi"), say("assistant", "Hello"), ASK, ANSWER
    )
    (parts,) = MessagesShape().read(record, escapes=False)
    assert parts.pair == Pair(
        "2 and 2?",
        "4",
        "",
        (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello")),
    )
    assert exact(MessagesShape().write([parts])) == exact(record)
    assert MessagesShape().others(parts) == {"id": 7}


def test_every_answer_can_be_a_pair_and_the_chat_comes_together_again() -> None:
    record = messages(
        say("user", "Hi"),
        say("assistant", "Hello"),
        say("user", "Add."),
        say("assistant", None, tool_calls=[CALL]),
        say("tool", "4"),
        say("assistant", "It is 4."),
        ASK,
        ANSWER,
    )
    shape = MessagesShape(turns=EVERY)
    parts = shape.read(record, escapes=False)
    assert [(p.part, p.pair.instruction, p.pair.response) for p in parts] == [
        (0, "Hi", "Hello"),
        (1, "2 and 2?", "4"),
    ]
    assert parts[1].extra == {}
    assert [turn.role for turn in parts[1].pair.context] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert "add" in parts[1].pair.context[3].content
    assert exact(shape.write(parts)) == exact(record)
    better = Parts(Pair("Two and two?", "Four."), parts[1].extra, parts[1].layout, 1)
    assert shape.write([parts[0], better])["messages"][-2:] == [
        say("user", "Two and two?"),
        say("assistant", "Four.", weight=1.0),
    ]


def test_typed_parts_take_a_rewrite_and_come_back_untouched_without_one() -> None:
    asked = say("user", [{"type": "text", "value": "2 and 2?"}], loss_weight=0.0)
    answer = say("assistant", [{"type": "text", "text": "It is"}, {"type": "text", "text": "4."}])
    record = messages(asked, answer)
    (parts,) = MessagesShape().read(record, escapes=False)
    assert (parts.pair.instruction, parts.pair.response) == ("2 and 2?", "It is\n4.")
    assert exact(MessagesShape().write([parts])) == exact(record)
    parts.pair = Pair("Two and two?", "Four.")
    assert MessagesShape().write([parts])["messages"] == [
        say("user", [{"type": "text", "value": "Two and two?"}], loss_weight=0.0),
        say("assistant", [{"type": "text", "text": "Four."}]),
    ]


def test_sharegpt_has_its_own_words() -> None:
    record = {
        "conversations": [
            {"from": "human", "value": "Hi"},
            {"from": "function_call", "value": '{"name": "f"}'},
            {"from": "observation", "value": "1"},
            {"from": "gpt", "value": "One."},
            {"from": "human", "value": "And?"},
            {"from": "gpt", "value": "Two."},
        ],
        "system": "Count.",
        "tools": "[]",
    }
    (parts,) = ShareGPTShape().read(record, escapes=False)
    assert (parts.pair.instruction, parts.pair.response) == ("And?", "Two.")
    assert parts.pair.context[0] == Turn("system", "Count.")
    assert parts.pair.context[2] == Turn("assistant", '[tool call: {"name": "f"}]')
    assert exact(ShareGPTShape().write([parts])) == exact(record)
    assert ShareGPTShape().others(parts) == {"tools": "[]"}


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([ASK], "it has no turn of the assistant"),
        (
            [say("assistant", "Hello")],
            "no turn of the user stands before the last of the assistant",
        ),
        (
            [ASK, say("assistant", None, tool_calls=[CALL])],
            "the last turn of the assistant calls a tool",
        ),
        (
            [ASK, say("tool", "4"), ANSWER],
            "tool calls stand between the last user turn and its answer",
        ),
        ([ASK, ANSWER, ANSWER], "other turns stand between the last user turn and its answer"),
        (
            [say("user", [{"type": "image_url", "image_url": {}}]), ANSWER],
            "the last turn of the user holds more than text",
        ),
        ([ASK, say("assistant", None)], "the last turn of the assistant holds more than text"),
        ([say("user", " "), ANSWER], "the last turn of the user is empty"),
    ],
)
def test_what_cannot_be_refined_is_kept_and_says_why(
    turns: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(KeptAsIs) as caught:
        MessagesShape().read(messages(*turns), escapes=False)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({}, "messages", "the field 'messages' is missing"),
        ({"messages": "x"}, "messages", "the field 'messages' is text, not a list"),
        ({"messages": []}, "messages", "the chat has no turns"),
        (messages(ASK, 5), "messages[1]", "turn 2 is a number, not an object"),  # type: ignore[arg-type]
        (messages({"content": "a"}), "messages[0].role", "turn 1 does not say who speaks"),
        (messages(ASK, ANSWER, system=3), "system", "the field 'system' is a number, not text"),
        (messages(ASK, ANSWER, n=1e999), "n", "a number in 'n' is out of range"),
    ],
)
def test_what_is_no_chat_is_refused(record: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        MessagesShape().read(record, escapes=False)
    assert (caught.value.field, caught.value.reason) == (field, reason)


CONTENT = (
    TEXTS
    | st.none()
    | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=3)
    | JSON
)
TURNS = st.lists(
    st.tuples(
        st.sampled_from(["user", "assistant", "assistant", "user", "system", "tool"]),
        CONTENT,
        st.dictionaries(st.sampled_from(["weight", "tool_calls", "name"]), JSON, max_size=1),
    ).map(lambda t: {"role": t[0], **t[2], "content": t[1]}),
    max_size=6,
)


@given(TURNS, st.dictionaries(TEXTS, JSON, max_size=2), st.sampled_from(["last", EVERY]))
def test_any_chat_comes_back_to_the_letter(
    turns: list[dict[str, Any]], more: dict[str, Any], mode: str
) -> None:
    record = {**more, "messages": turns}
    shape = MessagesShape(turns=mode)
    try:
        parts = shape.read(record, escapes=True)
    except (KeptAsIs, RecordError) as told:
        assert str(told)  # noqa: PT017 - either outcome is right
        return
    stored = [Parts(p.pair, json.loads(json.dumps(p.extra)), p.layout, p.part) for p in parts]
    assert exact(shape.write(stored)) == exact(record)
