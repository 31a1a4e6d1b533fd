"""What the teacher is told in the staged protocol: one small task a turn, some of it by example.

Tuned on a model of 135 million parameters. Such a model does what the last line asks for and what
the examples do, and repeats what it read shortly before; so the criticism that a rewrite starts
from stands in the system message, and the question comes last. A change of any word here needs a
new PROMPT_VERSION.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from refinement.method.pairs import Pair
from refinement.method.prompts import (
    earlier_turns,
    record,
    stand_alone,
)

if TYPE_CHECKING:
    from refinement.method.asking import Message
    from refinement.method.prompt_set import PromptSet


@dataclass(frozen=True, slots=True)
class Example:
    """A record with good replies to what is asked about it."""

    pair: Pair
    criticism: str
    response_criticism: str
    new_instruction: str


EXAMPLES = (
    Example(
        pair=Pair(
            instruction="Make it shorter.",
            input="I am writing to let you know that I cannot come to the meeting on Monday.",
            response="I can't.",
        ),
        criticism=(
            "The instruction is simple, but leaves open how short the text should be and in which "
            "tone. The response is so short that it is rude and loses the day. So loose an "
            "instruction lets any cut count as an answer."
        ),
        response_criticism=(
            "The response is short, but it is rude and no longer says on which day. It should "
            "keep the meeting and the Monday."
        ),
        new_instruction="Shorten the message to at most eight words, and keep it polite.",
    ),
    Example(
        pair=Pair(instruction="Tell me about dogs.", response="Dogs are animals."),
        criticism=(
            "The instruction is vague: it does not say what the reader wants to know about dogs, "
            "or in how much detail. The response is true but gives no facts. A vague question "
            "leads to a vague answer."
        ),
        response_criticism=(
            "The response is true but gives no facts. It should say what dogs are like, what they "
            "are kept for and what they need."
        ),
        new_instruction=(
            "Describe two dog breeds that suit a family with small children, and say what care "
            "each of them needs."
        ),
    ),
    Example(
        pair=Pair(instruction="code for sorting", response="sort()"),
        criticism=(
            "The instruction names neither a language nor what is to be sorted. The response is "
            "the name of a function and explains nothing. Who asks in three words gets one."
        ),
        response_criticism=(
            "The response names a function, but shows no code and does not say how to call it."
        ),
        new_instruction="Write a Python function that sorts a list of numbers, and explain it.",
    ),
)
CRITICISED = EXAMPLES[:2]  # more would only be copied from

BRIEFLY = "Answer in one or two sentences."
NEW_INSTRUCTION_LABEL = "Better instruction: "


def criticise_instruction(pair: Pair, words: PromptSet) -> list[Message]:
    return _conversation(
        words.fill("criticise_instruction"),
        [(_criticise_record(example.pair), example.criticism) for example in CRITICISED],
        _criticise_record(pair),
    )


def rewrite_instruction(
    pair: Pair, criticism: str, words: PromptSet, *, again: bool = False
) -> list[Message]:
    """``again``: without the input, which tempts the teacher to do the task instead."""
    shown = replace(pair, input="") if again else pair
    return _conversation(
        words.fill("rewrite_instruction", stand_alone=stand_alone(pair), criticism=criticism),
        [
            (_rewrite_record(example.pair), NEW_INSTRUCTION_LABEL + example.new_instruction)
            for example in EXAMPLES
        ],
        _rewrite_record(shown),
    )


def answer_instruction(pair: Pair, words: PromptSet, *, briefly: bool = False) -> list[Message]:
    """Asks for the response to ``pair``, whose own response is not shown."""
    return _conversation(words.answer, [], _question(pair, briefly=briefly))


def criticise_response(pair: Pair, words: PromptSet) -> list[Message]:
    return _conversation(
        words.fill("criticise_response"),
        [(_criticise_response(example.pair), example.response_criticism) for example in CRITICISED],
        _criticise_response(pair),
    )


def rewrite_response(
    pair: Pair, criticism: str, words: PromptSet, *, briefly: bool = False
) -> list[Message]:
    return _conversation(
        words.fill("rewrite_response", response=pair.response, criticism=criticism),
        [],
        _question(pair, briefly=briefly),
    )


def _conversation(system: str, examples: list[tuple[str, str]], task: str) -> list[Message]:
    messages = [{"role": "system", "content": system}]
    for question, answer in examples:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": task}]


def _criticise_record(pair: Pair) -> str:
    return f"{record(pair)}\n\nCriticise this instruction and this response."


def _rewrite_record(pair: Pair) -> str:
    """Without the last line a small teacher did the task instead, one time in two."""
    return f"{record(pair, response=False)}\n\nWrite a better instruction. Do not answer it."


def _criticise_response(pair: Pair) -> str:
    return f"{record(pair)}\n\nCriticise this response."


def _question(pair: Pair, *, briefly: bool) -> str:
    """The instruction as a person would put it, without labels."""
    length = BRIEFLY if briefly else ""
    question = "\n\n".join(filter(None, (pair.instruction, pair.input, length)))
    return f"{earlier_turns(pair)}\n\nNow: {question}" if pair.context else question
