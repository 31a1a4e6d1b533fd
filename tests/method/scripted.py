"""An ``ask`` that gives replies from a list, and remembers what it was asked."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from refinement.method.pairs import TeacherReply


@dataclass(frozen=True)
class Asked:
    step: str
    attempt: int
    messages: list[dict[str, str]]
    json_schema: Any
    max_tokens: int | None

    @property
    def system(self) -> str:
        return self.messages[0]["content"]

    @property
    def text(self) -> str:
        return self.messages[-1]["content"]


class Script:
    """``Script("criticism", "new text")``. An exception in the list is raised in its turn."""

    def __init__(self, *replies: str | TeacherReply | Exception) -> None:
        self._replies = deque(replies)
        self.asked: list[Asked] = []

    async def __call__(self, *, step, messages, attempt, json_schema=None, max_tokens=None):
        self.asked.append(Asked(step, attempt, list(messages), json_schema, max_tokens))
        reply = self._replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, TeacherReply) else TeacherReply(reply, "stop")

    @property
    def steps(self) -> list[tuple[str, int]]:
        return [(asked.step, asked.attempt) for asked in self.asked]

    @property
    def used_up(self) -> bool:
        return not self._replies


def cut(text: str, tokens: int = 200) -> TeacherReply:
    return TeacherReply(text, "length", completion_tokens=tokens)
