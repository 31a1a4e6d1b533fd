"""Before a run: its prompts, what would be asked, what comes back, what all would cost."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Field, Schema

from refinement.api.schemas.common import Body, Id, Text
from refinement.method.prompt_set import DEFAULT, LONGEST_PROMPT, RULES, PromptSet

PromptName = Literal[
    "instruction_criteria",
    "response_criteria",
    "reviewer",
    "reflect_on_instruction",
    "reflect_on_response",
    "criticise_instruction",
    "rewrite_instruction",
    "answer",
    "criticise_response",
    "rewrite_response",
]
Prompts = dict[PromptName, Annotated[Text, Field(max_length=LONGEST_PROMPT)]]


def prompt_set(prompts: Prompts) -> PromptSet:
    """What is left out or empty is the default."""
    edited = {name: text for name, text in prompts.items() if text.strip()}
    return PromptSet(**(DEFAULT.as_dict() | edited))


class PromptOut(Schema):
    """``required`` and ``optional``: words that it must or may hold, in braces."""

    name: str
    label: str
    protocols: list[str]
    required: list[str]
    optional: list[str]
    default: str


def known_prompts() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "label": rule.label,
            "protocols": list(rule.protocols),
            "required": list(rule.required),
            "optional": list(rule.optional),
            "default": getattr(DEFAULT, name),
        }
        for name, rule in RULES.items()
    ]


class AskIn(Body):
    """``teacher`` left out: the embedded one. ``prompts``: those that are not the defaults."""

    dataset: Id
    teacher: Id | None = None
    protocol: Literal["", "staged", "tagged", "json_schema"] = ""
    prompts: Prompts = Field(default_factory=dict)
    pair: Id = Field(1, description="The number of the pair, from 1")


class TrialIn(AskIn):
    """``measure``: a few pairs spread over the dataset instead of ``pair``, for an estimate of a
    run over its first ``limit`` pairs, or over all."""

    measure: bool = False
    limit: Id | None = None


class MessageOut(Schema):
    role: str
    content: str


class QuestionOut(Schema):
    """``max_tokens``: null, as the teacher is registered."""

    step: str
    messages: list[MessageOut]
    max_tokens: int | None


class PreviewOut(Schema):
    version: str = Field(description="Of the prompts: another word, another version")
    questions: list[QuestionOut]


class EstimateOut(Schema):
    """In 95 of 100 cases between ``low`` and ``high``, which are null after one measurement."""

    expected: float
    low: float | None
    high: float | None
    measured: int


class ForecastOut(Schema):
    """Totals of a run over ``samples``. ``cost``: null where the teacher has no price."""

    samples: int
    tokens: EstimateOut
    questions: EstimateOut
    cost: EstimateOut | None


class TrialCallOut(Schema):
    position: int
    step: str
    attempt: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class TrialOut(Schema):
    """``positions`` of the pairs in the dataset, from 0. ``outcomes``: what was read from the
    replies, a pair each."""

    id: int
    status: Literal["pending", "running", "done", "failed"]
    error: str
    positions: list[int]
    outcomes: list[Any]
    created_at: datetime


class TrialDetail(TrialOut):
    calls: list[TrialCallOut]
    tokens: int
    cost: str
    forecast: ForecastOut | None
