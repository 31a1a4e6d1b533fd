"""Every shape against what the trainers' documentation asks of it."""

from __future__ import annotations

from typing import Any

import pytest

from refinement.formats.writing.targets import TARGETS, with_further_fields
from refinement.method.pairs import Pair, Turn

PLAIN = Pair("Translate.", "Bonjour", "Hello")
CHAT = Pair(
    "And good night?",
    "Bonne nuit",
    "",
    (
        Turn("system", "Answer in French."),
        Turn("user", "Good morning?"),
        Turn("assistant", "Bonjour"),
    ),
)


def made(name: str, pair: Pair = PLAIN, rejected: str = "No.") -> dict[str, Any]:
    return TARGETS[name].write(pair, rejected)


# -- What the documentation asks for ------------------------------------------------------------
def is_messages(value: Any) -> bool:
    """TRL, "Dataset formats and types": a list of {"role", "content"}, an optional system first."""
    roles = [message["role"] for message in value]
    body = roles[1:] if roles[0] == "system" else roles
    return (
        all(
            set(message) == {"role", "content"} and isinstance(message["content"], str)
            for message in value
        )
        and body == [("user", "assistant")[at % 2] for at in range(len(body))]
        and bool(body)
    )


def is_sharegpt(value: Any, *, ends_with: str) -> bool:
    """LLaMA-Factory, data/README.md: human and observation in odd places, gpt in even ones."""
    body = value[1:] if value[0]["from"] == "system" else value
    return (
        all(set(turn) == {"from", "value"} for turn in value)
        and all(
            turn["from"] in ({"human", "observation"}, {"gpt", "function_call"})[at % 2]
            for at, turn in enumerate(body)
        )
        and body[-1]["from"] == ends_with
    )


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_alpaca(record: dict[str, Any], *texts: str) -> bool:
    return (
        all(is_text(record[name]) for name in ("instruction", "input", *texts))
        and is_text(record.get("system", ""))
        and all(len(turn) == 2 and all(map(is_text, turn)) for turn in record.get("history", []))
        and set(record) <= {"instruction", "input", "system", "history", *texts}
    )


VALID = {
    "alpaca": lambda r: is_alpaca(r, "output"),
    "sharegpt": lambda r: is_sharegpt(r["conversations"], ends_with="gpt") and len(r) == 1,
    "messages": lambda r: is_messages(r["messages"]) and r["messages"][-1]["role"] == "assistant",
    "prompt_completion": lambda r: (
        set(r) == {"prompt", "completion"} and all(map(is_text, r.values()))
    ),
    "prompt_completion_chat": lambda r: (
        is_messages(r["prompt"]) and [m["role"] for m in r["completion"]] == ["assistant"]
    ),
    "dpo_chat": lambda r: (
        is_messages(r["prompt"])
        and r["prompt"][-1]["role"] == "user"
        and [m["role"] for m in r["chosen"] + r["rejected"]] == ["assistant"] * 2
    ),
    "dpo_text": lambda r: (
        set(r) == {"prompt", "chosen", "rejected"} and all(map(is_text, r.values()))
    ),
    "dpo_alpaca": lambda r: is_alpaca(r, "chosen", "rejected"),
    "dpo_sharegpt": lambda r: (
        is_sharegpt(r["conversations"], ends_with="human")
        and r["chosen"]["from"] == r["rejected"]["from"] == "gpt"
    ),
}


@pytest.mark.parametrize("pair", [PLAIN, CHAT], ids=["plain", "chat"])
@pytest.mark.parametrize("name", TARGETS)
def test_the_record_is_what_the_trainer_documents(name: str, pair: Pair) -> None:
    if pair is CHAT and name in {"prompt_completion", "dpo_text"}:
        with pytest.raises(ValueError, match="no place for a system prompt or earlier turns"):
            made(name, pair)
    else:
        assert VALID[name](made(name, pair))


def test_every_target_has_a_check() -> None:
    assert set(VALID) == set(TARGETS)


# LLaMA-Factory's converters look for these columns; a name that the record lacks would fail there.
COLUMNS = {
    "alpaca": {"prompt", "query", "response", "system", "history", "chosen", "rejected"},
    "sharegpt": {"messages", "system", "tools", "chosen", "rejected"},
}
TAGS = {
    *("role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag"),
    *("function_tag", "system_tag"),
}


@pytest.mark.parametrize("name", [n for n, target in TARGETS.items() if target.entry])
def test_the_entry_names_what_the_record_has(name: str) -> None:
    entry = dict(TARGETS[name].entry or {})
    record = made(name)
    formatting = entry.get("formatting", "alpaca")
    assert set(entry["columns"]) <= COLUMNS[formatting]
    assert set(entry["columns"].values()) == set(record)
    assert set(entry.get("tags", TAGS)) == TAGS  # one that is not named counts as none
    assert bool(entry.get("ranking")) is TARGETS[name].preference
    assert set(entry) <= {"columns", "formatting", "tags", "ranking"}


def test_the_input_stands_below_the_instruction_where_there_is_no_field_for_it() -> None:
    assert made("messages")["messages"][0]["content"] == "Translate.\n\nHello"
    assert made("dpo_text")["prompt"] == "Translate.\n\nHello"


def test_chosen_and_rejected_are_not_mixed_up() -> None:
    assert made("dpo_alpaca")["chosen"] == "Bonjour"
    assert made("dpo_alpaca")["rejected"] == "No."
    assert made("dpo_chat")["rejected"] == [{"role": "assistant", "content": "No."}]


def test_further_fields_come_along_and_take_no_place() -> None:
    record = with_further_fields(made("alpaca"), {"id": 7, "output": "x", "original_output": "y"})
    assert record == {
        "instruction": "Translate.",
        "input": "Hello",
        "output": "Bonjour",
        "id": 7,
        "original_output": "x",
        "original_original_output": "y",
    }
