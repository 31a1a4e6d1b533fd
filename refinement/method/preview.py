"""What a teacher would be asked about a pair: the protocol itself, run without a teacher."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.method.errors import ReplyError
from refinement.method.pairs import TeacherReply
from refinement.method.prompt_set import DEFAULT
from refinement.method.reflection import reflect_on_instruction, reflect_on_response
from refinement.method.staged_prompts import NEW_INSTRUCTION_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refinement.method.asking import Message
    from refinement.method.pairs import Pair
    from refinement.method.prompt_set import PromptSet

# What a later question is made of and nobody knows yet.
STAND_INS = {
    "criticise_instruction": "⟨the criticism of the pair⟩",
    "rewrite_instruction": f"{NEW_INSTRUCTION_LABEL}⟨the new instruction⟩",
    "answer_instruction": "⟨the response to the new instruction⟩",
    "criticise_response": "⟨the criticism of the response⟩",
    "rewrite_response": "⟨the new response⟩",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One request: its step, a key of ``asking.STEP_WORDS``, and its messages as they are sent."""

    step: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    json_schema: Mapping[str, Any] | None = None


class _Enough(Exception):  # noqa: N818 - nothing is wrong, no later question depends on the reply
    pass


def questions(pair: Pair, protocol: str, words: PromptSet = DEFAULT) -> list[Question]:
    """The questions about ``pair`` in their order, with stand-ins for replies in ⟨brackets⟩.

    The second reflection is shown for the pair as it is; in a run it may be a rewritten one. The
    notes that follow a reply of no use are not shown.
    """
    asked: list[Question] = []

    async def ask(
        *,
        step: str,
        messages: Sequence[Message],
        attempt: int,
        json_schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> TeacherReply:
        asked.append(Question(step, tuple(messages), max_tokens, json_schema))
        if attempt or step not in STAND_INS:
            raise _Enough
        return TeacherReply(text=STAND_INS[step], finish_reason="stop")

    async def rehearse() -> None:
        for reflect in (reflect_on_instruction, reflect_on_response):
            try:
                await reflect(pair, ask, protocol, words)
            except (_Enough, ReplyError):
                continue

    asyncio.run(rehearse())
    return asked
