"""The shapes that an export can take, whatever shape the data came in.

Each turns a pair and the further fields of its record into a new record. ``as_imported`` is not
among them: there the dataset's own shape puts its record together again.

Sources of the shapes: LLaMA-Factory's ``data/README.md`` (Alpaca, ShareGPT, preference data, and
the entries of ``dataset_info.json``); TRL's "Dataset formats and types" (language modelling in
``messages``, prompt-completion, preference).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.formats.fields import own_values
from refinement.formats.shape import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refinement.method.pairs import Pair

AS_IMPORTED = "as_imported"
SHAREGPT_ROLES = {"user": "human", "assistant": "gpt", "tool": "observation"}


@dataclass(frozen=True, slots=True)
class Target:
    """One shape. ``write(pair, rejected)`` gives the record without the further fields.

    ``rejected`` is the response that the pair's own one beat; only preference shapes look at it.
    ``entry`` is what LLaMA-Factory's ``dataset_info.json`` says of it beside the file's name;
    ``None`` where LLaMA-Factory does not read the shape.
    """

    name: str
    write: Callable[[Pair, str], dict[str, Any]]
    entry: Mapping[str, Any] | None = None
    preference: bool = False


def with_further_fields(record: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """``record`` and behind it the original's other fields. A name that is taken gets a prefix."""
    for name, value in others.items():
        free = name
        while free in record:
            free = f"original_{free}"
        record[free] = value
    return record


def _alpaca(pair: Pair, _: str) -> dict[str, Any]:
    if not pair.context:
        return {"instruction": pair.instruction, "input": pair.input, "output": pair.response}
    own = own_values(pair)
    return {name: own[name] for name in ("instruction", "input", "output")} | _before(own)


def _before(own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: own[name] for name in ("system", "history") if own[name]}


def _prompt_messages(pair: Pair) -> list[dict[str, str]]:
    turns = [{"role": turn.role, "content": turn.content} for turn in pair.context]
    return [*turns, {"role": "user", "content": asked(pair)}]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _messages(pair: Pair, _: str) -> dict[str, Any]:
    return {"messages": _prompt_messages(pair) + _answer(pair.response)}


def _human_turns(pair: Pair) -> list[dict[str, str]]:
    turns = [
        {"from": SHAREGPT_ROLES.get(turn.role, turn.role), "value": turn.content}
        for turn in pair.context
    ]
    return [*turns, {"from": "human", "value": asked(pair)}]


def _sharegpt(pair: Pair, _: str) -> dict[str, Any]:
    return {"conversations": [*_human_turns(pair), {"from": "gpt", "value": pair.response}]}


def _prompt_completion(pair: Pair, _: str) -> dict[str, Any]:
    _only_text(pair)
    return {"prompt": asked(pair), "completion": pair.response}


def _prompt_completion_chat(pair: Pair, _: str) -> dict[str, Any]:
    return {"prompt": _prompt_messages(pair), "completion": _answer(pair.response)}


def _dpo_chat(pair: Pair, rejected: str) -> dict[str, Any]:
    return {
        "prompt": _prompt_messages(pair),
        "chosen": _answer(pair.response),
        "rejected": _answer(rejected),
    }


def _dpo_text(pair: Pair, rejected: str) -> dict[str, Any]:
    _only_text(pair)
    return {"prompt": asked(pair), "chosen": pair.response, "rejected": rejected}


def _dpo_alpaca(pair: Pair, rejected: str) -> dict[str, Any]:
    own = own_values(pair)
    return {
        "instruction": pair.instruction,
        "input": pair.input,
        "chosen": pair.response,
        "rejected": rejected,
    } | _before(own)


def _dpo_sharegpt(pair: Pair, rejected: str) -> dict[str, Any]:
    return {
        "conversations": _human_turns(pair),
        "chosen": {"from": "gpt", "value": pair.response},
        "rejected": {"from": "gpt", "value": rejected},
    }


def _only_text(pair: Pair) -> None:
    if pair.context:
        raise ValueError("a prompt of plain text has no place for a system prompt or earlier turns")


_ALPACA_COLUMNS = {"prompt": "instruction", "query": "input"}
# All of them or none: LLaMA-Factory forgets its own for those that are not named.
MESSAGES_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function",
    "system_tag": "system",
}
SHAREGPT_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "alpaca",
            _alpaca,
            {"columns": {**_ALPACA_COLUMNS, "response": "output"}},
        ),
        Target(
            "sharegpt",
            _sharegpt,
            {
                "formatting": "sharegpt",
                "columns": {"messages": "conversations"},
            },
        ),
        Target(
            "messages",
            _messages,
            {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": MESSAGES_TAGS},
        ),
        Target(
            "prompt_completion",
            _prompt_completion,
            {"columns": {"prompt": "prompt", "response": "completion"}},
        ),
        Target(
            "prompt_completion_chat",
            _prompt_completion_chat,
        ),
        Target(
            "dpo_chat",
            _dpo_chat,
            preference=True,
        ),
        Target(
            "dpo_text",
            _dpo_text,
            preference=True,
        ),
        Target(
            "dpo_alpaca",
            _dpo_alpaca,
            {
                "ranking": True,
                "columns": {**_ALPACA_COLUMNS, "chosen": "chosen", "rejected": "rejected"},
            },
            preference=True,
        ),
        Target(
            "dpo_sharegpt",
            _dpo_sharegpt,
            {
                "ranking": True,
                "formatting": "sharegpt",
                "columns": {
                    "messages": "conversations",
                    "chosen": "chosen",
                    "rejected": "rejected",
                },
            },
            preference=True,
        ),
    )
}
