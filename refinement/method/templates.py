"""Prompt templates a student is scored under.

A score is only comparable under the same template, so the texts stand to the letter. Source: the
scoring script published with arXiv 2402.10110; ``none`` from its successor for arXiv 2402.00530.

Two rules of our own, where the script knows nothing:

* **Context** (a system prompt, earlier turns) belongs to the condition of L(y|x). A text template
  is preceded by one line a turn, ``System: …``, ``User: …``, ``Assistant: …``, and an empty line;
  ``chat`` passes the turns to the tokenizer's own template. L(x), L(y) and L(x|y') never see it:
  r-IFD asks what the response alone tells of its instruction.
* **chat** ends with the generation prompt, and the target is joined to it as in a text template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from refinement.method.errors import StudentError

if TYPE_CHECKING:
    from refinement.method.pairs import Pair, Turn

GUESS_INSTRUCTION = (
    "Below is the response to an instruction, please guess the corresponding instruction for the "
    "given response.\n{response}\nGenerate the instruction for the above response."
)
VICUNA_PREAMBLE = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. "
)

Message = dict[str, str]
Render = Callable[[Sequence[Message]], str]


class Template(Protocol):
    """What scoring needs: the text before a response, and before an instruction."""

    @property
    def name(self) -> str: ...

    @property
    def brings_special_tokens(self) -> bool:
        """Whether the text holds its own special tokens, so that the tokenizer adds none."""

    def prompt(self, pair: Pair) -> str:
        """The condition of L(y|x)."""

    def guess_prompt(self, response: str) -> str:
        """The condition of L(x|y'), y' asking for the instruction behind ``response``."""


@dataclass(frozen=True, slots=True)
class ScoreTemplate:
    """A text template; ``no_input`` serves a pair whose input is the empty string."""

    name: str
    no_input: str
    with_input: str
    brings_special_tokens: bool = False

    def prompt(self, pair: Pair) -> str:
        template = self.with_input if pair.input else self.no_input
        return context_text(pair.context) + template.format(
            instruction=pair.instruction, input=pair.input
        )

    def guess_prompt(self, response: str) -> str:
        return self.no_input.format(instruction=GUESS_INSTRUCTION.format(response=response))


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """The tokenizer's own template. ``render`` turns messages into text, with generation prompt.

    It raises StudentError where the template refuses the roles (no system prompt, or strict
    alternation); the context then goes as text before the instruction, inside the user's turn.
    """

    render: Render
    name: str = "chat"
    brings_special_tokens: bool = True

    def prompt(self, pair: Pair) -> str:
        question = f"{pair.instruction}\n{pair.input}" if pair.input else pair.instruction
        turns = [Message(role=turn.role, content=turn.content) for turn in pair.context]
        try:
            return self.render([*turns, Message(role="user", content=question)])
        except StudentError:
            if not turns:
                raise
            text = context_text(pair.context) + question
            return self.render([Message(role="user", content=text)])

    def guess_prompt(self, response: str) -> str:
        question = GUESS_INSTRUCTION.format(response=response)
        return self.render([Message(role="user", content=question)])


def context_text(context: Sequence[Turn]) -> str:
    """Earlier turns as text: a line each, then an empty line; nothing where there are none."""
    if not context:
        return ""
    lines = [f"{turn.role.capitalize()}: {turn.content}\n" for turn in context]
    return "".join(lines) + "\n"


_TEMPLATES = {
    template.name: template
    for template in (
        ScoreTemplate(
            name="vicuna",
            no_input=VICUNA_PREAMBLE + "USER: {instruction} ASSISTANT:",
            with_input=VICUNA_PREAMBLE + "USER: {instruction}\nInput:\n{input} ASSISTANT:",
        ),
        ScoreTemplate(
            name="alpaca",
            no_input=(
                "Below is an instruction that describes a task. Write a response that "
                "appropriately completes the request.\n\n"
                "### Instruction:\n{instruction}\n\n### Response:"
            ),
            with_input=(
                "Below is an instruction that describes a task, paired with an input that provides "
                "further context. Write a response that appropriately completes the request.\n\n"
                "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
            ),
        ),
        ScoreTemplate(
            name="wizardlm",
            no_input="{instruction}\n\n### Response:",
            with_input="{instruction}\n{input}\n\n### Response:",
        ),
        ScoreTemplate(
            name="none",
            no_input="{instruction}\n",
            with_input="{instruction}\n{input}\n",
        ),
    )
}
TEMPLATE_NAMES = tuple(_TEMPLATES)
CHAT = "chat"  # needs a tokenizer: ask the student for it


def get_template(name: str) -> ScoreTemplate:
    """The text template of that name. Raises StudentError for a name that is none."""
    try:
        return _TEMPLATES[name]
    except KeyError:
        known = ", ".join(TEMPLATE_NAMES)
        raise StudentError(
            f"There is no score template '{name}': choose one of {known}, or {CHAT}."
        ) from None
