"""Asking the teacher one question until its reply is of use: twice at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from refinement.method.errors import ReplyError
from refinement.method.pairs import Reflection
from refinement.method.prompts import with_note
from refinement.method.replies import UnusableReply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refinement.method.pairs import TeacherReply

Message: TypeAlias = dict[str, str]  # {"role": …, "content": …}
Result = TypeVar("Result", str, Reflection)

STEP_WORDS = {
    "criticise_instruction": "criticising the instruction",
    "rewrite_instruction": "rewriting the instruction",
    "answer_instruction": "answering the new instruction",
    "criticise_response": "criticising the response",
    "rewrite_response": "rewriting the response",
    "reflect_instruction": "reflecting on the instruction",
    "reflect_response": "reflecting on the response",
}


class Ask(Protocol):
    """How the method reaches a teacher. The caller stores and finds replies behind it.

    ``step`` is a key of STEP_WORDS; ``attempt`` counts the retries of one step after a reply that
    was of no use; ``max_tokens`` bounds this reply below the teacher's own limit.
    """

    async def __call__(
        self,
        *,
        step: str,
        messages: Sequence[Message],
        attempt: int,
        json_schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> TeacherReply: ...


async def ask_twice(
    ask: Ask,
    *,
    step: str,
    messages: list[Message],
    read: Callable[[TeacherReply], Result],
    again: Callable[[str], list[Message]] | None = None,
    read_again: Callable[[TeacherReply], Result] | None = None,
    max_tokens: int | None = None,
) -> Result:
    """What ``read`` makes of the reply. A reply it refuses is explained to the teacher, once.

    ``again`` gives the second question for the reason that the first reply was refused for; else
    the first question is asked again. Either gets a note on what was wrong. The second reply is
    read by ``read_again``, where given, which may be less strict. Raises ReplyError when that is
    of no use either.
    """
    reply = await ask(step=step, messages=messages, attempt=0, max_tokens=max_tokens)
    try:
        return read(reply)
    except UnusableReply as problem:
        messages = again(problem.reason) if again else messages
        note = problem.note
    read = read_again or read
    return await ask_again(
        ask, step=step, messages=messages, note=note, read=read, max_tokens=max_tokens
    )


async def ask_again(
    ask: Ask,
    *,
    step: str,
    messages: list[Message],
    note: str,
    read: Callable[[TeacherReply], Result],
    max_tokens: int | None = None,
) -> Result:
    """The second and last attempt at a step, with a ``note`` on the first. Raises ReplyError."""
    noted = with_note(messages, note)
    reply = await ask(step=step, messages=noted, attempt=1, max_tokens=max_tokens)
    try:
        result = read(reply)
        refuse_echo(new_texts(result), note, messages)
    except UnusableReply as problem:
        sentence = f"While {STEP_WORDS[step]}, the teacher {problem}, also when asked again."
        raise ReplyError(problem.reason, sentence) from None
    return result


def new_texts(result: str | Reflection) -> tuple[str, ...]:
    """What of a result may end up in a pair, or in the next question."""
    return (result,) if isinstance(result, str) else (result.pair.instruction, result.pair.response)


def refuse_echo(texts: Sequence[str], note: str, question: Sequence[Message]) -> None:
    """Small models repeat the note that they were sent: that is never part of a pair.

    An echo holds the note's first sentence. Where ``question``, which is without the note, has that
    sentence too, the record itself is about it. Raises UnusableReply.
    """
    sentence = _one_line(note.split(". ")[0])
    asked = _one_line("\n".join(message["content"] for message in question))
    if sentence not in asked and any(sentence in _one_line(text) for text in texts):
        raise UnusableReply("unparsable", "repeated our note to it", note)


def _one_line(text: str) -> str:
    return " ".join(text.split()).lower()
