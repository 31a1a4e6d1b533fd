"""Reflection: the teacher criticises a pair and writes a better one (2402.10110, section 3.1).

What holds under every protocol: a new pair has two new halves or, when only the response was
reflected on, the given instruction and a new response; ``input`` and ``context`` stay as they are,
beside the new texts and not inside them; and a reply that is empty, cut off, refused or unreadable
becomes a ReplyError after one retry, never a candidate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from refinement.method.asking import Ask, Message
from refinement.method.pairs import Pair, Reflection
from refinement.method.prompt_set import DEFAULT, PromptSet
from refinement.method.protocols import json_schema, staged, tagged

__all__ = [
    "PROTOCOLS",
    "Ask",
    "Message",
    "PromptSet",
    "reflect_on_instruction",
    "reflect_on_response",
]

Reflect: TypeAlias = Callable[[Pair, Ask, PromptSet], Awaitable[Reflection]]


@dataclass(frozen=True, slots=True)
class ReflectionProtocol:
    """One way to get both reflections out of a teacher."""

    on_instruction: Reflect
    on_response: Reflect


PROTOCOLS = {
    "staged": ReflectionProtocol(staged.reflect_on_instruction, staged.reflect_on_response),
    "tagged": ReflectionProtocol(tagged.reflect_on_instruction, tagged.reflect_on_response),
    "json_schema": ReflectionProtocol(
        json_schema.reflect_on_instruction, json_schema.reflect_on_response
    ),
}


async def reflect_on_instruction(
    pair: Pair, ask: Ask, protocol: str, words: PromptSet = DEFAULT
) -> Reflection:
    """A new instruction and a response to it. Raises ReplyError, and what ``ask`` raises."""
    return await PROTOCOLS[protocol].on_instruction(pair, ask, words)


async def reflect_on_response(
    pair: Pair, ask: Ask, protocol: str, words: PromptSet = DEFAULT
) -> Reflection:
    """A new response to the same instruction. Raises ReplyError, and what ``ask`` raises."""
    return await PROTOCOLS[protocol].on_response(pair, ask, words)
