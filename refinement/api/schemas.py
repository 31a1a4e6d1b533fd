"""What the API takes and gives. Names and units are those of the models."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from ninja import Field, Schema
from pydantic import AfterValidator, BaseModel, ConfigDict

T = TypeVar("T")

BIGGEST_ID = 2**63 - 1


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a character that is not text (NUL or half of a pair)")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, le=BIGGEST_ID)]
Cursor = Annotated[str, Field(max_length=200, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=500, description="How many at most")]


class Body(BaseModel):
    """What is sent: an object without unknown fields, so that a slip is not passed over."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[T]):
    """One page of a list. ``next`` is the cursor of the page behind it; null: that was all."""

    items: list[T]
    next: str | None


class Me(Schema):
    username: str
    is_admin: bool
    scopes: list[str]
    project: int | None
    expires_at: datetime


# -- Projects -------------------------------------------------------------------------------------
Role = Literal["owner", "reviewer", "viewer"]


class ProjectIn(Body):
    name: Text = Field(min_length=1, max_length=120)


class ProjectOut(Schema):
    id: int
    name: str
    created_at: datetime


class MemberIn(Body):
    username: Text = Field(min_length=1, max_length=150)
    role: Role


class RoleIn(Body):
    role: Role


class MemberOut(Schema):
    id: int
    username: str = Field(alias="user.username")
    role: Role


# -- Datasets -------------------------------------------------------------------------------------
class DatasetOut(Schema):
    id: int
    project: int = Field(alias="project_id")
    name: str
    filename: str
    format: str
    status: str
    error: str
    size_bytes: int
    read_bytes: int
    sha256: str
    sample_count: int
    rejected_count: int
    created_at: datetime


class SampleOut(Schema):
    id: int
    position: int
    line: int
    instruction: str
    input: str
    response: str
    context: list[dict[str, Any]]


class RejectedOut(Schema):
    line: int
    field: str
    reason: str
    excerpt: str


# -- Models ---------------------------------------------------------------------------------------
class TeacherIn(Body):
    name: Text = Field(min_length=1, max_length=120)
    base_url: Text = Field(min_length=1, max_length=500)
    model: Text = Field(min_length=1, max_length=200)
    api_key_variable: Text = Field("", max_length=120, description="Its name, never the key")
    protocol: Literal["staged", "tagged", "json_schema"] = "tagged"
    max_concurrency: int = Field(16, ge=1, le=1000)
    max_tokens: int = Field(2048, ge=16, le=1_000_000)
    temperature: float = Field(0.7, ge=0, le=2)
    timeout_seconds: float = Field(120, ge=1, le=3600)
    price_prompt: Decimal = Field(Decimal(0), ge=0, max_digits=10, decimal_places=4)
    price_completion: Decimal = Field(Decimal(0), ge=0, max_digits=10, decimal_places=4)


class TeacherOut(Schema):
    """Without the address, which only admins see."""

    id: int
    name: str
    model: str
    protocol: str
    embedded: bool


class StudentIn(Body):
    name: Text = Field(min_length=1, max_length=120)
    path: Text = Field(min_length=1, max_length=500)
    revision: Text = Field("", max_length=120)
    template: Text = Field("vicuna", max_length=20)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    max_length: int = Field(2048, ge=16, le=10_000_000)


class StudentOut(Schema):
    id: int
    name: str
    template: str
    dtype: str
    max_length: int
    embedded: bool


Priority = Literal["low", "normal", "high"]  # beside other running runs


# -- Runs -----------------------------------------------------------------------------------------
class RunIn(Body):
    """``null`` for a ratio takes its filter away."""

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
    require_response_accepted: bool = True
    max_ifd: float | None = Field(1.0, gt=0, le=1000)
    max_r_ifd: float | None = Field(1.0, gt=0, le=1000)


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


class FailureOut(Schema):
    id: int
    position: int
    stage: str
    reason: str
    error: str


class Count(Schema):
    count: int


# -- Review ---------------------------------------------------------------------------------------
class PairLine(Schema):
    id: int
    position: int
    title: str
    mark: str
    decided: bool


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


# -- Exports --------------------------------------------------------------------------------------
class ExportIn(Body):
    """The options of an export; docs/exports.md lists them."""

    include: Literal["kept", "all"] = "kept"
    shape: str = "as_imported"
    container: str = "jsonl"
    filter: dict[str, str] = Field(default_factory=dict)
    columns: list[str] = Field(default_factory=list)
    deduplicate: bool = False
    top_percent: float | None = None
    top_by: str = "ifd"
    validation_percent: float = 0
    seed: int = 0
    kept_as_is: bool = True
    policy: dict[str, Any] = Field(default_factory=dict)


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


# -- Webhooks and the audit log -------------------------------------------------------------------
class WebhookIn(Body):
    url: Text = Field(min_length=1, max_length=500)
    events: list[Literal["run.finished", "run.paused", "run.budget_reached", "export.ready"]] = (
        Field(min_length=1, max_length=10)
    )


class WebhookOut(Schema):
    id: int
    url: str
    events: list[str]
    created_at: datetime


class WebhookMade(WebhookOut):
    """``secret`` signs what is sent, and is shown this once."""

    secret: str


class DeliveryOut(Schema):
    id: int
    event: str
    state: str
    attempts: int
    answer: str
    created_at: datetime


class AuditOut(Schema):
    id: int
    at: datetime
    kind: str
    action: str
    who: str
    via: str
    address: str | None
    project: int | None = Field(alias="project_id")
    subject: str
    detail: dict[str, Any]
