"""Projects, their people and their webhooks."""

from datetime import datetime
from typing import Literal

from ninja import Field, Schema

from refinement.api.schemas.common import Body, Text

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
