"""The audit log."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema


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
