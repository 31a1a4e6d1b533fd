"""Runs: what starts one, how far it is, what failed."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from ninja import Field, Schema

from refinement.api.schemas.common import Body, Id, Text
from refinement.api.schemas.policies import PolicyIn
from refinement.api.schemas.trials import Prompts

Priority = Literal["low", "normal", "high"]  # beside other running runs


class RunIn(Body):
    dataset: Id
    teacher: Id | None = Field(None, description="Left out: the embedded one")
    student: Id | None = Field(None, description="Left out: the embedded one")
    name: Text = Field("", max_length=200)
    limit: Id | None = Field(None, description="Only so many pairs, from the start")
    protocol: Literal["", "staged", "tagged", "json_schema"] = ""
    template: Text = Field("", max_length=20)
    budget_tokens: Id | None = Field(None, description="Null: no bound")
    budget_cost: Decimal | None = Field(None, gt=0, max_digits=16, decimal_places=8)
    priority: Priority = "normal"
    prompts: Prompts = Field(default_factory=dict, description="Those in other words")
    reuse: bool = Field(True, description="Answer from storage what this teacher was asked before")
    policy: PolicyIn = Field(default_factory=lambda: PolicyIn.model_validate({}))


class RunOut(Schema):
    id: int
    project: int = Field(alias="project_id")
    dataset: int = Field(alias="dataset_id")
    name: str
    status: str
    notice: str
    priority: str
    created_at: datetime
    finished_at: datetime | None


class BudgetIn(Body):
    """Null: no bound. No question begins that could pass it."""

    tokens: Id | None
    cost: Decimal | None = Field(gt=0, max_digits=16, decimal_places=8)


class PriorityIn(Body):
    priority: Priority


class Progress(Schema):
    """One look at a run. Rates are of the last minute; null where nothing can be said."""

    status: str
    notice: str
    total: int
    done: int
    failed: int
    in_work: int
    counts: dict[str, dict[str, int]] = Field(description="stage → state → samples")
    failures: dict[str, int] = Field(description="reason → samples")
    scored_pairs: int
    teacher_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: str
    tokens_per_second: float
    pairs_per_second: float
    eta_seconds: float | None


class RunDetail(RunOut):
    config: dict[str, Any]
    progress: Progress


class RetryIn(Body):
    pair: Id | None = Field(None, description="Left out: all that failed")
    reason: Text = Field("", max_length=40, description="Only what failed for it")


class FailureOut(Schema):
    id: int
    position: int
    stage: str
    reason: str
    error: str
