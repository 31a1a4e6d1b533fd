"""Tagged: criticism and rewrite in one reply, as in the paper, with tags around the new texts.

A tag counts only at the beginning of a line, and a closing one at its end too. The tags get a
number where the record itself holds them, so a text about tags cannot be mistaken for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from refinement.method import prompts
from refinement.method.asking import ask_twice
from refinement.method.cleaning import clean_instruction, clean_response
from refinement.method.pairs import Pair, Reflection, TeacherReply
from refinement.method.prompt_set import DEFAULT
from refinement.method.replies import NOTE, UnusableReply, usable_text

if TYPE_CHECKING:
    from refinement.method.asking import Ask, Message
    from refinement.method.prompt_set import PromptSet

INSTRUCTION = "New Instruction"
RESPONSE = "New Response"
PLACEHOLDERS = {
    prompts.NEW_INSTRUCTION_PLACEHOLDER,
    prompts.NEW_RESPONSE_PLACEHOLDER,
    "your new instruction",
    "your new response",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A pair of tags, ``[name]`` and ``[End name]``."""

    name: str

    @property
    def opening(self) -> str:
        return f"[{self.name}]"

    @property
    def closing(self) -> str:
        return f"[End {self.name}]"

    def around(self, text: str) -> str:
        return f"{self.opening}\n{text}\n{self.closing}"


async def reflect_on_instruction(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    return await ask_twice(
        ask,
        step="reflect_instruction",
        messages=instruction_messages(pair, words),
        read=lambda reply: read_instruction(reply, pair),
    )


async def reflect_on_response(pair: Pair, ask: Ask, words: PromptSet = DEFAULT) -> Reflection:
    return await ask_twice(
        ask,
        step="reflect_response",
        messages=response_messages(pair, words),
        read=lambda reply: read_response(reply, pair),
    )


def instruction_messages(pair: Pair, words: PromptSet) -> list[Message]:
    instruction, response = tags_for(pair)
    form = _form(
        instruction.around(prompts.NEW_INSTRUCTION_PLACEHOLDER),
        response.around(prompts.NEW_RESPONSE_PLACEHOLDER),
    )
    return prompts.reflect_on_instruction(pair, form, words)


def response_messages(pair: Pair, words: PromptSet) -> list[Message]:
    _, response = tags_for(pair)
    form = _form(response.around(prompts.NEW_RESPONSE_PLACEHOLDER))
    return prompts.reflect_on_response(pair, form, words)


def read_instruction(reply: TeacherReply, pair: Pair) -> Reflection:
    criticism, instruction, response = split(usable_text(reply), *tags_for(pair))
    rewritten = replace(
        pair,
        instruction=clean_instruction(instruction, pair),
        response=clean_response(response, pair),
    )
    return Reflection(criticism=criticism, pair=rewritten)


def read_response(reply: TeacherReply, pair: Pair) -> Reflection:
    _, tag = tags_for(pair)
    criticism, response = split(usable_text(reply), tag)
    return Reflection(criticism, replace(pair, response=clean_response(response, pair)))


def tags_for(pair: Pair) -> tuple[Tag, Tag]:
    """Tags that occur nowhere in the record."""
    turns = "\n".join(turn.content for turn in pair.context)
    text = "\n".join((pair.instruction, pair.input, pair.response, turns)).lower()
    number = 1
    while True:
        suffix = f" {number}" if number > 1 else ""
        names = (INSTRUCTION + suffix, RESPONSE + suffix)
        if not any(f"{name.lower()}]" in text for name in names):
            return Tag(names[0]), Tag(names[1])
        number += 1


def split(text: str, *tags: Tag) -> list[str]:
    """What stands before the first tag, then the text inside each pair of tags, in their order.

    Where two pairs of tags meet, the closing tag of the first may be missing, and so may the very
    last one. A tag inside a text does no harm as long as there is only one way to read the whole.
    Raises UnusableReply.
    """
    openings = _find(_begins_line(tags[0].opening), text)
    if not openings:
        raise _without_tags(tags)
    parts, start = [text[: openings[0].start()].strip()], openings[0].end()
    for tag, following in pairwise(tags):
        border = _border(tag, following, text, start)
        parts.append(text[start : border.start()])
        start = border.end()
    closing = tags[-1].closing
    ends = _find(f"{_begins_line(closing)}|{_ends_line(closing)}", text, start)
    parts.append(text[start : ends[-1].start() if ends else len(text)])
    for number, part in enumerate(parts[1:], start=1):
        parts[number] = part.strip()
        if not parts[number] or parts[number].strip(".…<>[]() ").lower() in {*PLACEHOLDERS, ""}:
            raise _without_tags(tags)
    return parts


def _border(tag: Tag, following: Tag, text: str, start: int) -> re.Match[str]:
    """The one place at or after ``start`` where ``tag`` ends and ``following`` begins."""
    both = f"{_dressed(tag.closing)}\\s*{_dressed(following.opening)}"
    for pattern in (both, _begins_line(following.opening)):
        places = _find(pattern, text, start)
        if len(places) == 1:
            return places[0]
        if places:
            raise UnusableReply(
                "unparsable",
                "used the tags more than once, so that its reply can be read in several ways",
                f"{NOTE}used a tag more than once. Write {tag.opening} and "
                f"{following.opening} once each.",
            )
    raise _without_tags((tag, following))


def _find(pattern: str, text: str, start: int = 0) -> list[re.Match[str]]:
    return list(re.compile(pattern, re.MULTILINE | re.IGNORECASE).finditer(text, start))


def _dressed(tag: str) -> str:
    """A tag, perhaps as a heading or in bold."""
    return rf"[ \t>#*_]{{0,8}}{re.escape(tag)}[*_:]*"


def _begins_line(tag: str) -> str:
    return f"^{_dressed(tag)}"


def _ends_line(tag: str) -> str:
    return f"{_dressed(tag)}[ \\t]*$"


def _without_tags(tags: tuple[Tag, ...]) -> UnusableReply:
    expected = ", ".join(part for tag in tags for part in (tag.opening, tag.closing))
    return UnusableReply(
        "unparsable",
        "did not keep to the asked form",
        f"{NOTE}did not keep to the form. Each of {expected} must stand on a line of "
        "its own, with the finished text between them.",
    )


def _form(*blocks: str) -> str:
    return "End your reply with exactly this form, and write nothing after it:\n" + "\n".join(
        blocks
    )
