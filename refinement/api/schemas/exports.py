"""Exports: what shall leave, what would, what left, and where it was pushed."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema
from pydantic import Json

from refinement.api.schemas.common import Body, Text
from refinement.api.schemas.pairs import PairFilter
from refinement.api.schemas.policies import Bound, PolicyIn
from refinement.method.specs import PolicySpec
from refinement.services.pushes import TOKEN_VARIABLE

Columns = list[Literal["scores", "verdict", "decision", "lineage"]]


class Options(Body):
    """Of a dataset: shape, container, deduplicate, validation_percent, seed, kept_as_is alone."""

    include: Literal["kept", "all"] = "kept"
    shape: str = Field("as_imported", max_length=40)
    container: str = Field("jsonl", max_length=20)
    columns: Columns = Field(default_factory=list, description="Added as the field `srt`")
    deduplicate: bool = False
    top_percent: Bound = Field(None, description="Only the best part of what would leave")
    top_by: Literal["ifd", "r_ifd"] = "ifd"
    validation_percent: float = Field(0, description="Goes into a file of its own")
    seed: int = Field(0, description="Chooses the validation part")
    kept_as_is: bool = Field(True, description="With records that held nothing to refine")

    def chosen(self, own: PolicySpec | None = None) -> dict[str, Any]:
        """As ``ExportOptions`` has them. ``own``: the policy that another one differs from."""
        told = self.model_dump(exclude={"filter", "policy"})
        narrowed: PairFilter | None = getattr(self, "filter", None)
        policy: PolicyIn | None = getattr(self, "policy", None)
        told["filter"] = narrowed.narrowing() if narrowed else {}
        told["policy"] = policy.spec(own).as_dict() if policy else {}
        return told


class ExportIn(Options):
    """The options of an export; docs/exports.md lists them."""

    filter: PairFilter | None = Field(None, description="Only pairs of this list, in any order")
    policy: PolicyIn | None = Field(None, description="In place of the run's: what differs from it")


class ExportLook(Options):
    """The same in an address."""

    filter: Json[PairFilter] | None = Field(None, description="JSON, as the body has it")
    policy: Json[PolicyIn] | None = Field(None, description="JSON, as the body has it")


class LeavingOut(Schema):
    """Rows by file. ``exact``: every pair was looked at; else they are estimates. ``left_out``:
    selected pairs that do not leave, by the reason."""

    rows: int
    train: int
    validation: int
    exact: bool
    left_out: dict[str, int]


class SelectionOut(Schema):
    """What the run selects now. ``overrides``: decided otherwise than the verdict. ``sources``: of
    the kept ones, by where their text comes from."""

    total: int
    kept: int
    overrides: int
    decided: int
    dropped_by_hand: int
    dropped_by_student: int
    failed: int
    unfinished: int
    sources: dict[str, int]


class ExportOut(Schema):
    id: int
    run: int | None = Field(alias="run_id")
    dataset: int | None = Field(alias="dataset_id")
    status: str
    error: str
    options: dict[str, Any]
    done_rows: int
    total_rows: int
    row_count: int
    sha256: str
    created_at: datetime


class FileOut(Schema):
    name: str
    size_bytes: int


class LinkIn(Body):
    days: int = Field(7, ge=1, le=90)


class LinkOut(Schema):
    """``url`` works without a login until then, or until the export is deleted."""

    url: str


class PushIn(Body):
    """``token_variable``: the *name* of the variable that holds a token where the workers run."""

    repository: Text = Field(min_length=3, max_length=193, description="`owner/name`")
    private: bool = Field(True, description="Of a repository that is made now")
    token_variable: Text = Field(TOKEN_VARIABLE, max_length=80)


class PushOut(Schema):
    """``url``: of the commit."""

    id: int
    repository: str
    private: bool
    status: Literal["pending", "pushing", "done", "failed"]
    error: str
    url: str
    created_at: datetime
