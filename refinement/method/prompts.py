"""What the teacher is told, from the words of a PromptSet and the record.

The criteria are those of Selective Reflection-Tuning (arXiv 2402.10110, appendix A); the words are
ours. The record always comes first, so that a server can share the work on that common beginning.
A change of any word here needs a new ``PROMPT_VERSION``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinement.method.asking import Message
    from refinement.method.pairs import Pair
    from refinement.method.prompt_set import PromptSet

NEW_INSTRUCTION_PLACEHOLDER = "the new instruction"
NEW_RESPONSE_PLACEHOLDER = "the new response"


def conversation(*, system: str, user: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def with_note(messages: list[Message], note: str) -> list[Message]:
    """The same question, with a note on what was wrong with the earlier reply to it.

    The note goes into the system message: small models copy from what they read last.
    """
    first = messages[0]
    return [first | {"content": f"{first['content']}\n\nNote: {note}"}, *messages[1:]]


def record(pair: Pair, *, response: bool = True) -> str:
    """The pair as the teacher reads it: earlier turns, instruction, input, response."""
    parts = [earlier_turns(pair)] if pair.context else []
    parts.append(f"Instruction:\n{pair.instruction}")
    if pair.input:
        parts.append(f"Input:\n{pair.input}")
    if response:
        parts.append(f"Response:\n{pair.response}")
    return "\n\n".join(parts)


def earlier_turns(pair: Pair) -> str:
    """As text, since servers differ in which orders of roles they take."""
    turns = "\n".join(f"{turn.role}: {turn.content}" for turn in pair.context)
    return f"Earlier in the conversation:\n{turns}"


def stand_alone(pair: Pair) -> str:
    """The rule for a new instruction: it needs nothing but what is given with it."""
    if pair.input:
        return (
            "The new instruction will be given with exactly the same input: refer to the input "
            "without copying it."
        )
    if pair.context:
        return "The new instruction will follow the same earlier conversation."
    return "The new instruction must stand alone: its reader sees nothing else."


def reflect_on_instruction(pair: Pair, form: str, words: PromptSet) -> list[Message]:
    """``form`` says how the reply must look."""
    task = words.fill("reflect_on_instruction", stand_alone=stand_alone(pair))
    return conversation(system=words.reviewer, user=f"{record(pair)}\n\n---\n{task}\n\n{form}")


def reflect_on_response(pair: Pair, form: str, words: PromptSet) -> list[Message]:
    task = words.fill("reflect_on_response")
    return conversation(system=words.reviewer, user=f"{record(pair)}\n\n---\n{task}\n\n{form}")
