"""Acts on many pairs, the history of a run, named views."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema

from refinement.api.schemas.common import BIGGEST_ID, Body, Id, Text
from refinement.api.schemas.pairs import PairFilter, PairLine, filter_words


class ActPreview(Schema):
    """What an act on a filter would touch. ``sample``: a few from anywhere in the list."""

    count: int
    sample: list[PairLine]


class ActIn(Body):
    """``expected``: the count that you looked at. ``assignee``: a username, for ``assign``."""

    action: Literal["accept", "original", "drop", "flag", "assign"]
    filter: PairFilter
    expected: int = Field(ge=0, le=BIGGEST_ID)
    assignee: Text = Field("", max_length=150)


class ActOut(Schema):
    """``matched``: pairs that were gathered, null before. ``skipped``: decided by others meanwhile,
    or unfit. ``left``: not undone, because people decided since. ``decision``: of ``restore``, the
    last one that was to count."""

    id: int
    action: str
    filter: dict[str, str]
    decision: int | None
    status: Literal["pending", "working", "done", "undo_due", "undoing", "undone"]
    expected: int
    matched: int | None
    done: int
    skipped: int
    undone: int
    left: int
    user: str = Field(alias="user.username")
    created_at: datetime
    finished_at: datetime | None

    @staticmethod
    def resolve_filter(act: Any) -> dict[str, str]:
        return {} if act.action == "restore" else filter_words(act.query)

    @staticmethod
    def resolve_decision(act: Any) -> int | None:
        found: int | None = act.details.get("decision")
        return found


class RestoreIn(Body):
    decision: Id = Field(description="The last decision that shall count, from the history")


class HistoryOut(Schema):
    """One decision. ``counts``: whether it counts now. ``act``: the act on many that it is of."""

    id: int
    created_at: datetime
    pair: int = Field(alias="run_sample_id")
    position: int = Field(alias="run_sample.position")
    user: str = Field(alias="user.username")
    action: str
    basis: str
    candidate: int | None = Field(alias="candidate_id")
    counts: bool
    previous: int | None = Field(alias="previous_id")
    undoes: int | None = Field(alias="undoes_id")
    act: int | None = Field(alias="act_id")

    @staticmethod
    def resolve_counts(decision: Any) -> bool:
        return bool(decision.run_sample.decision_id == decision.pk)


class ViewIn(Body):
    """A view of the same name is replaced."""

    name: Text = Field(min_length=1, max_length=80)
    filter: PairFilter


class ViewOut(Schema):
    """``filter`` goes into the address of the list of pairs as it is."""

    id: int
    name: str
    filter: dict[str, str]
    created_at: datetime

    @staticmethod
    def resolve_filter(view: Any) -> dict[str, str]:
        return filter_words(view.query)


class FlagIn(Body):
    flagged: bool


class FlagOut(Schema):
    flagged: bool
