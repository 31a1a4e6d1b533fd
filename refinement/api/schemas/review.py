"""Pairs, and what people say of them."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema

from refinement.api.schemas.common import BIGGEST_ID, Body, Id, Text
from refinement.models import Opinion
from refinement.selectors.review_sharing import plan_of


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
    """``opinion``: under a plan with several reviewers it is one of their opinions, and decides
    once all are in and agree. While the pair is blind it does not tell what the side was."""

    id: int
    action: str
    user: str = Field(alias="user.username")
    candidate: int | None
    opinion: bool = False
    created_at: datetime

    @staticmethod
    def resolve_opinion(said: Any) -> bool:
        return isinstance(said, Opinion)

    @staticmethod
    def resolve_action(said: Any) -> str:
        chose = said.action in {"accept", "original", "candidate"}
        return "side" if chose and _is_hidden(said) else str(said.action)

    @staticmethod
    def resolve_candidate(said: Any) -> int | None:
        found: int | None = None if _is_hidden(said) else said.candidate_id
        return found


def _is_hidden(said: Any) -> bool:
    """Opinions stand where nothing is decided, as far as their author may know."""
    return isinstance(said, Opinion) and plan_of(said.run_sample.run).blind


class CommentIn(Body):
    text: Text = Field(min_length=1, max_length=5000)


class CommentOut(Schema):
    id: int
    user: str = Field(alias="user.username")
    text: str
    created_at: datetime


class PairDetail(Schema):
    """``blind``: the versions are sides A, B, C by chance, and nothing tells where they are from.
    ``opinions``: how many were given, of a plan with several reviewers. ``open_by``: who else has
    the pair open now."""

    blind: bool
    open_by: list[str]
    opinions: int
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


class TokenLossOut(Schema):
    """Characters ``start`` to ``end`` of the response; losses in nats, ``alone`` after what the
    response began with, ``given_instruction`` after the prompt too. Null where there is none."""

    start: int
    end: int
    alone: float | None
    given_instruction: float | None


class TokensOut(Schema):
    """``key``: of the version. Empty ``tokens``: unscorable, or scored before they were kept."""

    key: str
    tokens: list[TokenLossOut]


class EditIn(Body):
    instruction: Text = Field(max_length=1_000_000)
    input: Text = Field("", max_length=1_000_000)
    response: Text = Field(max_length=1_000_000)


class DecideIn(Body):
    """``seen``: the id of the decision that counted when you looked (0: none), or null for any.
    ``side``: of a blind pair in place of ``candidate``, with the action ``candidate``; with
    ``edit``, what it started from."""

    action: Literal["accept", "original", "candidate", "edit", "drop"]
    candidate: Id | None = None
    side: Literal["", "A", "B", "C", "D", "E", "F", "G", "H", "I"] = ""
    edit: EditIn | None = None
    seen: int | None = Field(None, ge=0, le=BIGGEST_ID)


class UndoIn(Body):
    seen: int | None = Field(None, ge=0, le=BIGGEST_ID)
