"""What the trainers' own code makes of every shape: LLaMA-Factory's converters, and TRL's.

Neither is needed otherwise, and neither comes with its dependencies:
``pip install --no-deps trl==1.16.0 llamafactory==0.9.5``. Without them ``test_targets.py`` holds
the shapes to what their documentation says.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from refinement.formats.writing.targets import TARGETS
from tests.formats.writing.test_documentation import CHAT, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.method.pairs import Pair

INSTALL = "pip install --no-deps trl==1.16.0 llamafactory==0.9.5"
ASKED = {
    id(CHAT): [
        ("system", "Answer in French."),
        ("user", "Good morning?"),
        ("assistant", "Bonjour."),
        ("user", "And good night?"),
    ],
    id(PLAIN): [("user", "Name a colour.")],
}


@pytest.fixture
def factory() -> Iterator[tuple[ModuleType, ModuleType]]:
    """LLaMA-Factory's parser and converter, without what the packages around them load."""
    found = importlib.util.find_spec("llamafactory")
    if found is None:
        pytest.skip(f"LLaMA-Factory is not installed: {INSTALL}")
    before = set(sys.modules)
    for name in ("llamafactory", "llamafactory.data"):
        package = ModuleType(name)
        where = name.partition(".")[2]
        package.__path__ = [f"{path}/{where}" for path in found.submodule_search_locations or []]
        sys.modules[name] = package
    try:
        yield tuple(
            importlib.import_module(f"llamafactory.data.{name}") for name in ("parser", "converter")
        )
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("llamafactory"):
                del sys.modules[name]


def written(name: str, pair: Pair) -> dict[str, Any]:
    """A record with the columns that others of its file have."""
    blank = {"system": None, "history": None, "tools": None}
    return blank | TARGETS[name].write(pair, "Seven.")


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        (name, pair)
        for name, target in TARGETS.items()
        for pair in (PLAIN, CHAT)
        if target.entry and (pair is PLAIN or name != "prompt_completion")  # has no earlier turns
    ],
)
def test_llama_factory_reads_the_pair(
    factory: tuple[ModuleType, ModuleType], name: str, pair: Pair
) -> None:
    parser, converter = factory
    target = TARGETS[name]
    entry = dict(target.entry or {})
    if "alpaca" in name:
        entry["columns"] = entry["columns"] | {"system": "system", "history": "history"}
    about = parser.DatasetAttr("file", dataset_name=name)
    about.join(entry)
    kind = "Sharegpt" if about.formatting == "sharegpt" else "Alpaca"
    read = getattr(converter, f"{kind}DatasetConverter")(about, None)(written(name, pair))
    turns = [("system", read["_system"])] if read["_system"] else []
    turns += [(turn["role"], turn["content"]) for turn in read["_prompt"]]
    assert turns == ASKED[id(pair)]
    answers = [turn["content"] for turn in read["_response"]]
    assert answers == [pair.response, "Seven."] if target.preference else [pair.response]


class Tokenizer:
    """Says what it was given to put into a chat template."""

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> str:
        text = "".join(f"<{turn['role']}>{turn['content']}" for turn in messages)
        return text + ("<assistant>" if options.get("add_generation_prompt") else "")


@pytest.mark.parametrize("pair", [CHAT, PLAIN], ids=["chat", "plain"])
@pytest.mark.parametrize("name", ["messages", "prompt_completion_chat", "dpo_chat"])
def test_trl_puts_the_pair_into_a_chat_template(name: str, pair: Pair) -> None:
    trl = _trl()
    record = TARGETS[name].write(pair, "Seven.")
    assert trl.is_conversational(record)
    made = trl.apply_chat_template(record, Tokenizer())
    asked = "".join(f"<{role}>{text}" for role, text in ASKED[id(pair)])
    if name == "messages":
        assert made["text"] == f"{asked}<assistant>{pair.response}"
    else:
        assert made["prompt"] == f"{asked}<assistant>"
        answer = made["chosen" if name == "dpo_chat" else "completion"]
        assert answer == pair.response
    if name == "dpo_chat":
        assert made["rejected"] == "Seven."


@pytest.mark.parametrize("name", ["prompt_completion", "dpo_text"])
def test_trl_takes_plain_texts_as_they_are(name: str) -> None:
    trl = _trl()
    record = TARGETS[name].write(PLAIN, "Seven.")
    assert not trl.is_conversational(record)
    assert trl.maybe_apply_chat_template(record, Tokenizer()) == record


def _trl() -> ModuleType:
    if importlib.util.find_spec("trl") is None:
        pytest.skip(f"TRL is not installed: {INSTALL}")
    return importlib.import_module("trl.data_utils")
