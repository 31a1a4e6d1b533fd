"""Chats: ShareGPT's ``conversations`` and OpenAI's ``messages``.

The last user turn is the instruction, the last assistant turn the response, all before them the
context; with ``turns="every"`` each answer of the assistant is a pair of its own. The record itself
stays whole but for these texts, so what cannot be said in a pair (tool calls, images, weights)
comes back as it was. A chat without a pair in it is kept as it is, with the reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from refinement.formats.errors import RecordError
from refinement.formats.fields import check_record
from refinement.formats.shape import EVERY, LAST, KeptAsIs, Parts, asked, chosen_fields
from refinement.formats.strict_json import kind
from refinement.method.pairs import Pair, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Message = dict[str, Any]
CALLS = ("tool_calls", "function_call")  # keys of a message that calls a tool
TOOL_CALL = "tool_call"  # ShareGPT's function_call turn


class ChatShape:
    """A list of messages in one field. ``fields`` says what a mapping may name."""

    name: ClassVar[str]
    label: ClassVar[str]
    hint: ClassVar[str]
    fields: ClassVar[Mapping[str, str]] = {
        "messages": "the list of turns",
        "role": "who speaks, within a turn",
        "content": "what is said, within a turn",
        "system": "the system prompt, beside the turns",
    }
    required: ClassVar[tuple[str, ...]] = ("messages", "role", "content")
    defaults: ClassVar[Mapping[str, str]]
    roles: ClassVar[Mapping[str, str]] = {
        "human": "user",
        "gpt": "assistant",
        "chatgpt": "assistant",
        "bot": "assistant",
        "developer": "system",
        "function_call": TOOL_CALL,
        "observation": "tool",
        "function": "tool",
    }

    def __init__(self, mapping: Mapping[str, str] | None = None, *, turns: str = LAST) -> None:
        if turns not in {LAST, EVERY}:
            raise ValueError(f"turns is 'last' or 'every', not {turns!r}")
        self._theirs = chosen_fields(type(self), mapping)
        self._list, self._role, self._content = (
            self._theirs.get(field, field) for field in self.required
        )
        self._every = turns == EVERY

    @property
    def mapping(self) -> dict[str, str]:
        return dict(self._theirs)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        messages = record.get(self._list)
        return isinstance(messages, list) and all(
            isinstance(message, dict) and self._role in message for message in messages
        )

    # -- In ---------------------------------------------------------------------------------------
    def read(self, record: dict[str, Any], *, escapes: bool) -> list[Parts]:  # noqa: ARG002
        messages = self._messages(record)
        check_record(record)
        roles = [self._role_of(message, at) for at, message in enumerate(messages)]
        places = self._every_place(messages, roles) if self._every else []
        if not self._every:
            places = [self._last_place(messages, roles)]
        if not places:
            raise KeptAsIs("no answer in it follows a user's text directly")
        before = self._system(record)
        turns = [
            Turn("assistant" if role == TOOL_CALL else role, self._shown(message, role))
            for message, role in zip(messages, roles, strict=True)
        ]
        extra = self._without_texts(record, messages, places)
        return [
            Parts(
                Pair(self._text(messages[u]), self._text(messages[a]), "", (*before, *turns[:u])),
                {} if part else extra,
                (u, a),
                part,
            )
            for part, (u, a) in enumerate(places)
        ]

    def _messages(self, record: Mapping[str, Any]) -> list[Message]:
        messages = record.get(self._list, record)
        if messages is record:
            raise RecordError(self._list, f"the field {self._list!r} is missing")
        if not isinstance(messages, list):
            raise RecordError(
                self._list, f"the field {self._list!r} is {kind(messages)}, not a list"
            )
        for at, message in enumerate(messages):
            if not isinstance(message, dict):
                raise RecordError(
                    f"{self._list}[{at}]", f"turn {at + 1} is {kind(message)}, not an object"
                )
        if not messages:
            raise RecordError(self._list, "the chat has no turns")
        return messages

    def _role_of(self, message: Message, at: int) -> str:
        role = message.get(self._role)
        if not isinstance(role, str) or not role:
            raise RecordError(
                f"{self._list}[{at}].{self._role}", f"turn {at + 1} does not say who speaks"
            )
        return self.roles.get(role, role)

    def _system(self, record: Mapping[str, Any]) -> list[Turn]:
        system = record.get(self._theirs.get("system", ""))
        if system is None or system == "":
            return []
        if not isinstance(system, str):
            name = self._theirs["system"]
            raise RecordError(name, f"the field {name!r} is {kind(system)}, not text")
        return [Turn("system", system)]

    def _last_place(self, messages: Sequence[Message], roles: Sequence[str]) -> tuple[int, int]:
        answers = [at for at, role in enumerate(roles) if role in {"assistant", TOOL_CALL}]
        if not answers:
            raise KeptAsIs("it has no turn of the assistant")
        a = answers[-1]
        asked = [at for at in range(a) if roles[at] == "user"]
        if not asked:
            raise KeptAsIs("no turn of the user stands before the last of the assistant")
        u = asked[-1]
        if roles[a] == TOOL_CALL or _calls(messages[a]):
            raise KeptAsIs("the last turn of the assistant calls a tool")
        if u != a - 1:
            between = "tool calls stand" if "tool" in roles[u:a] else "other turns stand"
            raise KeptAsIs(f"{between} between the last user turn and its answer")
        for at, who in ((u, "user"), (a, "assistant")):
            self._check_text(messages[at], who)
        return u, a

    def _check_text(self, message: Message, who: str) -> None:
        parts = self._text_parts(message)
        if parts is None:
            raise KeptAsIs(f"the last turn of the {who} holds more than text")
        if who == "user" and not "".join(parts).strip():
            raise KeptAsIs("the last turn of the user is empty")

    def _every_place(
        self, messages: Sequence[Message], roles: Sequence[str]
    ) -> list[tuple[int, int]]:
        found = []
        for a in range(1, len(messages)):
            u = a - 1
            if (roles[u], roles[a]) == ("user", "assistant") and not _calls(messages[a]):
                asked, answer = self._text_parts(messages[u]), self._text_parts(messages[a])
                if asked is not None and answer is not None and "".join(asked).strip():
                    found.append((u, a))
        return found

    def _text_parts(self, message: Message) -> list[str] | None:
        """The texts of a turn; ``None`` where it holds anything else."""
        content = message.get(self._content)
        if isinstance(content, str):
            return [content]
        if not isinstance(content, list) or not content:
            return None
        texts = [_part_text(part) for part in content]
        return None if None in texts else [text for text in texts if text is not None]

    def _text(self, message: Message) -> str:
        return "\n".join(self._text_parts(message) or [])

    def _shown(self, message: Message, role: str) -> str:
        """A turn as text, for reading and as context: what is no text is named in brackets."""
        content = message.get(self._content)
        lines = [content] if isinstance(content, str) and content else []
        if isinstance(content, list):
            lines = [_shown_part(part) for part in content]
        elif content is not None and not isinstance(content, str):
            lines = [json.dumps(content, ensure_ascii=False)]
        lines += [f"[{key}: {_dumped(message[key])}]" for key in CALLS if message.get(key)]
        if role == TOOL_CALL:
            return f"[tool call: {' '.join(lines)}]"
        return "\n".join(lines)

    def _without_texts(
        self, record: Mapping[str, Any], messages: Sequence[Message], places: list[tuple[int, int]]
    ) -> dict[str, Any]:
        rest = list(messages)
        for place in places:
            for at in place:
                rest[at] = self._with_text(rest[at], "", taken_out=True)
        return {**record, self._list: rest}

    # -- Out --------------------------------------------------------------------------------------
    def write(self, parts: Sequence[Parts]) -> dict[str, Any]:
        first = parts[0]
        if first.part:
            raise ValueError("the first part of a conversation is missing")
        messages = list(first.extra[self._list])
        for part in parts:
            u, a = (int(place) for place in part.layout)
            messages[u] = self._with_text(messages[u], asked(part.pair))
            messages[a] = self._with_text(messages[a], part.pair.response)
        return {**first.extra, self._list: messages}

    def others(self, parts: Parts) -> dict[str, Any]:
        mine = {self._list, self._theirs.get("system")}
        return {k: v for k, v in parts.extra.items() if k not in mine}

    def _with_text(self, message: Message, text: str, *, taken_out: bool = False) -> Message:
        """With ``text`` as its content. Of several text parts, the first takes a changed one.

        Those stay in the record also where the text is ``taken_out``: nothing else tells how the
        text was cut into them.
        """
        content = message[self._content]
        if isinstance(content, str):
            return {**message, self._content: text}
        texts = self._text_parts(message) or []
        if (taken_out and len(texts) > 1) or "\n".join(texts) == text:
            return message
        head = content[0]
        return {**message, self._content: [{**head, _text_key(head): text}]}


class ShareGPTShape(ChatShape):
    name = "sharegpt"
    label = "ShareGPT"
    hint = "conversations, a list of turns with from and value"
    defaults: ClassVar[Mapping[str, str]] = {
        "messages": "conversations",
        "role": "from",
        "content": "value",
        "system": "system",
    }


class MessagesShape(ChatShape):
    name = "messages"
    label = "OpenAI messages"
    hint = "messages, a list of turns with role and content"
    defaults: ClassVar[Mapping[str, str]] = {
        "messages": "messages",
        "role": "role",
        "content": "content",
        "system": "system",
    }


def _calls(message: Message) -> bool:
    return any(message.get(key) for key in CALLS)


def _text_key(part: Mapping[str, Any]) -> str:
    return "text" if "text" in part else "value"


def _part_text(part: object) -> str | None:
    if isinstance(part, dict) and part.get("type", "text") in {"text", "input_text", "output_text"}:
        text = part.get(_text_key(part))
        return text if isinstance(text, str) else None
    return None


def _shown_part(part: object) -> str:
    text = _part_text(part)
    if text is not None:
        return text
    if isinstance(part, str):
        return part
    return f"[{part.get('type', 'part') if isinstance(part, dict) else _dumped(part)}]"


def _dumped(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
