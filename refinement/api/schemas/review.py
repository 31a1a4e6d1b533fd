"""Pairs, and what people say of them."""

from datetime import datetime
from typing import Literal

from ninja import Field, Schema

from refinement.api.schemas.common import BIGGEST_ID, Body, Id, Text


class VersionOut(Schema):
    """``candidate``: what ``decide`` takes; null for the original."""

    key: str
    name: str
    candidate: int | None
    instruction: str
    input: str
    response: str
    criticism: str
    ifd: float | None
    r_ifd: float | None
    chosen: bool
    counts: bool


class DecisionOut(Schema):
    id: int
    action: str
    user: str = Field(alias="user.username")
    candidate: int | None = Field(alias="candidate_id")
    created_at: datetime


class CommentIn(Body):
    text: Text = Field(min_length=1, max_length=5000)


class CommentOut(Schema):
    id: int
    user: str = Field(alias="user.username")
    text: str
    created_at: datetime


class PairDetail(Schema):
    id: int
    position: int
    stage: str
    state: str
    error: str
    mark: str
    kept: bool | None
    verdict: str
    decision: int
    versions: list[VersionOut]
    history: list[DecisionOut]
    comments: list[CommentOut]


class EditIn(Body):
    instruction: Text = Field(max_length=1_000_000)
    input: Text = Field("", max_length=1_000_000)
    response: Text = Field(max_length=1_000_000)


class DecideIn(Body):
    """``seen``: the id of the decision that counted when you looked (0: none), or null for any."""

    action: Literal["accept", "original", "candidate", "edit", "drop"]
    candidate: Id | None = None
    edit: EditIn | None = None
    seen: int | None = Field(None, ge=0, le=BIGGEST_ID)


class UndoIn(Body):
    seen: int | None = Field(None, ge=0, le=BIGGEST_ID)
