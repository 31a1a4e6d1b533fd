"""Is a teacher's reply of use? Every check looks at what came, and none repairs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinement.method.pairs import TeacherReply

# Why a reply ended. Servers that give no reason are believed to have ended it in peace.
WHOLE = {"", "stop", "eos", "eos_token", "stop_sequence", "end_turn", "stop_token"}
CUT = {"length", "max_tokens", "max_length", "model_length"}
SHORT_WORDS = 60  # a refusal or small talk is short; a long text that begins like one is an answer
WORDS_PER_TOKEN = 0.35  # English has 0.75; models write more words than they are told to


NOTE = "An earlier reply "  # every note that explains a bad reply to the teacher begins like this


class UnusableReply(Exception):  # noqa: N818 - a finding about the reply, turned into ReplyError
    """``str()`` ends the sentence "the teacher …"; ``note`` tells the teacher what to do better."""

    def __init__(self, reason: str, finding: str, note: str) -> None:
        super().__init__(finding)
        self.reason = reason
        self.note = note


def storable(text: str) -> str:
    """``text`` without what no database takes: NUL, and halves of surrogate pairs."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", "�")


def usable_text(reply: TeacherReply, *, may_be_cut: bool = False, may_refuse: bool = False) -> str:
    """The reply's text without its thoughts, if it is whole and no refusal.

    ``may_be_cut`` accepts a text that the length limit ended: fit for a criticism, which is only a
    means, and for nothing that ends up in a pair. ``may_refuse`` is for records that teach how to
    refuse. Raises UnusableReply.
    """
    if reply.finish_reason == "content_filter":
        raise UnusableReply(
            "filtered",
            "had its reply stopped by the server's content filter",
            f"{NOTE}was stopped by a content filter. Avoid anything it may object to.",
        )
    text = without_thoughts(reply.text)
    if reply.finish_reason in CUT and not (may_be_cut and text):
        raise _cut_off(text, reply.completion_tokens)
    if reply.finish_reason not in WHOLE | CUT | {"refusal"}:
        raise UnusableReply(
            "truncated",
            f"did not end its reply but was stopped (finish reason “{reply.finish_reason[:40]}”)",
            f"{NOTE}was broken off. Reply with text alone, and to its end.",
        )
    if not text:
        raise UnusableReply("empty", "sent an empty reply", f"{NOTE}was empty.")
    if reply.finish_reason == "refusal" or (is_refusal(text) and not may_refuse):
        raise refused()
    return text


def refused() -> UnusableReply:
    return UnusableReply(
        "refusal",
        "refused",
        f"{NOTE}was a refusal. You are only asked to improve a text for training.",
    )


def _cut_off(text: str, tokens: int) -> UnusableReply:
    words = max(20, int(tokens * WORDS_PER_TOKEN) // 10 * 10)
    if is_looping(text):
        return UnusableReply(
            "truncated",
            "repeated itself until its length limit",
            f"{NOTE}repeated itself. Say everything once, in at most {words} words.",
        )
    return UnusableReply(
        "truncated",
        "was cut off by its length limit (raise the endpoint's token limit if that is common)",
        f"{NOTE}was too long and was cut off. Use at most {words} words.",
    )


THOUGHTS = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


def without_thoughts(text: str) -> str:
    """Reasoning models on servers without a reasoning parser put their thoughts before the text."""
    return THOUGHTS.sub("", text, count=1).strip()


# "I'm sorry, but I can't make it to the party" is a fine response; what is refused here is help.
REFUSAL = re.compile(
    r"""^\W*
    (?:(?:i\ am|i'm)\ (?:really\ |very\ |so\ )?sorry|sorry|i\ apologi[sz]e|my\ apologies
      |unfortunately|as\ an\ ai(?:\ language)?(?:\ model|\ assistant)?)?
    [\s,.!;:-]*(?:but\s+)?
    (?:i|we)(?:\ am|'m)?\s*(?:simply\ |just\ )?
    (?:can't|cannot|can\ not|won't|will\ not|could\ not|couldn't|unable\ to|not\ able\ to
      |not\ allowed\ to|must\ decline\ to|not\ going\ to)\s+
    (?:actually\s+|possibly\s+|in\ good\ conscience\s+)?
    (?:assist|help(?!\ \w+ing)|comply|fulfil|fulfill|provide|do\ (?:that|this)|answer|respond
      |create|generate|write\ (?:that|this|a|an|about)|complete\ (?:that|this|the|your)
      |continue\ (?:with|this)|discuss|engage|support|participate|produce|offer|rewrite|improve
      |share\ (?:that|this)|critici[sz]e)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
SMALL_TALK = re.compile(
    r"""^\W*
    (?:(?:(?:hi|hello|hey|sure|certainly|of\ course|great|okay|thank\ you|thanks)\b
        |(?:i(?:'m|\ am)\ )?an?\ (?:helpful\ (?:ai\ )?|ai\ )assistant\b)[^.!?,\n]*[.!,]\s*)*
    (?:how\ (?:can|may)\ i\ (?:help|assist)
      |i(?:'m|\ am|'d\ be|\ would\ be)\ (?:happy|glad|here|ready)\ to\ (?:help|assist)
      |(?:i(?:'m|\ am)\ (?:happy|glad|here|ready)\ to\b[^.!?\n]*[.!]\s*)?
        please\ (?:go\ ahead\ and\ )?(?:provide|share|give\ me|send)
      |what\ (?:can|would\ you\ like\ me\ to)
      |i(?:'ll|\ will)\ do\ my\ best)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_refusal(text: str) -> bool:
    return _is_short(text) and REFUSAL.match(_plain(text)) is not None


def is_small_talk(text: str) -> bool:
    """ "Hi! How can I help you today?" and the like, in place of what was asked for."""
    return _is_short(text) and SMALL_TALK.match(_plain(text)) is not None


def is_looping(text: str) -> bool:
    """Whether the text ends in one passage of 8 to 300 characters, three times over."""
    tail = re.sub(r"\d+", "0", " ".join(text.split()))[-900:]
    return any(
        tail.endswith(tail[-period:] * 3) for period in range(8, min(300, len(tail) // 3) + 1)
    )


def _is_short(text: str) -> bool:
    return len(text.split()) <= SHORT_WORDS


def _plain(text: str) -> str:
    return text.replace("’", "'")
