"""What the teacher is told. A change of any word here needs a new ``PROMPT_VERSION``.

The criteria are those of Selective Reflection-Tuning (arXiv 2402.10110, appendix A); the words are
ours. The record always comes first, so that a server can share the work on that common beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinement.method.asking import Message
    from refinement.method.pairs import Pair

PROMPT_VERSION = "1"

REVIEWER = "You review and improve the records that a language model will be trained on."
ANSWERER = "You answer every instruction correctly, completely and to the point."

INSTRUCTION_CRITERIA = (
    "the complexity of its topic, the level of detail it asks for, the knowledge it requires, "
    "its ambiguity, and whether it calls for logical reasoning or problem solving"
)
RESPONSE_CRITERIA = "its helpfulness, relevance, accuracy and level of detail"

NEW_INSTRUCTION_PLACEHOLDER = "the new instruction"
NEW_RESPONSE_PLACEHOLDER = "the new response"


def conversation(*, system: str, user: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def with_note(messages: list[Message], note: str) -> list[Message]:
    """The same question, with a note on what was wrong with the earlier reply to it."""
    last = messages[-1]
    return [*messages[:-1], last | {"content": f"{last['content']}\n\nNote: {note}"}]


def record(pair: Pair, *, response: bool = True) -> str:
    """The pair as the teacher reads it: earlier turns, instruction, input, response."""
    parts = []
    if pair.context:
        turns = "\n".join(f"{turn.role}: {turn.content}" for turn in pair.context)
        parts.append(f"Earlier in the conversation:\n{turns}")
    parts.append(f"Instruction:\n{pair.instruction}")
    if pair.input:
        parts.append(f"Input:\n{pair.input}")
    if response:
        parts.append(f"Response:\n{pair.response}")
    return "\n\n".join(parts)


def stand_alone(pair: Pair) -> str:
    """The rule for a new instruction: it needs nothing but what is given with it."""
    if pair.input:
        return (
            "The new instruction will be given with exactly the same input: refer to the input, "
            "do not copy it and do not ask for another one."
        )
    if pair.context:
        return "The new instruction will follow the same earlier conversation."
    return "The new instruction must stand alone: its reader sees nothing else."


# -- Staged: one small question a turn ------------------------------------------------------------
def criticise_instruction(pair: Pair) -> list[Message]:
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\n"
        f"Criticise this record in at most 60 words. Judge the instruction by "
        f"{INSTRUCTION_CRITERIA}. Judge the response by {RESPONSE_CRITERIA}. Say why such an "
        "instruction leads to such a response.",
    )


def rewrite_instruction(pair: Pair, criticism: str) -> list[Message]:
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\nCriticism:\n{criticism}\n\n"
        "Write one better instruction that avoids this criticism: clearer, more specific, and "
        f"asking for more thought. {stand_alone(pair)} Write only the new instruction, in one or "
        "two sentences. Do not answer it.",
    )


def answer_instruction(pair: Pair) -> list[Message]:
    """Asks for the response to ``pair``, whose own response is not shown."""
    if pair.context:
        question = f"{record(pair, response=False)}\n\nAnswer this last instruction."
    else:
        question = "\n\n".join(filter(None, (pair.instruction, pair.input)))
    return conversation(system=ANSWERER, user=question)


def criticise_response(pair: Pair) -> list[Message]:
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\n"
        f"Criticise the response in at most 60 words. Judge it by {RESPONSE_CRITERIA}. Say what "
        "is wrong or missing.",
    )


def rewrite_response(pair: Pair, criticism: str) -> list[Message]:
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\nCriticism:\n{criticism}\n\n"
        "Write a better response to the instruction, which avoids this criticism. Write only the "
        "new response.",
    )


# -- In one reply ---------------------------------------------------------------------------------
def reflect_on_instruction(pair: Pair, form: str) -> list[Message]:
    """``form`` says how the reply must look."""
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\n---\n"
        "The above is one training record. First criticise it. Judge the instruction by "
        f"{INSTRUCTION_CRITERIA}. Judge the response by {RESPONSE_CRITERIA}. Explain why such an "
        "instruction leads to such a response.\n"
        "Then, from your criticism, write a better instruction, and the best response to it that "
        f"you can give. {stand_alone(pair)} Keep the topic and the language of the record.\n\n"
        f"{form}",
    )


def reflect_on_response(pair: Pair, form: str) -> list[Message]:
    return conversation(
        system=REVIEWER,
        user=f"{record(pair)}\n\n---\n"
        "The above is one training record. First criticise its response by "
        f"{RESPONSE_CRITERIA}, and say what is wrong or missing.\n"
        "Then, from your criticism, write a better response to the same instruction. Do not "
        f"mention the old one. Keep the language that the instruction asks for.\n\n{form}",
    )
