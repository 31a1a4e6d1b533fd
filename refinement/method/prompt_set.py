"""The words of the prompts, as a run may have them: defaults, checks, and a version for each.

A prompt may hold placeholders such as ``{criticism}``, which are replaced by what they name. The
record itself is no placeholder: it always stands before the task, so that no edit can lose it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.method.specs import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of all that is not in a PromptSet: labels, examples, forms of replies, notes on bad replies.
PROMPT_VERSION = "2"
LONGEST_PROMPT = 10_000  # characters
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class PromptSet(Spec):
    """All that a run may put in its own words. The defaults are the paper's criteria in ours."""

    instruction_criteria: str = (
        "the complexity of its topic, the level of detail it asks for, the knowledge it requires, "
        "its ambiguity, and whether it calls for logical reasoning or problem solving"
    )
    response_criteria: str = "its helpfulness, relevance, accuracy and level of detail"
    # One reply: tagged and json_schema
    reviewer: str = "You review and improve the records that a language model will be trained on."
    reflect_on_instruction: str = (
        "The above is one training record. First criticise it. Judge the instruction by "
        "{instruction_criteria}. Judge the response by {response_criteria}. Explain why such an "
        "instruction leads to such a response.\n"
        "Then, from your criticism, write a better instruction, and the best response to it that "
        "you can give. {stand_alone} Keep the topic and the language of the record."
    )
    reflect_on_response: str = (
        "The above is one training record. First criticise its response by "
        "{response_criteria}, and say what is wrong or missing.\n"
        "Then, from your criticism, write a better response to the same instruction. Do not "
        "mention the old one. Keep the language that the instruction asks for."
    )
    # Staged turns
    criticise_instruction: str = (
        "You criticise records that a language model will be trained on. Judge the instruction by "
        "{instruction_criteria}. Judge the response by {response_criteria}. Say why such an "
        "instruction leads to such a response."
    )
    rewrite_instruction: str = (
        "You make instructions clearer and more specific, so that they ask for more thought. You "
        "never answer them. {stand_alone} Faults of the last one: {criticism}"
    )
    answer: str = (
        "You are a helpful AI assistant. You answer accurately and in a few sentences, unless the "
        "task needs more."
    )
    criticise_response: str = (
        "You criticise responses to instructions. Judge a response by {response_criteria}. Say "
        "what is wrong or missing."
    )
    rewrite_response: str = (
        "{answer}\nAn earlier answer was: {response}\nIts criticism: {criticism}\n"
        "Give a better answer."
    )

    @property
    def version(self) -> str:
        """Changes with every word, of these and of those that only we can change."""
        words = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return f"{PROMPT_VERSION}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"

    @property
    def edited(self) -> dict[str, str]:
        """The prompts that are not the defaults."""
        defaults = DEFAULT.as_dict()
        return {name: text for name, text in self.as_dict().items() if text != defaults[name]}

    def fill(self, name: str, **values: str) -> str:
        """The prompt ``name`` with its placeholders replaced by the criteria and by ``values``."""
        known = {
            "instruction_criteria": self.instruction_criteria,
            "response_criteria": self.response_criteria,
            "answer": self.answer,
            **values,
        }
        text: str = getattr(self, name)
        # In one pass: what is put in may look like a placeholder itself.
        return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), text)


DEFAULT = PromptSet()


@dataclass(frozen=True, slots=True)
class PromptRule:
    """What a prompt must hold, what it may hold, and which protocols use it."""

    label: str
    protocols: tuple[str, ...]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_ONE_REPLY, _STAGED = ("tagged", "json_schema"), ("staged",)
_CRITERIA = ("instruction_criteria", "response_criteria")
RULES: dict[str, PromptRule] = {
    "instruction_criteria": PromptRule("Criteria for an instruction", _STAGED + _ONE_REPLY),
    "response_criteria": PromptRule("Criteria for a response", _STAGED + _ONE_REPLY),
    "reviewer": PromptRule("Who the teacher is", _ONE_REPLY),
    "reflect_on_instruction": PromptRule(
        "Reflect on the instruction", _ONE_REPLY, optional=(*_CRITERIA, "stand_alone")
    ),
    "reflect_on_response": PromptRule(
        "Reflect on the response", _ONE_REPLY, optional=("response_criteria",)
    ),
    "criticise_instruction": PromptRule("Criticise the pair", _STAGED, optional=_CRITERIA),
    "rewrite_instruction": PromptRule(
        "Rewrite the instruction", _STAGED, required=("criticism",), optional=("stand_alone",)
    ),
    "answer": PromptRule("Answer the new instruction", _STAGED),
    "criticise_response": PromptRule(
        "Criticise the response", _STAGED, optional=("response_criteria",)
    ),
    "rewrite_response": PromptRule(
        "Rewrite the response", _STAGED, required=("response", "criticism"), optional=("answer",)
    ),
}


def problems(texts: Mapping[str, str]) -> dict[str, str]:
    """For each prompt that cannot be used: one sentence that says what to do."""
    found = {name: _problem(RULES[name], text) for name, text in texts.items() if name in RULES}
    return {name: sentence for name, sentence in found.items() if sentence}


def _problem(rule: PromptRule, text: str) -> str:
    if not text.strip():
        return "Write something, or take the default back."
    if len(text) > LONGEST_PROMPT:
        return f"Shorten it: a prompt may have {LONGEST_PROMPT:,} characters."
    used = set(PLACEHOLDER.findall(text))
    missing = [f"{{{name}}}" for name in rule.required if name not in used]
    if missing:
        return f"Put {' and '.join(missing)} where the teacher shall read it."
    known = {*rule.required, *rule.optional}
    unknown = sorted(f"{{{name}}}" for name in used - known)
    if unknown:
        may = ", ".join(f"{{{name}}}" for name in (*rule.required, *rule.optional)) or "none"
        return f"{unknown[0]} is no placeholder of this prompt. It may hold: {may}."
    return ""
