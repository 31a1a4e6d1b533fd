"""Taking a rewritten text out of what a chatty model wraps around it.

Each rule removes only what it knows: a lead-in ("Sure, here is the new instruction:"), a label
("New response:"), quotation marks or a code fence around the whole. A rule never empties a text,
and what the original pair begins with is content, not wrapping.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refinement.method.replies import NOTE, UnusableReply, is_refusal, is_small_talk, refused

if TYPE_CHECKING:
    from refinement.method.pairs import Pair

_COURTESY = (
    r"(?:(?:sure|certainly|of course|okay|ok|absolutely|great|yes)\b[^\n:.!]{0,40}[,.!]\s*)?"
)
_RENEWED = (
    r"(?:new|better|improved|revised|rewritten|rephrased|updated|corrected|refined|clearer|final"
    r"|modified)"
)
_OPENING = r"(?:here(?:'s|’s| is| are)|this is|below is|the following is|i(?:'ve|’ve| have)|my)\b"

LEAD_IN = re.compile(
    rf"^{_COURTESY}{_OPENING}[^\n:]{{0,80}}\b{_RENEWED}\b[^\n:]{{0,120}}:\s*", re.IGNORECASE
)
INSTRUCTION_LEAD_IN = re.compile(
    rf"^{_COURTESY}{_OPENING}[^\n:]{{0,80}}\b(?:instruction|prompt|question|task|version)\b"
    r"[^\n:]{0,80}:\s*",
    re.IGNORECASE,
)
INSTRUCTION_LABEL = re.compile(
    rf"^[*_#\s]*(?:the\s+)?(?:{_RENEWED}\s+)?(?:instruction|prompt)[*_\s]*:[*_\s]*", re.IGNORECASE
)
RESPONSE_LABEL = re.compile(
    rf"^[*_#\s]*(?:the\s+)?(?:{_RENEWED}\s+)?(?:response|answer)[*_\s]*:[*_\s]*", re.IGNORECASE
)
# After the new instruction some models go on with the rest of a record.
REST_OF_RECORD = re.compile(
    r"^[*_# \t]*(?:new\s+)?(?:response|answer|output|criticism|input)[*_\s]*:",
    re.IGNORECASE | re.MULTILINE,
)
ANSWER = re.compile(r"^(?:(?:yes|no)[,.]|the (?:correct )?answer(?: is\b|:))", re.IGNORECASE)
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)\n?```$", re.DOTALL)
QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»"}


def clean_instruction(text: str, pair: Pair) -> str:
    """The new instruction in ``text``. Raises UnusableReply where there is none."""
    text = _without_fence(text)
    text = _without(LEAD_IN, text)
    text = _without(INSTRUCTION_LEAD_IN, text)
    if not INSTRUCTION_LABEL.match(pair.instruction):
        text = _without(INSTRUCTION_LABEL, text)
    text = _without_rest_of_record(text, pair)
    text = _without_input(text, pair.input)
    text = _without_quotes(_without_bold(text), pair.instruction)
    if is_small_talk(text):
        raise UnusableReply(
            "unparsable",
            "made conversation instead of writing an instruction",
            f"{NOTE}was small talk. Write only the new instruction.",
        )
    if _is_copy(text, pair.response) or ANSWER.match(text):
        raise UnusableReply(
            "unparsable",
            "gave an answer instead of an instruction",
            f"{NOTE}was a response. Write an instruction: a question or a task.",
        )
    if is_refusal(text):
        raise refused()
    return text


def clean_response(text: str, pair: Pair) -> str:
    """The new response to ``pair``'s instruction in ``text``. Raises UnusableReply."""
    text = _without(LEAD_IN, text)
    if not RESPONSE_LABEL.match(pair.response):
        text = _without(RESPONSE_LABEL, text)
    text = _without_quotes(text, pair.response)
    if is_small_talk(text) and not is_small_talk(pair.response):
        raise UnusableReply(
            "unparsable",
            "made conversation instead of answering",
            f"{NOTE}was small talk. Everything that is needed is given: answer with it.",
        )
    if is_refusal(text) and not is_refusal(pair.response):
        raise refused()
    return text


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to its last whole sentence, where it has one."""
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)|[。！？]", text)]
    return text[: ends[-1]] if ends else text


def _without(wrapping: re.Pattern[str], text: str) -> str:
    rest = wrapping.sub("", text, count=1).strip()
    return rest or text


def _without_fence(text: str) -> str:
    """The inside of a code fence around the whole, unless that names a programming language."""
    match = FENCE.match(text)
    if match is None or "```" in match[2] or match[1].strip() not in {"", "text", "markdown", "md"}:
        return text
    return match[2].strip() or text


def _without_bold(text: str) -> str:
    inner = text[2:-2]
    whole = text.startswith("**") and text.endswith("**") and "**" not in inner
    return inner.strip() or text if whole else text


def _without_quotes(text: str, original: str) -> str:
    closing = QUOTES.get(text[:1])
    if closing is None or len(text) < 3 or not text.endswith(closing):
        return text
    inner = text[1:-1]
    if text[0] in inner or closing in inner or original[:1] == text[0]:
        return text
    return inner.strip() or text


def _without_rest_of_record(text: str, pair: Pair) -> str:
    match = REST_OF_RECORD.search(text)
    if match is None or REST_OF_RECORD.search(pair.instruction):
        return text
    return text[: match.start()].strip() or text


def _without_input(text: str, given: str) -> str:
    """Without a copy of the input on lines of its own at the end: it stays a field of the pair."""
    given = given.strip()
    if not given or not text.endswith(given):
        return text
    head = text[: -len(given)]
    return head.strip() or text if head.endswith("\n") else text


def _is_copy(text: str, response: str) -> bool:
    """Whether a text that should be an instruction is the old response, or much of it."""
    mine, old = " ".join(text.split()).lower(), " ".join(response.split()).lower()
    return len(mine) >= 20 and (mine in old or (len(old) >= 20 and old in mine))
