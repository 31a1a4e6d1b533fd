"""Who asks, the teachers and students, the audit log."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from ninja import Field, Schema

from refinement.api.schemas.common import Body, Text


class Me(Schema):
    username: str
    is_admin: bool
    scopes: list[str]
    project: int | None
    expires_at: datetime


class ApiTokenOut(Schema):
    """``start``: its first characters, to know it by; ``project``: null for all."""

    id: int
    name: str
    start: str
    scopes: list[str]
    project: int | None = Field(alias="project_id")
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class TroubleOut(Schema):
    """``grave``: work stands still."""

    what: str
    next: str
    grave: bool


class QueueOut(Schema):
    """``waiting`` and ``in_work``: samples, of ``default`` imports and exports; ``oldest_wait`` in
    seconds."""

    name: str
    workers: int
    waiting: int
    in_work: int
    oldest_wait: float


class StatusOut(Schema):
    """``runs`` by status; ``failures``: samples by reason, of runs that are not over; rates of the
    last minute."""

    troubles: list[TroubleOut]
    queues: list[QueueOut]
    runs: dict[str, int]
    failures: dict[str, int]
    calls_per_second: float
    tokens_per_second: float
    pairs_per_second: float
    disk_free_bytes: int
    disk_total_bytes: int


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
