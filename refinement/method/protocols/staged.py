"""Staged: one small question a turn. The only form that a small model can follow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refinement.method import staged_prompts as prompts
from refinement.method.asking import ask_twice
from refinement.method.cleaning import clean_instruction, clean_response, whole_sentences
from refinement.method.pairs import Pair, Reflection, TeacherReply
from refinement.method.prompt_set import DEFAULT
from refinement.method.replies import CUT, NOTE, UnusableReply, is_refusal, usable_text

if TYPE_CHECKING:
    from refinement.method.asking import Ask
    from refinement.method.prompt_set import PromptSet

# In tokens. A criticism may be cut; a new instruction that is not done by then never will be.
CRITICISM_LIMIT = 110
INSTRUCTION_LIMIT = 160
BYTES_PER_TOKEN = 3


async def reflect_on_instruction(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    criticism = await ask_twice(
        ask,
        step="criticise_instruction",
        messages=prompts.criticise_instruction(pair, words),
        read=_criticism,
        max_tokens=CRITICISM_LIMIT,
    )
    instruction = await ask_twice(
        ask,
        step="rewrite_instruction",
        messages=prompts.rewrite_instruction(pair, criticism, words),
        again=lambda _: prompts.rewrite_instruction(pair, criticism, words, again=True),
        read=lambda reply: _instruction(reply, pair, labelled=True),
        read_again=lambda reply: _instruction(reply, pair, labelled=False),
        max_tokens=INSTRUCTION_LIMIT + len(pair.instruction.encode()) // BYTES_PER_TOKEN,
    )
    # The response is left empty until it is written: never the old one beside the new instruction.
    renewed = replace(pair, instruction=instruction, response="")
    response = await ask_twice(
        ask,
        step="answer_instruction",
        messages=prompts.answer_instruction(renewed, words),
        again=lambda reason: prompts.answer_instruction(
            renewed, words, briefly=reason == "truncated"
        ),
        read=lambda reply: _response(reply, pair),
    )
    return Reflection(criticism=criticism, pair=replace(renewed, response=response))


async def reflect_on_response(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    criticism = await ask_twice(
        ask,
        step="criticise_response",
        messages=prompts.criticise_response(pair, words),
        read=_criticism,
        max_tokens=CRITICISM_LIMIT,
    )
    response = await ask_twice(
        ask,
        step="rewrite_response",
        messages=prompts.rewrite_response(pair, criticism, words),
        again=lambda reason: prompts.rewrite_response(
            pair, criticism, words, briefly=reason == "truncated"
        ),
        read=lambda reply: _response(reply, pair),
    )
    return Reflection(criticism=criticism, pair=replace(pair, response=response))


def _criticism(reply: TeacherReply) -> str:
    text = usable_text(reply, may_be_cut=True)
    return whole_sentences(text) if reply.finish_reason in CUT else text


def _instruction(reply: TeacherReply, pair: Pair, *, labelled: bool) -> str:
    """The new instruction. One without the label that every example has is seldom one."""
    text = usable_text(reply)
    label = prompts.NEW_INSTRUCTION_LABEL.strip()
    has_label = text.lower().startswith(label.lower())
    text = text[len(label) :].strip() if has_label else text
    if (labelled and not has_label) or not text:
        raise UnusableReply(
            "unparsable",
            "did not write an instruction",
            f"{NOTE}was no instruction. Write a task for others, after “{label}”.",
        )
    return clean_instruction(text, pair)


def _response(reply: TeacherReply, pair: Pair) -> str:
    return clean_response(usable_text(reply, may_refuse=is_refusal(pair.response)), pair)
