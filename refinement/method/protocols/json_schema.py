"""JSON: criticism and rewrite as an object of a given schema, which good servers enforce.

A server may refuse a schema, or take no notice of it; both times the tagged form is asked for.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refinement.method import prompts
from refinement.method.asking import ask_again, ask_twice
from refinement.method.cleaning import clean_instruction, clean_response
from refinement.method.errors import SchemaRefusedError
from refinement.method.pairs import Pair, Reflection, TeacherReply
from refinement.method.prompt_set import DEFAULT
from refinement.method.protocols import tagged
from refinement.method.replies import NOTE, UnusableReply, storable, usable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.method.asking import Ask, Message
    from refinement.method.prompt_set import PromptSet

FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


def _schema(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


INSTRUCTION_SCHEMA = _schema("criticism", "new_instruction", "new_response")
RESPONSE_SCHEMA = _schema("criticism", "new_response")


async def reflect_on_instruction(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    return await _reflect(
        ask,
        step="reflect_instruction",
        schema=INSTRUCTION_SCHEMA,
        messages=prompts.reflect_on_instruction(pair, _form(INSTRUCTION_SCHEMA), words),
        read=lambda reply: read_instruction(reply, pair),
        tagged_messages=tagged.instruction_messages(pair, words),
        tagged_read=lambda reply: tagged.read_instruction(reply, pair),
    )


async def reflect_on_response(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    return await _reflect(
        ask,
        step="reflect_response",
        schema=RESPONSE_SCHEMA,
        messages=prompts.reflect_on_response(pair, _form(RESPONSE_SCHEMA), words),
        read=lambda reply: read_response(reply, pair),
        tagged_messages=tagged.response_messages(pair, words),
        tagged_read=lambda reply: tagged.read_response(reply, pair),
    )


async def _reflect(
    ask: Ask,
    *,
    step: str,
    schema: dict[str, Any],
    messages: list[Message],
    read: Callable[[TeacherReply], Reflection],
    tagged_messages: list[Message],
    tagged_read: Callable[[TeacherReply], Reflection],
) -> Reflection:
    try:
        reply = await ask(step=step, messages=messages, attempt=0, json_schema=schema)
    except SchemaRefusedError:
        return await ask_twice(ask, step=step, messages=tagged_messages, read=tagged_read)
    try:
        return read(reply)
    except UnusableReply as problem:
        note = problem.note
    return await ask_again(ask, step=step, messages=tagged_messages, note=note, read=tagged_read)


def read_instruction(reply: TeacherReply, pair: Pair) -> Reflection:
    texts = _texts(usable_text(reply), INSTRUCTION_SCHEMA)
    rewritten = replace(
        pair,
        instruction=clean_instruction(texts["new_instruction"], pair),
        response=clean_response(texts["new_response"], pair),
    )
    return Reflection(criticism=texts["criticism"], pair=rewritten)


def read_response(reply: TeacherReply, pair: Pair) -> Reflection:
    texts = _texts(usable_text(reply), RESPONSE_SCHEMA)
    response = clean_response(texts["new_response"], pair)
    return Reflection(criticism=texts["criticism"], pair=replace(pair, response=response))


def _texts(text: str, schema: dict[str, Any]) -> dict[str, str]:
    """The schema's texts from a JSON object. Only the criticism may be empty, for it is a means.

    Raises UnusableReply.
    """
    fenced = FENCE.match(text)
    try:
        data = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):  # the latter: very many brackets
        raise _not_the_object() from None
    if not isinstance(data, dict):
        raise _not_the_object()
    texts = {}
    for name in schema["required"]:
        value = data.get(name)
        if not isinstance(value, str) or not (value.strip() or name == "criticism"):
            raise _not_the_object()
        texts[name] = storable(value).strip()
    return texts


def _not_the_object() -> UnusableReply:
    return UnusableReply(
        "unparsable",
        "did not send the JSON object that was asked for",
        f"{NOTE}did not have the asked form.",
    )


def _form(schema: dict[str, Any]) -> str:
    fields = ", ".join(f'"{name}"' for name in schema["required"])
    return f"Reply with one JSON object with the text fields {fields}, and nothing else."
