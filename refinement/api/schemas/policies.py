"""Policies: what one would keep, beside what the run's own keeps."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import BeforeValidator

from refinement.api.schemas.common import Body, Text
from refinement.method.specs import PolicySpec


def _or_none(value: Any) -> Any:
    """An address has no null."""
    return None if value in ("", "none", "null") else value


Bound = Annotated[float | None, BeforeValidator(_or_none)]
Number = Annotated[int | None, BeforeValidator(_or_none)]


class PolicyIn(Body):
    """What is left out stays as it is: of a new run as in the paper, later as the run has it."""

    name: Text = Field("paper", max_length=40, description="As the comparison lists them")
    require_response_accepted: bool = True
    max_ifd: Bound = Field(1.0, gt=0, le=1000, description="Keep only below; none: no such filter")
    max_r_ifd: Bound = Field(1.0, gt=0, le=1000)
    seed: int = Field(0, ge=0, lt=2**31, description="Of the policy `random`")
    encoder: Text = Field("", max_length=500, description="A folder that the workers can read")
    top_by: Text = Field("", max_length=40, description="The signal that the best are the best by")
    top_count: Number = Field(None, ge=1, lt=2**31, description="Only so many pairs")
    top_percent: Bound = Field(None, gt=0, le=100, description="Only that part of what passes")
    diverse: bool = Field(False, description="Spread them over the subjects; needs an encoder")

    def spec(self, own: PolicySpec | None = None) -> PolicySpec:
        """``own`` with what was sent in its place."""
        return replace(own or PolicySpec(), **self.model_dump(exclude_unset=True))


class PolicyOut(Schema):
    """``version``: 0 is what the run began with. ``deriving``: verdicts are still being changed."""

    policy: dict[str, Any]
    version: int
    deriving: bool


class ReportOut(Schema):
    """Counts of pairs. Lengths are mean tokens of the responses of the kept ones. ``missing``:
    whose response nobody rewrote for the instruction chosen. ``decided``: by people, who say the
    same in ``agrees``, and something else in ``against``."""

    kept: int
    took_instruction: int
    took_response: int
    missing: int
    tokens_original: float | None
    tokens_kept: float | None
    decided: int
    agrees: int
    against: int


class WhatIfOut(Schema):
    """``flips`` are ``gained`` and ``lost``; ``rewritten``: kept by both, as another text.
    ``flips_against``: flips against what a person decided. ``turns``: lists them, as a filter."""

    policy: dict[str, Any]
    turns: str
    is_own: bool
    total: int
    now: ReportOut
    then: ReportOut
    difference: int
    flips: int
    gained: int
    lost: int
    rewritten: int
    flips_against: int


class ComparedOut(Schema):
    """``report``: null where the run lacks the signal that the policy chooses by."""

    title: str
    policy: dict[str, Any]
    is_own: bool
    report: ReportOut | None


class PolicyChangeOut(Schema):
    """``applied_at``: null while verdicts are still being changed. ``changed``: verdicts that keep
    something else, or nothing any more."""

    id: int
    version: int
    policy: dict[str, Any]
    before: dict[str, Any]
    user: str | None
    kept_before: int
    kept_after: int | None
    changed: int
    error: str
    created_at: datetime
    applied_at: datetime | None

    @staticmethod
    def resolve_user(change: Any) -> str | None:
        return change.user.get_username() if change.user else None


# -- Figures --------------------------------------------------------------------------------------
class HistogramOut(Schema):
    """Equal bins; beyond an end a value counts in the last bin there."""

    names: list[str]
    edges: list[float]
    counts: list[list[int]]
    medians: list[float | None]


class ShareOut(Schema):
    group: str
    label: str
    part: int
    whole: int


class LossesOut(Schema):
    """Medians in nats a token: L(x), L(x|y′), L(y), L(y|x)."""

    label: str
    medians: list[float | None]


class LengthsOut(Schema):
    """Mean tokens of the response, before and after."""

    label: str
    pairs: int
    before: float | None
    after: float | None


class FiguresOut(Schema):
    """``acceptance`` by length, place, input and fields of the records; ``reviewers``: how often
    each went along with the verdict."""

    samples: int
    ifd: HistogramOut
    r_ifd: HistogramOut
    length: HistogramOut
    lengths: list[LengthsOut]
    losses: list[LossesOut]
    acceptance: list[ShareOut]
    reviewers: list[ShareOut]


class PointsOut(Schema):
    """Columns of one length. A delta is the rewrite's value less that of what it would replace,
    null where one is missing. ``verdicts``: 0 not kept; kept with 1 no rewrite, 2 the
    instruction's, 3 the response's, 4 both."""

    pairs: list[int]
    delta_ifd: list[float | None]
    delta_r_ifd: list[float | None]
    verdicts: list[int]
